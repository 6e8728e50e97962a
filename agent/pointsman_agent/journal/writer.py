"""The one thread that writes: everything that waits becomes one commit (rule 36).

A batch is what queued during the last fsync: group commit without a timer. Entries that may wait are the exception:
while nothing else is there, they are gathered, so that meter values alone cost a controller's flash a few commits a
second and not one each. A few go at once (a quiet site notices nothing), and so does a group that is large enough.
"""

import queue
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import outcome
import trio

from pointsman_agent.ports import JournalFault
from pointsman_agent.tallies import Durations

MOST_QUEUED: Final = 1024  # entries before callers are told of a fault
MOST_IN_A_BATCH: Final = 256
# Rule 36 admits 1 s; a station that sends what it queued while offline has each of them answered before the next.
GATHER_WITHIN_S: Final = 0.25
GATHERED: Final = 32  # entries; a commit for so many is cheap enough
FREE_COMMITS: Final = 16  # of entries that may wait, before they have to; they come back one every GATHER_WITHIN_S

# What one entry can do to a commit: a broken disk or file, a number or text that SQLite does not take.
_UNSTORABLE: Final = (sqlite3.Error, OverflowError, UnicodeEncodeError)

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], object]


class Job:
    """A piece of work for the writer thread and the task that waits for it."""

    __slots__ = ("done", "may_wait", "result", "work")

    def __init__(self, work: Work, *, may_wait: bool = False) -> None:
        self.work = work
        self.may_wait = may_wait
        self.done = trio.Event()
        self.result: outcome.Outcome[object] = outcome.Error(JournalFault("the journal has ended"))


class Pace:
    """When a group that may wait has to be committed: at once while free commits are left, then at intervals."""

    def __init__(self) -> None:
        self._spent_until = 0.0

    def moment(self) -> float:
        """Return the time (of time.monotonic) from which on the next such commit is due."""
        return self._spent_until - (FREE_COMMITS - 1) * GATHER_WITHIN_S

    def spend(self, now: float) -> None:
        """Count one."""
        self._spent_until = max(self._spent_until, now) + GATHER_WITHIN_S


Jobs = queue.Queue[Job | None]


def write(database: sqlite3.Connection, jobs: Jobs, token: trio.lowlevel.TrioToken, commits: Durations) -> None:
    """Commit what comes until the end mark; the connection is closed then. For a thread of its own.

    Tasks are woken through `token`, once a batch: waking each by itself costs as much as storing. How long each batch
    took goes into `commits`.
    """
    pace = Pace()
    try:
        is_last = False
        while not is_last:
            batch, is_last = next_batch(jobs, pace)
            began = time.monotonic()
            _commit(database, batch)
            commits.add(time.monotonic() - began)
            token.run_sync_soon(_wake, batch)
    finally:
        database.close()


def next_batch(jobs: Jobs, pace: Pace) -> tuple[list[Job], bool]:
    """Wait for work, return all that one commit is to store; True: the end mark was among it."""
    batch: list[Job] = []
    may_wait = True
    job = jobs.get()
    while job is not None:
        batch.append(job)
        may_wait = may_wait and job.may_wait
        if len(batch) == MOST_IN_A_BATCH:
            return batch, False
        try:
            job = _next_job(jobs, pace, may_wait=may_wait and len(batch) < GATHERED)
        except queue.Empty:
            return batch, False
    return batch, True


def _next_job(jobs: Jobs, pace: Pace, *, may_wait: bool) -> Job | None:
    """Raises queue.Empty when the batch is to be committed as it is."""
    try:
        return jobs.get_nowait()
    except queue.Empty:
        if not may_wait:
            raise
    now = time.monotonic()
    try:
        return jobs.get(timeout=max(pace.moment() - now, 0.000_001))
    except queue.Empty:
        pace.spend(time.monotonic())
        raise


def _commit(database: sqlite3.Connection, batch: list[Job]) -> None:
    """One commit for all; where it fails, each alone, so that one bad entry does not take others with it."""
    results = _try_commit(database, batch)
    if results is not None:
        for job, result in zip(batch, results, strict=True):
            job.result = outcome.Value(result)
        return
    for job in batch:
        job.result = outcome.capture(_in_transaction, database, partial(job.work, database))


def _wake(batch: list[Job]) -> None:
    for job in batch:
        job.done.set()


def _try_commit(database: sqlite3.Connection, batch: list[Job]) -> list[object] | None:
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
