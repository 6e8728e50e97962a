"""One session a station: the newest wins, and the end of an old one never unregisters the new one."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from pointsman_agent.liveness import Liveness
from pointsman_agent.session import REPLACED_WITHIN_S, ClonedIdentity, Session, Sessions, keep_alive
from support.fakes import FakeWire

Body = Callable[[Session], Awaitable[None]]


def ending_of(session: Session) -> tuple[int, str, str]:
    return session.ending.code, session.ending.reason, session.ending.error


async def until_asked(session: Session) -> None:
    await session.end_asked.wait()


async def hold(sessions: Sessions, identity: str, body: Body, seen: list[Session]) -> None:
    async with sessions.claim(identity) as session:
        seen.append(session)
        await body(session)


async def test_r7_the_newest_connection_wins_at_once_where_the_old_one_goes(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    sessions, seen = Sessions(), list[Session]()
    for _ in range(3):
        nursery.start_soon(hold, sessions, "CP-1", until_asked, seen)
        await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()

    assert [session.end_asked.is_set() for session in seen] == [True, True, False]
    assert ending_of(seen[0]) == (1000, "replaced by a newer connection", "replaced")
    assert len(sessions) == 1
    assert trio.current_time() == began
    nursery.cancel_scope.cancel()


async def test_r7_an_old_connection_that_does_not_go_delays_the_new_one_by_a_bounded_time(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    sessions, seen = Sessions(), list[Session]()
    stubborn = trio.Event()

    async def until_let(session: Session) -> None:
        await stubborn.wait()

    nursery.start_soon(hold, sessions, "CP-1", until_let, seen)
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    async with sessions.claim("CP-1") as newest:
        assert trio.current_time() - began == pytest.approx(REPLACED_WITHIN_S)
        stubborn.set()
        await seen[0].ended.wait()

        assert len(sessions) == 1
        sessions.end_all(1001, "", "closed")
        assert newest.end_asked.is_set()
    assert len(sessions) == 0


async def test_sessions_of_other_stations_are_left_alone(nursery: trio.Nursery) -> None:
    sessions, seen = Sessions(), list[Session]()
    for identity in ("CP-1", "CP-2"):
        nursery.start_soon(hold, sessions, identity, until_asked, seen)
    await trio.testing.wait_all_tasks_blocked()

    assert [session.end_asked.is_set() for session in seen] == [False, False]
    assert len(sessions) == 2
    nursery.cancel_scope.cancel()


async def test_r54_all_sessions_are_asked_to_end_and_waited_for(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    sessions, seen = Sessions(), list[Session]()

    async def slowly(session: Session) -> None:
        await session.end_asked.wait()
        await trio.sleep(2.0)

    for identity in ("CP-1", "CP-2", "CP-3"):
        nursery.start_soon(hold, sessions, identity, slowly, seen)
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    sessions.end_all(1001, "the controller stops", "closed")
    await sessions.all_ended()

    assert trio.current_time() - began == pytest.approx(2.0)
    assert {ending_of(session) for session in seen} == {(1001, "the controller stops", "closed")}
    assert len(sessions) == 0


async def test_only_the_first_request_to_end_counts() -> None:
    session = Session("CP-1")
    session.end(1012, "changed", "closed")
    session.end(1001, "stops", "closed")

    assert ending_of(session) == (1012, "changed", "closed")


async def test_a_session_that_fails_is_forgotten_too() -> None:
    sessions = Sessions()
    with pytest.raises(ZeroDivisionError):
        async with sessions.claim("CP-1"):
            raise ZeroDivisionError

    assert len(sessions) == 0


async def test_a_peer_that_is_lost_at_a_ping_is_told_of_by_its_reader_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    wire = FakeWire()
    wire.is_lost = True
    with trio.move_on_after(3600.0) as scope:
        await keep_alive(wire, Liveness(interval=30.0, patience=10.0, now=trio.current_time()))

    assert scope.cancelled_caught


async def test_r28_a_peer_that_answers_is_pinged_for_ever_and_a_silent_one_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    began = trio.current_time()
    wire = FakeWire()

    async def answer_for(seconds: float) -> None:
        while trio.current_time() < began + seconds:
            await trio.sleep(1.0)
            wire.last_heard = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_for, 100.5)
        await keep_alive(wire, Liveness(interval=30.0, patience=10.0, now=began))

    assert wire.pings == 4
    assert trio.current_time() - began == pytest.approx(130.0)


async def test_r7_a_newcomer_inherits_the_uplink_that_the_first_is_still_making() -> None:
    sessions, uplink = Sessions(), FakeWire()
    async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as first:
        first.connecting = ("ocpp1.6",)
        async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as second:
            assert first.heir is second
            assert not first.end_asked.is_set()
            second.bequeath(uplink)

            assert await second.inherit() is uplink


async def test_r7_another_offer_does_not_inherit_and_ends_the_first(autojump_clock: trio.testing.MockClock) -> None:
    sessions = Sessions()
    async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as first:
        first.connecting = ("ocpp1.6",)
        async with sessions.claim("CP-1", protocols=("ocpp2.0.1",)) as second:
            assert first.heir is None
            assert first.end_asked.is_set()
            assert second.predecessor is None


async def test_r7_an_heir_whose_predecessor_ends_without_an_uplink_makes_its_own(nursery: trio.Nursery) -> None:
    sessions, seen, leave = Sessions(), list[Session](), trio.Event()

    async def until_leave(session: Session) -> None:
        await leave.wait()

    nursery.start_soon(hold, sessions, "CP-1", until_leave, seen)
    await trio.testing.wait_all_tasks_blocked()
    seen[0].connecting = ("ocpp1.6",)
    async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as second:
        leave.set()

        assert await second.inherit() is None
        assert sessions.is_connected("CP-1")


async def test_r7_what_the_first_failed_with_is_what_the_heir_fails_with() -> None:
    sessions, refusal = Sessions(), ValueError("no uplink")
    async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as first:
        first.connecting = ("ocpp1.6",)
        async with sessions.claim("CP-1", protocols=("ocpp1.6",)) as second:
            second.bequeath(refusal)
            with pytest.raises(ValueError, match="no uplink"):
                await second.inherit()


async def test_r7_a_clone_is_marked_and_the_next_newcomer_waits(autojump_clock: trio.testing.MockClock) -> None:
    sessions = Sessions()
    async with AsyncExitStack() as stack:
        claims = [sessions.claim("CP-1", address=f"10.0.0.{turn % 2}") for turn in range(5)]
        marks = [(await stack.enter_async_context(claim)).is_clone for claim in claims]
        with pytest.raises(ClonedIdentity):
            await stack.enter_async_context(sessions.claim("CP-1", address="10.0.0.1"))

    assert marks == [False, False, False, False, True]
