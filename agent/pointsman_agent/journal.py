"""What must never be lost, in SQLite: transactions of local stations, their events, the security log (rules 35, 36).

One connection, one writer thread (SQLite up to 3.51.2 can corrupt a WAL that two connections write). A batch is what
queued during the last fsync: group commit without a timer. WAL with synchronous FULL: what `append` returned for is on
the disk.
"""

import queue
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import outcome
import trio
from pointsman_schema.badgelist import fold_badge

from pointsman_agent.entries import (
    Entry,
    OpenTransaction,
    Receipt,
    SecurityEvent,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)
from pointsman_agent.ports import JournalFault

SCHEMA_VERSION: Final = 1
APPEND_WITHIN_S: Final = 10.0  # a disk that takes longer is broken; the station sends again
MOST_QUEUED: Final = 1024  # entries before callers are told of a fault
MOST_IN_A_BATCH: Final = 256
# A 31-bit id is what every 1.6 station can hold; the random start keeps a new journal from repeating a lost one's ids.
_FIRST_ID_BELOW: Final = 2**30

_SCHEMA: Final = """
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
"""

# What one entry can do to a commit: a broken disk or file, a number or text that SQLite does not take.
_UNSTORABLE: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], object]
Now = Callable[[], str]
"""Returns the wall clock as RFC 3339 text in UTC."""


class _Job:
    """A piece of work for the writer thread and the task that waits for it."""

    __slots__ = ("_token", "done", "result", "work")

    def __init__(self, work: Work, token: trio.lowlevel.TrioToken) -> None:
        self.work = work
        self.done = trio.Event()
        self.result: outcome.Outcome[object] = outcome.Error(JournalFault("the journal has ended"))
        self._token = token

    def finish(self, result: outcome.Outcome[object]) -> None:
        """Called in the writer thread."""
        self.result = result
        self._token.run_sync_soon(self.done.set)


class SqliteJournal:
    """The journal of a controller (see `ports.Journal`)."""

    def __init__(self, jobs: "queue.Queue[_Job | None]", now: Now) -> None:
        self._jobs = jobs
        self._now = now
        self.fault: str | None = None

    async def append(self, entry: Entry) -> Receipt:
        """Store `entry` durably and return its receipt; raises JournalFault."""
        received = self._now()
        receipt = await self._run(lambda database: _store(database, entry, received))
        assert isinstance(receipt, Receipt)
        return receipt

    async def open_transactions(self) -> dict[str, int]:
        """Return how many transactions are open, by station; stations without one are left out. Raises JournalFault."""
        sql = "SELECT station, count(*) FROM transactions WHERE stopped IS NULL GROUP BY station ORDER BY station"
        rows = await self._run(lambda database: database.execute(sql).fetchall())
        assert isinstance(rows, list)
        return dict(rows)

    async def open_with_badge(self, badge: str) -> list[OpenTransaction]:
        """Return the open transactions of a folded badge number; raises JournalFault."""
        sql = "SELECT station, transaction_id, started FROM transactions WHERE badge = ? AND stopped IS NULL"
        rows = await self._run(lambda database: database.execute(sql, (badge,)).fetchall())
        assert isinstance(rows, list)
        return [OpenTransaction(*row) for row in rows]

    async def _run(self, work: Work) -> object:
        job = _Job(work, trio.lowlevel.current_trio_token())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise JournalFault("the disk does not keep up") from None
        with trio.move_on_after(APPEND_WITHIN_S) as scope:
            await job.done.wait()
        if scope.cancelled_caught:
            self.fault = f"the disk did not store within {APPEND_WITHIN_S:g} s"
            raise JournalFault(self.fault)
        if isinstance(job.result, outcome.Error):
            self.fault = str(job.result.error)
            raise JournalFault(self.fault) from job.result.error
        self.fault = None
        return job.result.unwrap()


@asynccontextmanager
async def open_journal(path: Path, now: Now) -> AsyncIterator[SqliteJournal]:
    """Open or create the journal at `path`; at the end what was queued is stored first.

    Raises JournalFault when the file cannot be opened, is no journal, or is of a newer version.
    """
    database = await trio.to_thread.run_sync(_open_database, path)
    jobs: queue.Queue[_Job | None] = queue.Queue(MOST_QUEUED)
    own_thread = trio.CapacityLimiter(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: trio.to_thread.run_sync(_write, database, jobs, limiter=own_thread))
        try:
            yield SqliteJournal(jobs, now)
        finally:
            # The thread ends by itself at the mark; its last batch is bounded by the disk alone.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(jobs.put, None)


def _open_database(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=APPEND_WITHIN_S)
    except sqlite3.Error as error:
        raise JournalFault(f"{path}: {error}") from error
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        _migrate(database)
    except (sqlite3.Error, JournalFault) as error:
        database.close()
        raise JournalFault(f"{path}: {error}") from error
    return database


def _migrate(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise JournalFault(f"the journal is of version {version}; this agent reads up to {SCHEMA_VERSION}")
    if version == SCHEMA_VERSION:
        return
    first = random.SystemRandom().randrange(1, _FIRST_ID_BELOW)
    database.executescript(
        f"BEGIN; {_SCHEMA} INSERT INTO counters VALUES ('transaction', {first});"
        f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def _write(database: sqlite3.Connection, jobs: "queue.Queue[_Job | None]") -> None:
    """The writer thread: everything that waits becomes one transaction."""
    try:
        is_last = False
        while not is_last:
            batch, is_last = _next_batch(jobs)
            _commit(database, batch)
    finally:
        database.close()


def _next_batch(jobs: "queue.Queue[_Job | None]") -> tuple[list[_Job], bool]:
    """Wait for work, take all there is; True: the end mark was among it."""
    batch: list[_Job] = []
    job = jobs.get()
    while job is not None:
        batch.append(job)
        if len(batch) == MOST_IN_A_BATCH:
            return batch, False
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return batch, False
    return batch, True


def _commit(database: sqlite3.Connection, batch: list[_Job]) -> None:
    """One commit for all; where it fails, each alone, so that one bad entry does not take others with it."""
    results = _try_commit(database, batch)
    if results is not None:
        for job, result in zip(batch, results, strict=True):
            job.finish(outcome.Value(result))
        return
    for job in batch:
        job.finish(outcome.capture(_in_transaction, database, partial(job.work, database)))


def _try_commit(database: sqlite3.Connection, batch: list[_Job]) -> list[object] | None:
    if len(batch) == 1:
        return None
    try:
        return _in_transaction(database, lambda: [job.work(database) for job in batch])
    except _UNSTORABLE:
        return None


def _in_transaction(database: sqlite3.Connection, work: Callable[[], Result]) -> Result:
    database.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        database.execute("COMMIT")
    except BaseException:
        _roll_back(database)
        raise
    return result


def _roll_back(database: sqlite3.Connection) -> None:
    if database.in_transaction:
        database.execute("ROLLBACK")


def _store(database: sqlite3.Connection, entry: Entry, received: str) -> Receipt:
    match entry:
        case TransactionStart():
            return _start(database, entry, received)
        case TransactionStop():
            return _stop(database, entry, received)
        case TransactionSample():
            key = None if entry.transaction_id is None else str(entry.transaction_id)
            return _event(database, received, entry.station, key, None, "MeterValues", entry.text)
        case TransactionEvent():
            return _event_2x(database, entry, received)
        case SecurityEvent():
            fields = (received, entry.station, entry.kind, entry.detail, entry.timestamp, entry.text)
            database.execute(
                "INSERT INTO security_events (received, station, kind, detail, timestamp, text)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                fields,
            )
            return Receipt()


def _start(database: sqlite3.Connection, start: TransactionStart, received: str) -> Receipt:
    """Rule 35: the same start sent again while that transaction is open and younger than a day gets the same id."""
    badge = fold_badge(start.badge)
    row = database.execute(
        "SELECT transaction_id FROM transactions WHERE station = ? AND connector = ? AND badge = ? AND meter_start = ?"
        " AND started = ? AND stopped IS NULL AND julianday(received) > julianday(?) - 1",
        (start.station, start.connector, badge, start.meter_start, start.timestamp, received),
    ).fetchone()
    if row is not None:
        return Receipt(int(row[0]), is_repeat=True)
    (number,) = database.execute(
        "UPDATE counters SET value = value % 2147483647 + 1 WHERE name = 'transaction' RETURNING value"
    ).fetchone()
    database.execute(
        "INSERT INTO transactions (key, station, transaction_id, badge, connector, meter_start, started, received)"
        " VALUES (?1, ?2, ?1, ?3, ?4, ?5, ?6, ?7)",
        (str(number), start.station, badge, start.connector, start.meter_start, start.timestamp, received),
    )
    _event(database, received, start.station, str(number), None, "StartTransaction", start.text)
    return Receipt(number)


def _stop(database: sqlite3.Connection, stop: TransactionStop, received: str) -> Receipt:
    """Rule 35: deduplicated by its transaction id; a stop of an unknown id is kept as an event."""
    key = str(stop.transaction_id)
    row = database.execute("SELECT stopped, station FROM transactions WHERE key = ?", (key,)).fetchone()
    is_ours = row is not None and row[1] == stop.station
    if is_ours and row[0] is not None:
        return Receipt(is_repeat=True)
    if is_ours:
        database.execute(
            "UPDATE transactions SET stopped = ?, meter_stop = ?, reason = ? WHERE key = ?",
            (stop.timestamp, stop.meter_stop, stop.reason, key),
        )
    return _event(database, received, stop.station, key if is_ours else None, None, "StopTransaction", stop.text)


def _event_2x(database: sqlite3.Connection, event: TransactionEvent, received: str) -> Receipt:
    if not event.transaction_id:  # nobody can say which transaction it belongs to
        return _event(database, received, event.station, None, event.sequence, event.kind, event.text)
    key = f"{event.station}/{event.transaction_id}"
    receipt = _event(database, received, event.station, key, event.sequence, event.kind, event.text)
    if receipt.is_repeat:
        return receipt
    database.execute(
        "INSERT INTO transactions (key, station, transaction_id, badge, connector, started, received)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key)"
        " DO UPDATE SET badge = CASE badge WHEN '' THEN excluded.badge ELSE badge END",
        (key, event.station, event.transaction_id, fold_badge(event.badge), event.connector, event.timestamp, received),
    )
    if event.kind == "Ended":
        database.execute(
            "UPDATE transactions SET stopped = ?, reason = ? WHERE key = ?", (event.timestamp, event.reason, key)
        )
    return receipt


def _event(
    database: sqlite3.Connection,
    received: str,
    station: str,
    key: str | None,
    sequence: int | None,
    kind: str,
    text: str,
) -> Receipt:
    done = database.execute(
        "INSERT OR IGNORE INTO events (received, station, transaction_key, sequence, kind, text)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (received, station, key, sequence, kind, text),
    )
    return Receipt(is_repeat=done.rowcount == 0)
