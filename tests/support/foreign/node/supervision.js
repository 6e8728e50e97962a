// A supervision of ocpp-rpc: `supervision.js SUBPROTOCOL` serves one station on a free port.
'use strict';

const { RPCServer } = require('ocpp-rpc');
const { scriptOf, strictMode, tell, tellTexts, judge } = require('./exchange');

const [protocol] = process.argv.slice(2);
const script = scriptOf(protocol);

async function supervise() {
    const server = new RPCServer({ protocols: [protocol], strictMode: strictMode(protocol) });
    server.auth((accept) => accept());
    server.on('client', (client) => {
        tellTexts(client);
        judge(client);
        for (const [action, answer] of Object.entries(script.answers)) {
            client.handle(action, () => {
                const asked = script.asked[action];
                if (asked) setImmediate(() => client.call(...asked)); // after the answer has left
                return answer;
            });
        }
        client.on('close', async () => {
            await server.close();
            tell({ event: 'finished' });
        });
    });
    const http = await server.listen(0, '127.0.0.1');
    tell({ event: 'listening', port: http.address().port });
}

supervise();
