// A station of ocpp-rpc: `station.js URL SUBPROTOCOL` plays one session.
'use strict';

const { RPCClient } = require('ocpp-rpc');
const { scriptOf, strictMode, tell, tellTexts, judge } = require('./exchange');

const [url, protocol] = process.argv.slice(2);
const script = scriptOf(protocol);

async function charge() {
    const cut = url.lastIndexOf('/');
    const station = new RPCClient({
        endpoint: url.slice(0, cut),
        identity: decodeURIComponent(url.slice(cut + 1)),
        protocols: [protocol],
        strictMode: strictMode(protocol),
        reconnect: false,
    });
    tellTexts(station);
    judge(station);
    const toStop = new Promise((resolve) => {
        for (const [action, answer] of Object.entries(script.stationAnswers)) {
            station.handle(action, () => {
                if (action.endsWith('StopTransaction')) setImmediate(resolve); // after the answer has left
                return answer;
            });
        }
    });
    await station.connect();
    const requests = [...script.session];
    const last = requests.pop();
    for (const request of requests) await station.call(...request);
    await toStop;
    await station.call(...last);
    await station.close({ code: 1000, awaitPending: true });
    tell({ event: 'finished' });
}

charge();
