"""Old entries go, a full disk is noticed and overcome, a clock that went back is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trio
from pointsman_agent.entries import OwnStart, SecurityEvent, TransactionEvent, TransactionSample, TransactionStart
from pointsman_agent.inforce import Holder
from pointsman_agent.journal import SqliteJournal, open_journal
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.upkeep import LOOK_EVERY_S, STEP, forget_old, keep_well
from pointsman_agent.wallclock import TOLERANCE, is_behind
from support.fakes import NOON, FakeClock

AT = "2026-11-22T12:00:00Z"


@asynccontextmanager
async def a_journal(folder: Path, clock: FakeClock) -> AsyncIterator[SqliteJournal]:
    async with open_journal(folder / "j.sqlite3", lambda: rfc3339(clock.now())) as journal:
        yield journal


def start(station: str = "CP-1", at: str = AT) -> TransactionStart:
    return TransactionStart(station, "[2]", 1, "04AB", 10, at)


async def test_what_is_older_than_the_kept_days_goes_and_nothing_else(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_journal(tmp_path, clock) as journal:
        await journal.append(start("OLD"))
        await journal.append(SecurityEvent("OLD", "k", "", ""))
        await journal.append(OwnStart("OLD", "token"))
        clock.advance(days=9)
        await journal.append(start("NEW"))
        await journal.append(SecurityEvent("NEW", "k", "", ""))
        clock.advance(days=1, seconds=1)

        gone = await forget_old(journal, 10, clock.now())

        assert gone == 4  # the transaction, its event, the line of the log, the token
        assert [each.station for each in await journal.transactions_since("")] == ["NEW"]
        assert [event.station for _, event in await journal.security_events_since("")] == ["NEW"]
        assert await journal.station_of_token("token") is None
        assert await forget_old(journal, 10, clock.now()) == 0


async def test_a_transaction_that_lasts_is_kept_while_it_has_events(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_journal(tmp_path, clock) as journal:
        receipt = await journal.append(start())
        clock.advance(days=8)
        await journal.append(TransactionSample("CP-1", "[2]", receipt.transaction_id, 500))
        clock.advance(days=8)

        await forget_old(journal, 10, clock.now())

        assert await journal.open_transactions() == {"CP-1": 1}


async def test_deleting_many_lets_others_in_between(tmp_path: Path) -> None:
    clock = FakeClock()
    async with a_journal(tmp_path, clock) as journal:
        async with trio.open_nursery() as nursery:
            for number in range(3 * STEP):
                nursery.start_soon(journal.append, SecurityEvent(f"CP-{number}", "k", "", ""))
        clock.advance(days=11)
        order: list[str] = []

        async def forget() -> None:
            await forget_old(journal, 10, clock.now())
            order.append("forgotten")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(forget)
            await journal.append(start())
            order.append("stored")

        assert order == ["stored", "forgotten"]
        assert await journal.security_events_since("") == []


async def test_a_day_before_the_calendar_begins_forgets_nothing(tmp_path: Path) -> None:
    async with a_journal(tmp_path, FakeClock()) as journal:
        await journal.append(start())

        assert await forget_old(journal, 3650, NOON) == 0


class ThinDisk:
    """A journal whose disk is full until `has_room`; counts who tries it."""

    def __init__(self) -> None:
        self.fault: str | None = "database or disk is full"
        self.newest = ""
        self.has_room = False
        self.tries = 0

    async def try_disk(self) -> None:
        await trio.lowlevel.checkpoint()
        self.tries += 1
        if self.has_room:
            self.fault = None

    async def forget_before(self, moment: str, at_most: int) -> int:
        await trio.lowlevel.checkpoint()
        return 0


async def test_r36_a_full_disk_shows_in_the_status_until_it_has_room(autojump_clock: trio.testing.MockClock) -> None:
    disk, clock = ThinDisk(), FakeClock()
    status = Status("0", clock)
    status.active = BundleInForce("sha256:a", 1, AT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_well, disk, Holder(), status, clock)
        await trio.sleep(3 * LOOK_EVERY_S + 1)
        full = (status.state(), status.snapshot(None, {})["journal"])
        disk.has_room = True
        await trio.sleep(LOOK_EVERY_S + 1)
        nursery.cancel_scope.cancel()

    assert full == ("degraded", {"fault": "database or disk is full"})
    assert disk.tries == 5
    assert (status.state(), status.journal_fault) == ("running", None)


async def test_r41_a_clock_below_what_was_stored_is_told(autojump_clock: trio.testing.MockClock) -> None:
    disk, clock = ThinDisk(), FakeClock()
    disk.fault, disk.newest = None, "2026-11-22T12:05:00Z"
    status = Status("0", clock)
    status.active = BundleInForce("sha256:a", 1, AT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_well, disk, Holder(), status, clock)
        await trio.sleep(1)
        behind = status.state()
        clock.advance(minutes=5)
        await trio.sleep(LOOK_EVERY_S + 1)
        nursery.cancel_scope.cancel()

    assert (behind, status.state()) == ("clock", "running")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (timedelta(0), False),
        (TOLERANCE, False),
        (TOLERANCE + timedelta(seconds=1), True),
        (timedelta(days=20000), True),
    ],
)
def test_r41_a_clock_that_is_set_back_a_little_is_still_right(step: timedelta, expected: bool) -> None:
    assert is_behind(NOON - step, "", AT, "2020-01-01T00:00:00Z") is expected


def test_r41_where_nothing_is_known_any_clock_will_do() -> None:
    assert not is_behind(NOON.replace(year=1970), "", "")


async def test_energy_of_a_transaction_is_what_its_meter_says(tmp_path: Path) -> None:
    async with a_journal(tmp_path, FakeClock()) as journal:
        for sequence, kind, energy in ((0, "Started", 1000), (1, "Updated", 1500), (2, "Updated", None)):
            await journal.append(TransactionEvent("CP-1", "[2]", "t", sequence, kind, "04AB", AT, "", 0, 1, energy))
        (running,) = await journal.transactions_since("")
        await journal.append(TransactionEvent("CP-1", "[2]", "t", 3, "Ended", "", AT, "Local", 0, 1, 2600))
        (ended,) = await journal.transactions_since("")

    assert (running.energy_wh, running.stopped) == (500, None)
    assert (ended.energy_wh, ended.reason, ended.ended) == (1600, "Local", AT)
