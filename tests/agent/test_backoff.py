"""When a supervision may be tried again."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.backoff import FIRST_WAIT_S, LONGEST_RETRY_AFTER_S, Backoff


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


def waits(backoff: Backoff, count: int) -> list[float]:
    now, found = 100.0, []
    for _ in range(count):
        backoff.failed(now)
        found.append(backoff.remaining(now))
        now += backoff.remaining(now)
    return found


def test_nobody_waits_before_a_failure() -> None:
    assert Backoff(always(0.5)).remaining(0.0) == 0.0


def test_r27_one_second_doubles_to_fifteen() -> None:
    assert waits(Backoff(always(1.0)), 7) == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_r27_the_wait_is_jittered_by_up_to_half() -> None:
    assert waits(Backoff(always(0.0)), 5) == [0.5, 1.0, 2.0, 4.0, 7.5]


def test_failures_during_the_wait_do_not_lengthen_it() -> None:
    backoff = Backoff(always(1.0))
    backoff.failed(10.0)
    backoff.failed(10.5)

    assert backoff.remaining(10.5) == 0.5
    assert backoff.remaining(11.0) == 0.0


def test_success_forgets_all_failures() -> None:
    backoff = Backoff(always(1.0))
    waits(backoff, 6)
    backoff.succeeded()

    assert backoff.remaining(0.0) == 0.0
    assert waits(backoff, 1) == [FIRST_WAIT_S]


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(None, 1.0), (0.0, 1.0), (0.2, 1.0), (7.0, 7.0), (60.0, 60.0), (3600.0, 300.0), (float("inf"), 300.0)],
)
def test_r27_retry_after_lengthens_the_wait_within_its_bound(retry_after: float | None, wait: float) -> None:
    backoff = Backoff(always(1.0))
    backoff.failed(0.0, retry_after=retry_after)

    assert backoff.remaining(0.0) == wait


@given(
    st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 1e9)), max_size=40),
    st.floats(0, 1, exclude_max=True),
)
def test_nobody_ever_waits_longer_than_the_bound(failures: list[tuple[float, float | None]], chance: float) -> None:
    backoff, now = Backoff(always(chance)), 0.0
    for delay, retry_after in failures:
        now += delay
        backoff.failed(now, retry_after=retry_after)
        assert 0.0 <= backoff.remaining(now) <= LONGEST_RETRY_AFTER_S + 1e-6
