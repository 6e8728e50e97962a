"""Watching messages: free while nobody does, bounded while somebody does, each message told once."""

import pytest
import trio
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.tail import MOST_QUEUED, MOST_QUEUED_CHARACTERS, MOST_WATCHERS, Tail, Tap, TooManyWatchers, Watcher
from support.fakes import NOON, FakeClock

CALL = '[2,"1","Heartbeat",{}]'


class Connection:
    """Something that can be watched."""

    def __init__(self) -> None:
        self.tap: Tap | None = None


@pytest.fixture
def tail() -> Tail:
    """A tail nobody watches yet."""
    return Tail(FakeClock().now)


def tapped(*connections: Connection) -> tuple[bool, ...]:
    """Return which of them have a tap."""
    return tuple(connection.tap is not None for connection in connections)


async def told(watcher: Watcher) -> list[tuple[str, str, str]]:
    """Return what a watcher was told: station, direction, text."""
    with trio.fail_after(1):
        batch, _ = await watcher.take(100)
    return [(passed.station, passed.direction, passed.text) for passed in batch]


def test_a_connection_has_no_tap_while_nobody_watches_it(tail: Tail) -> None:
    first, second = Connection(), Connection()
    with tail.joined("A", first), tail.joined("B", second):
        seen = [tapped(first, second)]
        with tail.watch("A"):
            seen.append(tapped(first, second))
            with tail.watch(None):
                seen.append(tapped(first, second))
            seen.append(tapped(first, second))
        seen.append(tapped(first, second))

    none, one, both = (False, False), (True, False), (True, True)
    assert seen == [none, one, both, one, none]


def test_a_connection_that_comes_or_goes_while_it_is_watched(tail: Tail) -> None:
    connection = Connection()
    with tail.watch("A"):
        with tail.joined("A", connection):
            assert tapped(connection) == (True,)
        assert tapped(connection) == (False,)


async def test_each_watcher_is_told_of_its_station(tail: Tail) -> None:
    first, second = Connection(), Connection()
    with (
        tail.joined("A", first),
        tail.joined("B", second),
        tail.watch("A") as one,
        tail.watch(None) as every,
    ):
        assert first.tap is not None
        assert second.tap is not None
        first.tap.received(Side.STATION, CALL)
        second.tap.sent(Side.STATION, CALL)

        assert await told(one) == [("A", "from-station", CALL)]
        assert await told(every) == [("A", "from-station", CALL), ("B", "to-station", CALL)]


async def test_a_message_that_is_passed_on_is_told_once_and_one_of_the_agents_own_too(tail: Tail) -> None:
    connection = Connection()
    with tail.joined("A", connection), tail.watch(None) as watcher:
        assert connection.tap is not None
        connection.tap.received(Side.STATION, CALL)
        connection.tap.sent(Side.SUPERVISION, CALL)
        connection.tap.sent(Side.STATION, "[3,1,{}]")
        connection.tap.dropped(Side.SUPERVISION, "envelope", "junk")
        batch, _ = await watcher.take(100)

    assert [(passed.direction, passed.text, passed.dropped) for passed in batch] == [
        ("from-station", CALL, None),
        ("to-station", "[3,1,{}]", None),
        ("from-supervision", "junk", "envelope"),
    ]
    assert batch[0].at == NOON


async def test_a_watcher_that_does_not_read_misses_and_is_told_how_many(tail: Tail) -> None:
    connection = Connection()
    with tail.joined("A", connection), tail.watch(None) as watcher:
        assert connection.tap is not None
        for number in range(MOST_QUEUED + 5):
            connection.tap.sent(Side.STATION, str(number))
        first = await watcher.take(MOST_QUEUED - 1)
        second = await watcher.take(MOST_QUEUED)
        connection.tap.sent(Side.STATION, "later")
        third = await watcher.take(1)

    assert [passed.text for passed in first[0]] == [str(number) for number in range(MOST_QUEUED - 1)]
    assert first[1] == 0
    assert ([passed.text for passed in second[0]], second[1]) == ([str(MOST_QUEUED - 1)], 5)
    assert ([passed.text for passed in third[0]], third[1]) == (["later"], 0)


async def test_what_waits_for_a_watcher_is_bounded_in_characters_too(tail: Tail) -> None:
    connection = Connection()
    with tail.joined("A", connection), tail.watch(None) as watcher:
        assert connection.tap is not None
        for _ in range(5):
            connection.tap.sent(Side.STATION, "x" * (MOST_QUEUED_CHARACTERS // 2))
        batch, missed = await watcher.take(100)

        assert (len(batch), missed) == (2, 3)


def test_watchers_are_bounded_in_number(tail: Tail) -> None:
    watching = [tail.watch(None) for _ in range(MOST_WATCHERS)]
    for each in watching:
        each.__enter__()
    with pytest.raises(TooManyWatchers), tail.watch(None):
        pass
    watching[0].__exit__(None, None, None)
    with tail.watch(None):
        pass
