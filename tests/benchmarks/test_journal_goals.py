"""What is said of the journal's goals."""

import pytest

from benchmarks.journal import BUSY, Result, session, together, verdict
from benchmarks.machine import busy_seconds


@pytest.mark.parametrize(
    ("is_met", "others", "said"),
    [(True, 0.0, "met"), (True, 1.0, "met"), (False, BUSY, "MISSED"), (False, BUSY + 0.01, "busy")],
)
def test_a_goal_is_missed_only_where_the_machine_was_ours(is_met: bool, others: float, said: str) -> None:
    assert verdict(is_met=is_met, others=others) == said


def test_rounds_count_together() -> None:
    result = together([Result(300, 1.0, [0.001] * 300), Result(100, 1.0, [0.003] * 100)])

    assert (result.rate, result.percentile_ms(50), result.percentile_ms(99)) == (200.0, 1.0, 3.0)


def test_the_events_of_sessions_are_no_repeats_of_each_other() -> None:
    events = [(event.transaction_id, event.sequence) for number in range(2) for event in session("CP-1", number)]

    assert len(set(events)) == len(events)


def test_work_of_the_cores_is_counted() -> None:
    assert busy_seconds() > 0
