"""Whether a bundle stays, told from the uplinks that it changed (rule 47)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.activation.probation import Probation, Verdict

TLS = "tls (unknown authority)"
ENDS = 120.0


def a_probation(size: int = 40, others: dict[str, str] | None = None, exempt: tuple[str, ...] = ()) -> Probation:
    touched = {f"CP-{number}": "acme" for number in range(size)} | (others or {})
    return Probation(touched, exempt, began=0.0, ends=ENDS)


def fail(probation: Probation, *numbers: int, why: str = TLS) -> None:
    for number in numbers:
        probation.failed(f"CP-{number}", "acme", why)


def test_r47_a_tenth_may_fail() -> None:
    probation = a_probation(40)
    fail(probation, 0, 1, 2, 3)

    assert probation.verdict(1.0) is Verdict.OPEN


def test_r47_more_than_a_tenth_fails_at_once() -> None:
    probation = a_probation(40)
    fail(probation, *range(5))

    assert probation.verdict(1.0) is Verdict.FAILED
    assert probation.reason(30.0) == "5 of 40 uplinks to acme failed within 30 s: tls (unknown authority)"


def test_r47_one_of_a_few_may_fail_and_two_may_not() -> None:
    probation = a_probation(3)
    fail(probation, 0)
    assert probation.verdict(1.0) is Verdict.OPEN

    fail(probation, 1)
    assert probation.verdict(1.0) is Verdict.FAILED


def test_r47_the_only_station_of_a_supervision_brings_it_back_when_time_is_up() -> None:
    probation = a_probation(1)
    fail(probation, 0)

    assert probation.verdict(ENDS - 1) is Verdict.OPEN
    assert probation.verdict(ENDS) is Verdict.FAILED
    assert probation.reason(ENDS) == "1 of 1 uplink to acme failed within 120 s: tls (unknown authority)"


def test_r47_where_one_got_through_another_that_fails_is_its_own_trouble() -> None:
    probation = a_probation(2)
    fail(probation, 0)
    probation.succeeded("CP-1", "acme")

    assert probation.verdict(ENDS) is Verdict.PROVEN


def test_r47_a_station_that_gets_through_in_the_end_has_not_failed() -> None:
    probation = a_probation(3)
    fail(probation, 0, 1)
    probation.succeeded("CP-0", "acme")

    assert probation.verdict(1.0) is Verdict.OPEN


def test_r47_the_same_station_again_and_again_is_one() -> None:
    probation = a_probation(40)
    fail(probation, *([0] * 50))

    assert probation.verdict(1.0) is Verdict.OPEN


def test_r47_a_station_that_does_not_come_is_reported_and_not_counted() -> None:
    probation = a_probation(3)
    probation.succeeded("CP-1", "acme")

    assert probation.verdict(ENDS) is Verdict.PROVEN
    assert probation.silent() == ["CP-0", "CP-2"]


def test_r47_nobody_comes_at_all_and_the_bundle_stays() -> None:
    assert a_probation(3).verdict(ENDS) is Verdict.PROVEN


def test_r47_a_supervision_that_was_down_before_does_not_count() -> None:
    probation = a_probation(3, {"other": "volt"}, exempt=("acme",))
    fail(probation, 0, 1, 2)

    assert probation.verdict(ENDS) is Verdict.PROVEN
    assert probation.touched == {"other": "volt"}


def test_r47_stations_that_the_change_did_not_touch_do_not_count() -> None:
    probation = a_probation(2)
    for number in range(100, 200):
        fail(probation, number)
    probation.failed("CP-0", "volt", TLS)
    probation.failed("CP-1", "volt", TLS)

    assert probation.verdict(ENDS) is Verdict.PROVEN


def test_r47_each_supervision_is_judged_for_itself() -> None:
    others = {f"V-{number}": "volt" for number in range(3)}
    probation = a_probation(300, others)
    for name in others:
        probation.failed(name, "volt", "dns (no such name)")

    assert probation.verdict(1.0) is Verdict.FAILED
    assert probation.reason(1.0) == "3 of 3 uplinks to volt failed within 1 s: dns (no such name)"


def test_a_station_that_is_left_out_counts_neither_as_failing_nor_as_one_of_them() -> None:
    probation = a_probation(2)
    fail(probation, 0, 1)
    probation.leave_out("CP-0")

    assert probation.verdict(1.0) is Verdict.OPEN
    assert probation.touched == {"CP-1": "acme"}


def test_the_reason_is_the_commonest_one() -> None:
    probation = a_probation(10)
    fail(probation, 0, 1, 2)
    fail(probation, 3, why="tcp (refused)")

    assert probation.reason(1.0).endswith(TLS)


happenings = st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=120)


@given(size=st.integers(1, 30), happening=happenings)
def test_r47_it_fails_exactly_when_too_many_last_tries_did(size: int, happening: list[tuple[int, bool]]) -> None:
    probation, last = a_probation(size), dict[int, bool]()
    got_through = False
    for number, is_well in happening:
        if is_well:
            probation.succeeded(f"CP-{number}", "acme")
        else:
            fail(probation, number)
        if number < size:
            last[number] = is_well
            got_through |= is_well
    failing = list(last.values()).count(False)

    assert (probation.verdict(1.0) is Verdict.FAILED) == (failing > max(1, size / 10))
    assert (probation.verdict(ENDS) is Verdict.FAILED) == (
        failing > max(1, size / 10) or (failing > 0 and not got_through)
    )
    assert bool(probation.reason(ENDS)) == (probation.verdict(ENDS) is Verdict.FAILED)


@pytest.mark.parametrize("now", [0.0, ENDS])
def test_a_probation_that_touches_nobody_fails_never(now: float) -> None:
    assert Probation({}, (), began=0.0, ends=ENDS).verdict(now) is not Verdict.FAILED
