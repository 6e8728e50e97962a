"""Who may try to reach a supervision, and when."""

import pytest
from pointsman_agent.gate import ADMITTED_PER_SECOND, MOST_HANDSHAKES, RETURN_LASTS_S, Gate


def a_gate() -> Gate:
    return Gate(lambda: 1.0)


def test_a_supervision_that_nobody_tried_is_open_to_all() -> None:
    gate = a_gate()

    assert all(gate.ask(f"CP-{number}", 0.0) is None for number in range(1000))
    assert not gate.is_down


def test_r27_a_failure_holds_every_station_back_for_a_time_that_doubles() -> None:
    gate, waits, now = a_gate(), [], 0.0
    for _ in range(6):
        gate.failed(now)
        waits.append(gate.next_try(now))
        held = gate.ask("CP-1", now)
        assert held is not None
        assert held.wait_s == waits[-1]
        now += waits[-1]

    assert waits == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert gate.is_down


def test_r27_retry_after_is_honoured_within_the_longest_wait() -> None:
    patient, endless = a_gate(), a_gate()
    patient.failed(0.0, is_handshake=True, retry_after=7.0)
    endless.failed(0.0, is_handshake=True, retry_after=86400.0)

    assert patient.next_try(0.0) == 7.0
    assert endless.next_try(0.0) == 300.0


def test_r27_a_refusal_holds_back_that_station_alone() -> None:
    gate = a_gate()
    gate.refused("CP-1", 0.0)

    assert gate.ask("CP-1", 0.5) is not None
    assert gate.ask("CP-2", 0.5) is None
    assert gate.ask("CP-1", 1.0) is None


def a_return() -> Gate:
    """A gate whose supervision returned at 1.0."""
    gate = a_gate()
    gate.failed(0.0)
    gate.reached(1.0)
    return gate


def test_r27_after_the_return_sixteen_are_in_flight_at_most() -> None:
    gate = a_return()
    held = [gate.ask(f"CP-{number}", 1.0) for number in range(100)]
    in_flight = [number for number in range(100) if gate.ask(f"CP-{number}", 20.0) is None]

    assert held[0] is None
    assert len(in_flight) == MOST_HANDSHAKES - 1
    gate.done()
    assert gate.ask("CP-99", 21.0) is None


def test_r27_after_the_return_twenty_a_second_have_their_turn() -> None:
    gate = a_return()
    waits = [0.0 if (held := gate.ask(f"CP-{number}", 1.0)) is None else held.wait_s for number in range(200)]
    for number, wait in enumerate(waits):
        if wait:
            gate.done()
            assert gate.ask(f"CP-{number}", 1.0 + wait) is None

    assert sorted(waits) == waits
    assert all(sum(1 for wait in waits if start < wait <= start + 1) <= ADMITTED_PER_SECOND for start in range(1, 12))
    assert waits[-1] <= 200 / ADMITTED_PER_SECOND + 1


def test_r27_who_asks_before_its_turn_keeps_it() -> None:
    gate = a_return()
    for number in range(100):
        gate.ask(f"CP-{number}", 1.0)
    first, again = gate.ask("CP-99", 1.0), gate.ask("CP-99", 3.0)

    assert first is not None
    assert again is not None
    assert again.wait_s == pytest.approx(first.wait_s - 2.0)


def test_r27_once_the_return_is_over_the_gate_is_open_again() -> None:
    gate = a_gate()
    gate.failed(0.0)
    gate.reached(1.0)

    assert all(gate.ask(f"CP-{number}", 1.0 + RETURN_LASTS_S) is None for number in range(100))


def test_r25_three_losses_in_a_row_by_the_same_action_hold_the_station_back() -> None:
    gate = a_gate()

    assert [gate.lost("CP-1", "Authorize", now) for now in (0.0, 1.0, 2.0)] == [False, False, True]
    assert gate.ask("CP-1", 2.5) is not None
    assert gate.ask("CP-2", 2.5) is None


def test_r25_another_action_or_another_end_breaks_the_row() -> None:
    gate = a_gate()
    ends = ["Authorize", "Authorize", "Heartbeat", "Authorize", None, "Authorize", "Authorize"]

    assert [gate.lost("CP-1", action, 0.0) for action in ends] == [False] * 7


def test_a_handshake_that_fails_is_not_cleared_by_a_probe() -> None:
    gate = a_gate()
    gate.failed(0.0, is_handshake=True)
    at_http = gate.wants_probe
    gate.failed(20.0)

    assert (at_http, gate.wants_probe) == (False, True)
