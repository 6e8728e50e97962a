"""The journal of a controller: one connection, one writer thread, an async face (see `ports.Journal`).

One connection, since SQLite up to 3.51.2 can corrupt a WAL that two connections write. WAL with synchronous FULL: what
`append` returned for is on the disk.
"""

import queue
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import outcome
import trio

from pointsman_agent.entries import (
    BundleEvent,
    Entry,
    OpenTransaction,
    Receipt,
    SecurityEvent,
    StationFact,
    TransactionRecord,
    may_wait,
)
from pointsman_agent.journal import reading
from pointsman_agent.journal.schema import migrate
from pointsman_agent.journal.storing import forget_before, store, touch
from pointsman_agent.journal.writer import MOST_QUEUED, Job, Jobs, write
from pointsman_agent.ports import JournalFault
from pointsman_agent.tallies import COMMITS_FROM_S, Durations

APPEND_WITHIN_S: Final = 10.0  # a disk that takes longer is broken; the station sends again
# A checkpoint is a pause of some 30 ms for all who wait; the default of 1000 pages has one in every tenth commit under
# load. 64 MiB of WAL are read in a fraction of a second at a restart.
CHECKPOINT_PAGES: Final = 16_000
PAGE: Final = 2_000  # rows of a report; some 20 ms of the writer's time

Result = TypeVar("Result")
Row = TypeVar("Row")
Place = TypeVar("Place")
Fact = tuple[str, str]
"""A station, and the name under which something is remembered of it."""
Now = Callable[[], str]
"""Returns the wall clock as RFC 3339 text in UTC."""


class SqliteJournal:
    """The journal of a controller (see `ports.Journal`). `fault` is why it does not store, None while it does.

    `commits` is how long its commits took; what is read is done in one as well.
    """

    def __init__(self, jobs: Jobs, now: Now, newest: str, facts: set[Fact], commits: Durations) -> None:
        self.commits = commits
        self._jobs = jobs
        self._now = now
        self._facts = facts
        self.newest = newest
        self.fault: str | None = None

    async def append(self, entry: Entry) -> Receipt:
        """Store `entry` durably and return its receipt; raises JournalFault."""
        received = self._now()
        receipt = await self._run(lambda database: store(database, entry, received), waits=may_wait(entry))
        self.fault = None
        self.newest = max(self.newest, received)
        if isinstance(entry, StationFact):
            change = self._facts.discard if entry.value is None else self._facts.add
            change((entry.station, entry.name))
        return receipt

    async def forget_before(self, moment: str, at_most: int) -> int:
        """Delete at most so many rows of each kind from before `moment`; returns how many. Raises JournalFault."""
        return await self._run(lambda database: forget_before(database, moment, at_most))

    async def try_disk(self) -> None:
        """Find out whether the journal stores; `fault` says so afterwards. Never raises."""
        try:
            await self._run(touch)
        except JournalFault:
            return
        self.fault = None

    async def open_transactions(self) -> dict[str, int]:
        """Return how many transactions are open, by station; stations without one are left out. Raises JournalFault."""
        return await self._run(reading.open_transactions)

    async def open_with_badge(self, badge: str) -> list[OpenTransaction]:
        """Return the open transactions of a folded badge number; raises JournalFault."""
        return await self._run(lambda database: reading.open_with_badge(database, badge))

    async def open_of_station(self, station: str) -> list[OpenTransaction]:
        """Return the open transactions of a station, oldest first; raises JournalFault."""
        return await self._run(lambda database: reading.open_of_station(database, station))

    async def transactions_since(self, moment: str, at_most: int = reading.MOST_IN_A_REPORT) -> list[TransactionRecord]:
        """Return the transactions received from `moment` on (RFC 3339, UTC), oldest first; where there are more than
        `at_most`, the newest. Raises JournalFault.

        Read in pages, each a job of its own, so that what stations send is stored in between.
        """
        read = partial(reading.transactions_before, moment=moment)
        found = await self._paged(read, reading.LATEST, lambda row: (row[1].received, row[0]), at_most)
        return [record for _, record in found]

    async def security_events_since(
        self, moment: str, at_most: int = reading.MOST_IN_A_REPORT
    ) -> list[tuple[str, SecurityEvent]]:
        """Return the security log from `moment` on, each event with its time of receipt; as `transactions_since`."""
        read = partial(reading.security_events_before, moment=moment)
        found = await self._paged(read, reading.LAST_NUMBER, lambda row: row[0], at_most)
        return [(received, event) for _, received, event in found]

    async def bundle_events_since(
        self, moment: str, at_most: int = reading.MOST_IN_A_REPORT
    ) -> list[tuple[str, BundleEvent]]:
        """Return what became of bundles from `moment` on, as `security_events_since`."""
        read = partial(reading.bundle_events_before, moment=moment)
        found = await self._paged(read, reading.LAST_NUMBER, lambda row: row[0], at_most)
        return [(received, event) for _, received, event in found]

    async def _paged(
        self, read: Callable[..., list[Row]], place: Place, place_of: Callable[[Row], Place], at_most: int
    ) -> list[Row]:
        """What `read` finds before one place after the other, newest first, turned round."""
        found: list[Row] = []
        while len(found) < at_most:
            size = min(PAGE, at_most - len(found))
            page = await self._run(partial(read, before=place, at_most=size))
            found += page
            if len(page) < size:
                break
            place = place_of(page[-1])
        return found[::-1]

    def has_fact(self, station: str, name: str) -> bool:
        """Whether something is remembered of a station under `name`; each handshake asks, so it is kept at hand."""
        return (station, name) in self._facts

    async def facts_named(self, name: str) -> dict[str, str]:
        """Return what is remembered under `name`, by station; raises JournalFault."""
        return await self._run(lambda database: reading.facts_named(database, name))

    async def facts_of(self, station: str) -> dict[str, str]:
        """Return what is remembered of a station, by name; raises JournalFault."""
        return await self._run(lambda database: reading.facts_of(database, station))

    async def station_of_token(self, token: str) -> str | None:
        """Return the station that the agent asked to start with `token`, None for no token of ours."""
        return await self._run(lambda database: reading.station_of_token(database, token))

    async def _run(self, work: Callable[[sqlite3.Connection], Result], *, waits: bool = False) -> Result:
        job = Job(work, may_wait=waits)
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
        result: Result = job.result.unwrap()  # type: ignore[assignment]  # what `work` returned, through the queue
        return result


@asynccontextmanager
async def open_journal(path: Path, now: Now) -> AsyncIterator[SqliteJournal]:
    """Open or create the journal at `path`; at the end what was queued is stored first.

    Raises JournalFault when the file cannot be opened, is no journal, or is of a newer version.
    """
    database, newest, facts = await trio.to_thread.run_sync(_open_database, path)
    jobs: Jobs = queue.Queue(MOST_QUEUED)
    commits = Durations(COMMITS_FROM_S)
    own_thread = trio.CapacityLimiter(1)
    token = trio.lowlevel.current_trio_token()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: trio.to_thread.run_sync(write, database, jobs, token, commits, limiter=own_thread))
        try:
            yield SqliteJournal(jobs, now, newest, facts, commits)
        finally:
            # The thread ends by itself at the mark; its last batch is bounded by the disk alone.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(jobs.put, None)


def _open_database(path: Path) -> tuple[sqlite3.Connection, str, set[Fact]]:
    try:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=APPEND_WITHIN_S)
    except sqlite3.Error as error:
        raise JournalFault(f"{path}: {error}") from error
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        migrate(database)
        return database, reading.newest(database), reading.fact_names(database)
    except (sqlite3.Error, JournalFault) as error:
        database.close()
        raise JournalFault(f"{path}: {error}") from error
