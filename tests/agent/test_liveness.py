"""A peer's life as a script of moments."""

from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.liveness import Due, Liveness, of_station, of_supervision


def a_liveness(interval: float = 30.0, patience: float = 10.0) -> Liveness:
    return Liveness(interval=interval, patience=patience, now=0.0)


def test_r24_a_ping_is_due_after_each_interval_and_not_before() -> None:
    alive = a_liveness()

    assert alive.moment() == 30.0
    assert alive.due(29.9, last_heard=0.0) is Due.NOTHING
    assert alive.due(30.0, last_heard=0.0) is Due.PING
    assert alive.due(31.0, last_heard=30.5) is Due.NOTHING
    assert alive.moment() == 60.0
    assert alive.due(60.0, last_heard=30.5) is Due.PING


def test_r24_no_byte_within_message_timeout_of_a_ping_loses_the_link() -> None:
    alive = of_supervision(ping_interval=30, message_timeout=10, now=0.0)
    alive.due(30.0, last_heard=29.0)

    assert alive.moment() == 40.0
    assert alive.due(39.9, last_heard=29.0) is Due.NOTHING
    assert alive.due(40.0, last_heard=29.0) is Due.LOST


def test_r24_any_byte_counts_as_life() -> None:
    alive = of_supervision(ping_interval=30, message_timeout=10, now=0.0)
    alive.due(30.0, last_heard=29.0)

    assert alive.due(40.0, last_heard=39.99) is Due.NOTHING
    assert alive.moment() == 60.0


def test_r24_a_message_timeout_longer_than_the_interval_counts_from_the_first_unheard_ping() -> None:
    alive = of_supervision(ping_interval=10, message_timeout=25, now=0.0)
    pings = [moment for moment in (10.0, 20.0, 30.0) if alive.due(moment, last_heard=5.0) is Due.PING]

    assert pings == [10.0, 20.0, 30.0]
    assert alive.moment() == 35.0
    assert alive.due(35.0, last_heard=5.0) is Due.LOST


def test_r28_a_station_is_lost_after_two_silent_intervals() -> None:
    alive = of_station(ping_interval=20, now=0.0)
    dues = {moment: alive.due(moment, last_heard=0.0) for moment in (20.0, 39.9, 40.0)}

    assert dues == {20.0: Due.PING, 39.9: Due.NOTHING, 40.0: Due.LOST}


def test_pings_that_were_missed_are_not_made_up_for() -> None:
    alive = a_liveness(interval=30.0, patience=1000.0)

    for late in (90.0, 200.0):
        assert alive.due(late, last_heard=late) is Due.PING
        assert alive.due(late, last_heard=late) is Due.NOTHING
        assert late < alive.moment() <= late + 30.0


@given(
    st.floats(0.5, 60),
    st.floats(0.5, 60),
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30),
    st.sampled_from([0.0, 0.1, 1e6 + 0.3]),
)
def test_asking_at_its_moment_always_moves_on(
    interval: float, patience: float, delays: list[tuple[float, bool]], start: float
) -> None:
    alive = Liveness(interval=interval, patience=patience, now=start)
    now = heard = start
    for delay, is_heard in delays:
        now = max(now, alive.moment()) + delay
        heard = now if is_heard else heard
        if alive.due(now, last_heard=heard) is Due.LOST:
            assert not is_heard
            return
        assert alive.moment() > now
