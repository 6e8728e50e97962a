"""Followers of the status: each is told what is new to it, at a pace that costs the agent little."""

import copy
from typing import Any

import pytest
import trio
from pointsman_agent.live import LOOK_EVERY_S, MOST_FOLLOWERS, REST, SIGN_OF_LIFE_EVERY_S, Live, TooManyFollowers
from trio.testing import MockClock


class Agent:
    """A status that a test changes; looking at it takes `cost_s` of a processor."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {"state": "running", "stations": []}
        self.cost_s = 0.0
        self.spent_s = 0.0
        self.looks = 0
        self.set("CP-1", connected=False)
        self.set("CP-2", connected=False)

    def set(self, station: str, **changes: Any) -> None:
        rows = {row["station"]: row for row in self.status["stations"]}
        rows[station] = {"station": station, "lastSent": None, **rows.get(station, {}), **changes}
        self.status["stations"] = list(rows.values())

    async def snapshot(self) -> dict[str, Any]:
        self.looks += 1
        self.spent_s += self.cost_s
        await trio.lowlevel.checkpoint()
        return copy.deepcopy(self.status)


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def live(agent: Agent, nursery: trio.Nursery) -> Live:
    live = Live(agent.snapshot, lambda: agent.spent_s)
    nursery.start_soon(live.run)
    return live


async def test_who_begins_to_follow_is_told_all(live: Live, autojump_clock: MockClock) -> None:
    async with live.following(None) as follower:
        news = await follower.next()

    assert news is not None
    assert (news.status, news.is_whole) == ({"state": "running"}, True)
    assert [row["station"] for row in news.stations] == ["CP-1", "CP-2"]


async def test_then_only_what_is_new(live: Live, agent: Agent, autojump_clock: MockClock) -> None:
    async with live.following(None) as follower:
        await follower.next()
        agent.set("CP-2", connected=True)
        began = trio.current_time()
        news = await follower.next()
        took = trio.current_time() - began
        nothing = await follower.next()

    assert news is not None
    assert (news.status, news.is_whole) == (None, False)
    assert [(row["station"], row["connected"]) for row in news.stations] == [("CP-2", True)]
    assert took == pytest.approx(LOOK_EVERY_S)
    assert nothing is None
    assert trio.current_time() == pytest.approx(began + took + SIGN_OF_LIFE_EVERY_S)


async def test_a_message_that_passed_is_news_to_who_follows_its_station_alone(
    live: Live, agent: Agent, autojump_clock: MockClock
) -> None:
    async with live.following(None) as of_all, live.following("CP-1") as of_one:
        await of_all.next()
        await of_one.next()
        agent.set("CP-1", lastSent="2026-11-22T12:00:00Z")

        news = await of_one.next()
        assert news is not None
        assert [row["lastSent"] for row in news.stations] == ["2026-11-22T12:00:00Z"]
        assert of_all.take() is None


async def test_a_station_that_comes_or_goes_makes_all_of_them_news(
    live: Live, agent: Agent, autojump_clock: MockClock
) -> None:
    async with live.following(None) as follower:
        await follower.next()
        agent.set("CP-3")
        news = await follower.next()

    assert news is not None
    assert (news.is_whole, len(news.stations)) == (True, 3)


async def test_a_follower_that_was_away_is_told_the_last_state_only(
    live: Live, agent: Agent, autojump_clock: MockClock
) -> None:
    async with live.following(None) as follower:
        await follower.next()
        for number in range(20):
            agent.set("CP-1", queue=number)
            await trio.sleep(LOOK_EVERY_S)
        news = await follower.next()

    assert news is not None
    assert [row["queue"] for row in news.stations] == [19]


async def test_nobody_looks_while_nobody_follows(live: Live, agent: Agent, autojump_clock: MockClock) -> None:
    await trio.sleep(100)
    assert agent.looks == 0
    async with live.following(None) as follower:
        await follower.next()
    looks = agent.looks
    await trio.sleep(100)
    assert agent.looks <= looks + 1


async def test_looks_that_take_long_are_made_less_often(live: Live, agent: Agent, autojump_clock: MockClock) -> None:
    agent.cost_s = 1.0
    async with live.following(None) as follower:
        await follower.next()
        began = trio.current_time()
        await follower.next_look()

    assert trio.current_time() - began == pytest.approx(REST * agent.cost_s)


async def test_what_takes_long_to_tell_is_told_less_often(live: Live, agent: Agent, autojump_clock: MockClock) -> None:
    def say() -> bytes:
        agent.spent_s += 3.0
        return b"said"

    async with live.following(None) as follower:
        await follower.next()
        began = trio.current_time()
        assert await follower.tell(say) == b"said"
        await follower.next_look()  # which may have begun meanwhile
        await follower.next_look()

    assert trio.current_time() - began >= REST * 3.0


async def test_a_look_that_fails_is_logged_and_made_again(
    live: Live, agent: Agent, autojump_clock: MockClock, bugs: list[str]
) -> None:
    bugs.append("status not looked at")
    well = agent.status
    async with live.following(None) as follower:
        agent.status = {"state": "running"}
        assert await follower.next() is None
        agent.status = well
        assert await follower.next() is not None


async def test_followers_are_bounded_and_their_places_given_back(live: Live, autojump_clock: MockClock) -> None:
    async def follow(task_status: trio.TaskStatus[None]) -> None:
        async with live.following(None):
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(MOST_FOLLOWERS):
            await nursery.start(lambda task_status: follow(task_status))
        with pytest.raises(TooManyFollowers):
            async with live.following(None):
                pass
        nursery.cancel_scope.cancel()
    async with live.following(None) as follower:
        assert await follower.next() is not None
