// The least relay that node's ws allows: no checks, no limits, no OCPP; messages go to and fro.
//
//   node relay.js LISTEN-PORT SUPERVISION-PORT [FOLDER]
//
// FOLDER holds relay.pem (certificate and key) and ca.pem: TLS 1.3 on both sides then.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocket, WebSocketServer } = require('ws');

const [listenPort, supervisionPort, folder] = process.argv.slice(2);
const BACKLOG = 4096;
const tls = folder && {
  cert: fs.readFileSync(`${folder}/relay.pem`),
  key: fs.readFileSync(`${folder}/relay.pem`),
  ca: fs.readFileSync(`${folder}/ca.pem`),
  minVersion: 'TLSv1.3',
};
const scheme = tls ? 'wss' : 'ws';
const server = tls ? https.createServer({ cert: tls.cert, key: tls.key, minVersion: tls.minVersion }) : http.createServer();
const stations = new WebSocketServer({ server, perMessageDeflate: false });

stations.on('connection', (station, request) => {
  const options = { perMessageDeflate: false, ...(tls && { ca: tls.ca, minVersion: tls.minVersion }) };
  const uplink = new WebSocket(`${scheme}://localhost:${supervisionPort}${request.url}`, ['ocpp2.0.1'], {
    ...options,
    family: 4,
  });
  const early = [];
  station.on('message', (data, binary) => {
    if (uplink.readyState === WebSocket.OPEN) uplink.send(data, { binary });
    else early.push([data, binary]);
  });
  uplink.on('open', () => early.forEach(([data, binary]) => uplink.send(data, { binary })));
  uplink.on('message', (data, binary) => station.send(data, { binary }));
  station.on('close', () => uplink.close());
  uplink.on('close', () => station.close());
  station.on('error', () => {});
  uplink.on('error', () => {});
});
server.listen({ host: '127.0.0.1', port: Number(listenPort), backlog: BACKLOG });
