-- A journal as version 1 of its schema wrote it: an ended and an open 1.6 transaction, an ended one of 2.0.1
-- and an open one whose Started has not come.
CREATE TABLE transactions (
    key TEXT PRIMARY KEY,           -- 1.6: the id that we gave; 2.x: station and the station's own id
    station TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    badge TEXT NOT NULL,            -- folded
    connector INTEGER,
    meter_start INTEGER,
    started TEXT NOT NULL,          -- as the station wrote it
    received TEXT NOT NULL,         -- by the controller's clock
    stopped TEXT,
    meter_stop INTEGER,
    reason TEXT
) STRICT;
CREATE INDEX open_transactions ON transactions (station) WHERE stopped IS NULL;
CREATE INDEX open_badges ON transactions (badge) WHERE stopped IS NULL;
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    received TEXT NOT NULL,
    station TEXT NOT NULL,
    transaction_key TEXT,
    sequence INTEGER,               -- 2.x seqNo
    kind TEXT NOT NULL,
    text TEXT NOT NULL              -- the message as it came
) STRICT;
CREATE UNIQUE INDEX event_once ON events (transaction_key, sequence) WHERE sequence IS NOT NULL;
CREATE TABLE security_events (
    id INTEGER PRIMARY KEY,
    received TEXT NOT NULL,
    station TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('transaction', 4712);
INSERT INTO transactions VALUES ('4711', 'CP-1', '4711', '04ab', 1, 10, '2026-11-20T07:59:58Z', '2026-11-20T08:00:00Z', '2026-11-20T09:00:00Z', 900, 'Local');
INSERT INTO transactions VALUES ('4712', 'CP-2', '4712', '04ab', 1, 10, '2026-11-20T07:59:58Z', '2026-11-20T08:00:00Z', NULL, NULL, NULL);
INSERT INTO transactions VALUES ('CP-3/t-9', 'CP-3', 't-9', '04ab', 1, NULL, '2026-11-20T08:00:00Z', '2026-11-20T08:00:00Z', '2026-11-20T09:00:00Z', NULL, 'Local');
INSERT INTO events (received, station, transaction_key, sequence, kind, text) VALUES ('2026-11-20T08:00:00Z', 'CP-1', '4711', NULL, 'StartTransaction', '[2]');
INSERT INTO events (received, station, transaction_key, sequence, kind, text) VALUES ('2026-11-20T08:00:00Z', 'CP-3', 'CP-3/t-9', 1, 'Ended', '[2,"17","TransactionEvent",{"eventType":"Ended","timestamp":"2026-11-20T09:00:00Z","triggerReason":"StopAuthorized","seqNo":1,"transactionInfo":{"transactionId":"t-9"}}]');
INSERT INTO transactions VALUES ('CP-3/t-8', 'CP-3', 't-8', '', 2, NULL, '2026-11-20T07:10:00Z', '2026-11-20T08:00:00Z', NULL, NULL, NULL);
INSERT INTO events (received, station, transaction_key, sequence, kind, text) VALUES ('2026-11-20T08:00:00Z', 'CP-3', 'CP-3/t-8', 1, 'Updated', '[2]');
PRAGMA user_version = 1;
