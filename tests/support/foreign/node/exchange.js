// What the scripts on ocpp-rpc share: the session they play (see ../exchange.py), and the lines that tell the test.
'use strict';

const path = require('path');

const scripts = require(path.join(__dirname, '..', 'session.json'));

// The session uses nothing that differs between 2.0.1 and 2.1.
const scriptOf = (protocol) => scripts[protocol === 'ocpp2.1' ? 'ocpp2.0.1' : protocol];

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const tellTexts = (client) => client.on('message', ({ message, outbound }) =>
    tell({ event: outbound ? 'sent' : 'received', text: message.toString() }));

// A fault of the peer ends it, so that the test sees it; so does a session that takes far too long.
const FINISHED_WITHIN_MS = 25000;
setTimeout(() => { throw new Error('the session did not finish'); }, FINISHED_WITHIN_MS).unref();

// Of OCPP 2.1 this release holds schemas under ids that its own checks do not look for, so there it cannot be strict.
const strictMode = (protocol) => (protocol === 'ocpp2.1' ? false : [protocol]);

const judge = (client) => client.on('strictValidationFailure', ({ error }) => { throw error; });

module.exports = { scriptOf, strictMode, tell, tellTexts, judge };
