"""The demo's verdict: good when all is as planned, and not good for each thing that is not."""

from dataclasses import replace

import pytest
from pointsman_simulator.demo.plan import StationPlan
from pointsman_simulator.demo.verdict import OperatorRecord, StationRecord, findings
from pointsman_simulator.station import SessionResult

BOOT = '[2, "1", "BootNotification", {}]'
BOOTED = '[3,"1",{}]'
EVENT = '[2, "2", "SecurityEventNotification", {}]'
EVENT_ANSWERED = '[3,"2",{}]'


def plan(identity: str, operator: str, *, forwards: bool) -> StationPlan:
    return StationPlan(
        identity=identity,
        operator=operator,
        group=None,
        offers=("ocpp1.6",),
        speaks="ocpp1.6",
        password=None,
        badge="04AA",
        charges=True,
        refuses_unknown=operator == "local",
        forwards_security_events=forwards,
    )


def record(planned: StationPlan) -> StationRecord:
    is_local = planned.is_local
    sent = (BOOT,) if is_local else (BOOT, EVENT)
    received = (BOOTED,) if is_local else (BOOTED, EVENT_ANSWERED)
    session = SessionResult(
        planned.identity, "ocpp1.6", "Accepted", "Accepted", "1", 9, True, None, (), sent, received, None
    )
    return StationRecord(planned, session, True if is_local else None, None, sent, received, ())


FORWARDED = record(plan("A", "acme", forwards=True))
HELD_BACK = record(plan("B", "volt", forwards=False))
LOCAL = record(plan("C", "local", forwards=False))
STATIONS = [FORWARDED, HELD_BACK, LOCAL]
ACME = OperatorRecord({"A": (BOOT, EVENT)}, {"A": (BOOTED, EVENT_ANSWERED)})
VOLT = OperatorRecord({"B": (BOOT,)}, {"B": (BOOTED,)})
OPERATORS = {"acme": ACME, "volt": VOLT}


def faulty(stations: list[StationRecord], operators: dict[str, OperatorRecord]) -> list[str]:
    return [finding.what for finding in findings(stations, operators) if not finding.is_good]


def without_session(station: StationRecord, **changes: object) -> StationRecord:
    assert station.session is not None
    return replace(station, session=replace(station.session, **changes))  # type: ignore[arg-type]  # mixed values


def test_all_as_planned_is_good_and_counts_both_directions() -> None:
    lines = findings(STATIONS, OPERATORS)

    assert all(line.is_good for line in lines)
    assert [line.figures for line in lines if line.what == "messages relayed byte for byte"] == ["6"]


def test_a_station_at_the_wrong_operator_is_found_on_both() -> None:
    moved = {
        "acme": OperatorRecord({}, {}),
        "volt": OperatorRecord({**VOLT.received, "A": (BOOT, EVENT)}, {**VOLT.sent, "A": (BOOTED, EVENT_ANSWERED)}),
    }

    wrong = faulty(STATIONS, moved)

    assert "stations that reached acme" in wrong
    assert "stations that reached volt" in wrong


def test_a_local_station_seen_outside_is_found() -> None:
    leaked = OPERATORS | {"volt": OperatorRecord({**VOLT.received, "C": (BOOT,)}, VOLT.sent)}

    assert "stations served on the site alone" in faulty(STATIONS, leaked)


def test_a_text_that_means_the_same_but_is_another_is_found() -> None:
    compact = BOOT.replace(", ", ",")
    altered = OPERATORS | {"acme": OperatorRecord({"A": (compact, EVENT)}, ACME.sent)}

    assert faulty(STATIONS, altered) == ["messages relayed byte for byte"]


@pytest.mark.parametrize("received", [(EVENT, BOOT), (BOOT, BOOT, EVENT)], ids=["in another order", "twice"])
def test_a_text_out_of_order_or_doubled_is_found(received: tuple[str, ...]) -> None:
    altered = OPERATORS | {"acme": OperatorRecord({"A": received}, ACME.sent)}

    assert faulty(STATIONS, altered) == ["messages relayed byte for byte"]


def test_an_answer_that_the_supervision_never_gave_is_found() -> None:
    made_up = replace(FORWARDED, received=(*FORWARDED.received, '[3,"9",{}]'))

    assert faulty([made_up, HELD_BACK, LOCAL], OPERATORS) == ["messages relayed byte for byte"]


def test_a_security_event_that_should_have_been_held_back_is_found() -> None:
    leaking = OPERATORS | {"volt": OperatorRecord({"B": (BOOT, EVENT)}, {"B": (BOOTED,)})}

    assert "security events held back" in faulty(STATIONS, leaking)


def test_a_security_event_that_was_not_forwarded_is_found() -> None:
    silent = OPERATORS | {"acme": OperatorRecord({"A": (BOOT,)}, ACME.sent)}

    assert "security events forwarded" in faulty(STATIONS, silent)


def test_an_unanswered_security_event_is_found() -> None:
    unanswered = replace(HELD_BACK, security_event_failure="no answer")

    assert faulty([FORWARDED, unanswered, LOCAL], OPERATORS) == ["security events held back"]


def test_a_session_that_did_not_complete_is_found() -> None:
    incomplete = without_session(FORWARDED, completed=False, reason="Authorize: Invalid")

    assert faulty([incomplete, HELD_BACK, LOCAL], OPERATORS) == ["charging sessions as configured"]


def test_a_session_that_should_have_been_refused_is_found() -> None:
    refused = replace(LOCAL, plan=replace(LOCAL.plan, charges=False))

    assert faulty([FORWARDED, HELD_BACK, refused], OPERATORS) == ["charging sessions as configured"]


def test_a_stranger_who_was_let_in_is_found() -> None:
    assert faulty([FORWARDED, HELD_BACK, replace(LOCAL, refused_unknown=False)], OPERATORS) == [
        "unknown badges refused on the site"
    ]


def test_another_protocol_than_expected_is_found() -> None:
    other = without_session(LOCAL, protocol="ocpp2.0.1")

    assert faulty([FORWARDED, HELD_BACK, other], OPERATORS) == ["protocols agreed on"]


def test_a_payload_that_breaks_the_standard_is_found() -> None:
    at_a_station = [FORWARDED, HELD_BACK, replace(LOCAL, faults=("Authorize: no",))]
    at_an_operator = OPERATORS | {"acme": replace(ACME, faults=("Authorize: no",))}

    assert faulty(at_a_station, OPERATORS) == ["payloads that break the standard"]
    assert faulty(STATIONS, at_an_operator) == ["payloads that break the standard"]


def test_a_station_that_never_connected_is_found() -> None:
    absent = StationRecord(FORWARDED.plan, None, None, "HTTP 502", (), (), (), failure="HTTP 502")
    nothing_seen = OPERATORS | {"acme": OperatorRecord({}, {})}

    assert {"stations that reached acme", "charging sessions as configured"} <= set(
        faulty([absent, HELD_BACK, LOCAL], nothing_seen)
    )
