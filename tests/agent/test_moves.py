"""When a station that changes its operator moves (rule 44)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.activation.moves import QUIET_S, Due, Seen, due

NEVER = float("-inf")


def ask(seen: Seen, *, charging: bool = False, heard: float = NEVER, late: bool = False, now: float = 1000.0) -> Due:
    return due(seen, may_be_charging=charging, heard_transaction=heard, is_late=late, now=now)


def test_r44_a_station_that_stayed_moves_as_soon_as_nothing_is_open() -> None:
    there = Seen(connected_since=1000.0, was_there=True)

    assert ask(there, charging=True) is Due.NOT_YET
    assert ask(there, charging=False) is Due.FREE


@pytest.mark.parametrize(("heard", "first"), [(NEVER, 900.0 + QUIET_S), (930.0, 930.0 + QUIET_S)])
def test_r44_a_station_that_came_moves_a_minute_after_its_last_transaction_message(heard: float, first: float) -> None:
    came = Seen(connected_since=900.0)

    assert ask(came, heard=heard, now=first - 0.1) is Due.NOT_YET
    assert ask(came, heard=heard, now=first) is Due.FREE
    assert ask(came, heard=heard, now=first, charging=True) is Due.NOT_YET


def test_r44_a_station_that_is_away_waits() -> None:
    assert ask(Seen()) is Due.NOT_YET


@pytest.mark.parametrize(
    ("seen", "charging", "verdict"),
    [
        (Seen(connected_since=1.0), True, Due.LATE),
        (Seen(connected_since=999.0), False, Due.FREE),
        (Seen(), False, Due.LATE),
    ],
)
def test_r44_from_its_deadline_on_a_station_moves_as_it_is(seen: Seen, charging: bool, verdict: Due) -> None:
    assert ask(seen, charging=charging, late=True) is verdict


@given(
    since=st.none() | st.floats(0, 2000),
    was_there=st.booleans(),
    charging=st.booleans(),
    heard=st.floats(0, 2000),
    now=st.floats(0, 2000),
)
def test_r44_nobody_moves_early_while_something_may_be_open(
    since: float | None, was_there: bool, charging: bool, heard: float, now: float
) -> None:
    verdict = ask(Seen(since, was_there), charging=charging, heard=heard, now=now)

    assert verdict is not Due.LATE
    if charging or since is None:
        assert verdict is Due.NOT_YET
