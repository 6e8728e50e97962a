"""The tables of the journal, version by version: a file of any older version is brought up when it is opened."""

import random
import sqlite3
from typing import Final

from pointsman_agent.ocpp.sentagain import content_of_text
from pointsman_agent.ports import JournalFault

# A 31-bit id is what every 1.6 station can hold; the random start keeps a new journal from repeating a lost one's ids.
_FIRST_ID_BELOW: Final = 2**30

_VERSION_1: Final = """
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
INSERT INTO counters VALUES ('transaction', {first_id});
"""

_VERSION_2: Final = """
ALTER TABLE transactions ADD COLUMN ended TEXT;             -- the end, by the controller's clock
UPDATE transactions SET ended = received WHERE stopped IS NOT NULL;
ALTER TABLE events ADD COLUMN energy_wh INTEGER;            -- the energy register that the message holds
CREATE INDEX event_age ON events (received);
CREATE INDEX events_of_transaction ON events (transaction_key) WHERE sequence IS NULL;  -- the rest is in event_once
CREATE INDEX transaction_age ON transactions (received);
CREATE INDEX security_event_age ON security_events (received);
CREATE TABLE station_facts (
    station TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    received TEXT NOT NULL,
    PRIMARY KEY (station, name)
) STRICT;
CREATE TABLE own_starts (token TEXT PRIMARY KEY, station TEXT NOT NULL, received TEXT NOT NULL) STRICT;
"""

_VERSION_3: Final = """
CREATE TABLE bundle_events (
    id INTEGER PRIMARY KEY,
    received TEXT NOT NULL,
    what TEXT NOT NULL,
    digest TEXT NOT NULL,
    sequence INTEGER,
    origin TEXT NOT NULL,
    detail TEXT NOT NULL,
    station TEXT NOT NULL           -- empty: of the whole site
) STRICT;
CREATE INDEX bundle_event_age ON bundle_events (received);
"""

# Stations use ids of transactions and sequence numbers again, so an event is told by its content too. Of what is there
# only the newest can still be sent again; to read all would hold up the agent's start.
_VERSION_4: Final = """
ALTER TABLE transactions ADD COLUMN begun INTEGER NOT NULL DEFAULT 1;   -- 0: 2.x, the Started has not come yet
ALTER TABLE transactions ADD COLUMN earlier TEXT;           -- key of the station's last transaction of the same id
UPDATE transactions SET begun = 0 WHERE stopped IS NULL AND key LIKE '%/%' AND NOT EXISTS
    (SELECT 1 FROM events WHERE transaction_key = key AND sequence IS NOT NULL AND kind = 'Started');
ALTER TABLE events ADD COLUMN content INTEGER;              -- of a 2.x event, see ocpp.sentagain
UPDATE events SET content = content_of(text)
    WHERE sequence IS NOT NULL AND id > (SELECT max(id) FROM events) - 10000;
DROP INDEX event_once;
CREATE UNIQUE INDEX event_once ON events (transaction_key, sequence, content) WHERE sequence IS NOT NULL;
"""

_VERSIONS: Final = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
SCHEMA_VERSION: Final = len(_VERSIONS)


def migrate(database: sqlite3.Connection) -> None:
    """Bring a new or older file to SCHEMA_VERSION, one version a commit; raises JournalFault for a newer one."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise JournalFault(f"the journal is of version {version}; this agent reads up to {SCHEMA_VERSION}")
    database.create_function("content_of", 1, content_of_text, deterministic=True)
    first_id = random.SystemRandom().randrange(1, _FIRST_ID_BELOW)
    for number, statements in enumerate(_VERSIONS[version:], start=version + 1):
        text = statements.replace("{first_id}", str(first_id))
        try:
            database.executescript(f"BEGIN IMMEDIATE; {text} PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
