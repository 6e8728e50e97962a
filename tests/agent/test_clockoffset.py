"""How far a supervision's clock is from ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.clockoffset import SAMPLES_KEPT, ClockOffset, read_rfc3339

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def test_r41_half_the_round_trip_is_added_to_what_the_supervision_says() -> None:
    clock = ClockOffset()
    clock.measure("2026-11-22T12:00:59Z", received=NOON, round_trip_s=2.0)

    assert clock.seconds == 60.0


def test_r41_the_least_round_trip_of_the_last_ten_counts() -> None:
    clock = ClockOffset()
    clock.measure("2026-11-22T12:00:05Z", received=NOON, round_trip_s=0.0)
    for _ in range(SAMPLES_KEPT - 1):
        clock.measure("2026-11-22T12:01:00Z", received=NOON, round_trip_s=9.0)
    best_is_kept = clock.seconds
    clock.measure("2026-11-22T12:01:00Z", received=NOON, round_trip_s=9.0)

    assert best_is_kept == 5.0
    assert clock.seconds == 64.5


def test_what_is_no_time_measures_nothing() -> None:
    clock = ClockOffset()

    assert clock.measure("", received=NOON, round_trip_s=1.0) is None
    assert clock.seconds is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22t12:00:00z", NOON),
        ("2026-11-22 12:00:00Z", NOON),
        ("2026-11-22T13:00:00+01:00", NOON),
        ("2026-11-22T06:30:00-05:30", NOON),
        ("2026-11-22T12:00:00.000Z", NOON),
        ("2026-11-22T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-11-22T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read_in_all_its_forms(text: str, moment: datetime) -> None:
    assert read_rfc3339(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00",
        "2026-11-22",
        "2026-02-30T12:00:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T12:00:00+99:00",
        "0001-01-01T00:00:00+23:59",
        "20261122T120000Z",
        "٢٠٢٦-11-22T12:00:00Z",
        "2026-11-22T12:00:00Z\n",
        "1970",
    ],
)
def test_what_is_no_rfc_3339_is_none(text: str) -> None:
    assert read_rfc3339(text) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert read_rfc3339(text) is None or text
