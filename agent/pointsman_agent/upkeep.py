"""Keeps the journal well while the agent runs: old entries go in small steps, a full disk is noticed when it has room.

Where nothing is stored because nobody dares to send, nothing would tell that the disk is well again: the journal is
tried at intervals while it has a fault.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog
import trio

from pointsman_agent.inforce import Holder
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, JournalFault
from pointsman_agent.status import Status
from pointsman_agent.wallclock import is_behind

LOOK_EVERY_S: Final = 5.0  # at fault and clock; ours to choose
FORGET_EVERY_S: Final = 3600.0
STEP: Final = 200  # rows of a kind; some milliseconds of the writer's time
STEP_PAUSE_S: Final = 0.05  # between two steps, for those who wait to be answered

log = structlog.get_logger()


class KeptJournal(Protocol):
    """What the upkeep asks of the journal."""

    @property
    def fault(self) -> str | None:
        """Why it does not store."""

    @property
    def newest(self) -> str:
        """When its newest entry was received."""

    async def try_disk(self) -> None:
        """Find out whether it stores."""

    async def forget_before(self, moment: str, at_most: int) -> int:
        """Delete some rows from before `moment`; returns how many."""


async def keep_well(journal: KeptJournal, holder: Holder, status: Status, clock: Clock) -> None:
    """Look after the journal and the clock until cancelled. Never fails: what does not work is in the status."""
    forgotten_at = -float("inf")
    while True:
        await _look(journal, status, clock)
        current = holder.current
        is_due = trio.current_time() >= forgotten_at + FORGET_EVERY_S
        if is_due and current is not None and journal.fault is None and not status.is_clock_behind:
            await forget_old(journal, current.routing.config.journal.keep_days, clock.now())
            forgotten_at = trio.current_time()
        await trio.sleep(LOOK_EVERY_S)


async def forget_old(journal: KeptJournal, keep_days: int, now: datetime) -> int:
    """Delete what is older than `keep_days`, step by step so that nobody waits for it; returns how many rows."""
    gone = 0
    before = rfc3339(max(now - timedelta(days=keep_days), datetime.min.replace(tzinfo=UTC)))
    try:
        while (step := await journal.forget_before(before, STEP)) > 0:
            gone += step
            await trio.sleep(STEP_PAUSE_S)
    except JournalFault as error:
        log.error("old entries not deleted", error=str(error))
    if gone:
        log.info("old entries deleted", rows=gone, before=before)
    return gone


async def _look(journal: KeptJournal, status: Status, clock: Clock) -> None:
    if journal.fault is not None:
        await journal.try_disk()
    if journal.fault is None and status.journal_fault is not None:
        log.info("the journal stores again")
    status.journal_fault = journal.fault
    was_behind = status.is_clock_behind
    status.is_clock_behind = is_behind(clock.now(), journal.newest, "" if status.active is None else status.active.at)
    if status.is_clock_behind and not was_behind:
        log.error("the clock went back", now=rfc3339(clock.now()), newest=journal.newest)
