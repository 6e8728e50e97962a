"""What waits for a slow peer: in order, bounded, and closed after all that was queued."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing
from pointsman_agent.outbox import MOST_WAITING_CHARACTERS, Outbox, OutputBudget
from support.fakes import FakeWire


class Flushes:
    """How often an outbox said that nothing is left, and how much was sent by then."""

    def __init__(self, wire: FakeWire) -> None:
        self._wire = wire
        self.at: list[int] = []

    async def note(self) -> None:
        self.at.append(len(self._wire.sent))


@asynccontextmanager
async def running(wire: FakeWire, outbox: Outbox) -> AsyncIterator[Flushes]:
    """Run `outbox`; leaves when it ended by itself."""
    flushes = Flushes(wire)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run, flushes.note)
            yield flushes


async def test_texts_leave_in_order_and_the_close_after_them() -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    async with running(wire, outbox):
        assert all(outbox.put(text) for text in ("1", "2", "3"))
        outbox.close(1000, "done")

    assert wire.sent == ["1", "2", "3"]
    assert wire.closed == (1000, "done")


async def test_texts_of_before_the_run_leave_too() -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    outbox.put("1")
    outbox.close(1000, "")
    async with running(wire, outbox):
        pass

    assert wire.sent == ["1"]


async def test_r25_flushed_is_told_whenever_nothing_is_left(autojump_clock: trio.testing.MockClock) -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    async with running(wire, outbox) as flushes:
        outbox.put("1")
        outbox.put("2")
        await trio.testing.wait_all_tasks_blocked()
        outbox.put("3")
        await trio.testing.wait_all_tasks_blocked()
        outbox.close(1000, "")

    assert [count for count in flushes.at if count] == [2, 3]


async def test_what_is_put_while_flushed_is_told_is_not_forgotten() -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    more = ["1", "2", "3"]

    async def flushed() -> None:
        await trio.lowlevel.checkpoint()
        if more:
            outbox.put(more.pop(0))
        else:
            outbox.close(1000, "")

    with trio.fail_after(5):
        await outbox.run(flushed)

    assert wire.sent == ["1", "2", "3"]


async def test_r29_a_peer_that_takes_nothing_is_told_of_at_a_mebibyte_and_put_never_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wire = FakeWire()
    wire.mute = trio.Event()
    outbox = Outbox(wire)
    text = "x" * (MOST_WAITING_CHARACTERS // 4)
    async with running(wire, outbox):
        outbox.put(text)
        await trio.testing.wait_all_tasks_blocked()  # the first is with the wire and no longer waits

        assert [outbox.put(text) for _ in range(5)] == [True] * 4 + [False]
        outbox.close(1001, "too slow", discard=True)
        wire.mute.set()

    assert wire.sent == [text]
    assert wire.closed == (1001, "too slow")


async def test_r26_nothing_is_queued_after_the_close() -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    outbox.put("1")
    outbox.close(1000, "first")

    assert not outbox.put("2")
    outbox.close(1001, "second")
    async with running(wire, outbox):
        pass

    assert wire.sent == ["1"]
    assert wire.closed == (1000, "first")


async def test_a_close_that_discards_sends_nothing_more() -> None:
    wire = FakeWire()
    outbox = Outbox(wire)
    outbox.put("1")
    outbox.close(1001, "", discard=True)
    async with running(wire, outbox):
        pass

    assert wire.sent == []


async def test_a_lost_peer_gets_nothing_more_and_ends_in_silence() -> None:
    wire = FakeWire()
    wire.is_lost = True
    outbox = Outbox(wire)
    async with running(wire, outbox):
        outbox.put("1")
        outbox.put("2")
        await trio.testing.wait_all_tasks_blocked()
        wire.is_lost = False
        outbox.put("3")
        outbox.close(1006, "")

    assert wire.sent == []
    assert wire.closed == (1006, "")


async def test_r29_all_outboxes_share_one_budget_and_give_back_what_they_held() -> None:
    budget = OutputBudget(most=10)
    sending, discarding, abandoned = (Outbox(FakeWire(), budget) for _ in range(3))
    assert [outbox.put("1234") for outbox in (sending, discarding, abandoned)] == [True, True, False]

    abandoned.release()
    discarding.close(1001, "", discard=True)
    sending.close(1000, "")
    async with running(FakeWire(), sending):
        pass

    assert budget.change(10)
    assert not budget.change(1)
