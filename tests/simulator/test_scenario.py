"""Scripts played by hand: their course, and every payload against the standard's schema."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from pointsman_simulator.answers import OperatorAnswers
from pointsman_simulator.clock import utc_now
from pointsman_simulator.frames import Call, CallResult, Payload
from pointsman_simulator.scenario import (
    STOPPED,
    Heard,
    Outcome,
    Pause,
    Say,
    Script,
    StationProfile,
    boot_only,
    session,
    wording_of,
)
from pointsman_simulator.schemas import PROTOCOLS, faults_of_call

PROFILE = StationProfile(badge="04AA", security_event=True)
Operator = Callable[[Say], Heard]


def noon() -> str:
    return "2026-11-22T12:00:00Z"


def script_of(protocol: str, profile: StationProfile = PROFILE) -> Script:
    return session(wording_of(protocol, profile, noon, "tx-1"), profile, noon)


def operator_of(protocol: str, answers: OperatorAnswers | None = None) -> Operator:
    answers = answers or OperatorAnswers()

    def hear(say: Say) -> Heard:
        answer = answers.answer(protocol, Call("1", say.action, say.payload), utc_now())
        assert isinstance(answer, CallResult)
        return Heard(answer.payload)

    return hear


def played(script: Script, operator: Operator, stop_after_pauses: int = 99) -> tuple[list[Say], list[Pause], Outcome]:
    said: list[Say] = []
    paused: list[Pause] = []
    heard: Heard | None = None
    while True:
        try:
            step = next(script) if heard is None else script.send(heard)
        except StopIteration as end:
            return said, paused, end.value
        if isinstance(step, Pause):
            paused.append(step)
            heard = Heard({}, STOPPED if len(paused) >= stop_after_pauses else None)
        else:
            said.append(step)
            heard = operator(step)


def with_decimals(payload: Payload) -> Payload:
    read: Payload = json.loads(json.dumps(payload), parse_float=Decimal)
    return read


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_payload_of_a_session_is_valid_by_its_schema(protocol: str) -> None:
    said, _, _ = played(script_of(protocol), operator_of(protocol))

    assert [faults_of_call(protocol, say.action, with_decimals(say.payload)) for say in said] == [[]] * len(said)


def test_a_session_of_1_6_takes_the_standards_course() -> None:
    said, paused, outcome = played(script_of("ocpp1.6"), operator_of("ocpp1.6"))

    assert [say.action for say in said] == [
        "BootNotification",
        "StatusNotification",
        "SecurityEventNotification",
        "Authorize",
        "StatusNotification",
        "StartTransaction",
        "StatusNotification",
        *["MeterValues"] * 3,
        "StopTransaction",
        "StatusNotification",
    ]
    assert paused == [Pause(1.0)] * 3
    assert outcome == Outcome("Accepted", "Accepted", "1001", 9, None)


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
def test_a_session_of_2_x_numbers_its_events_under_its_own_transaction_id(protocol: str) -> None:
    said, _, outcome = played(script_of(protocol), operator_of(protocol))

    events = [say.payload for say in said if say.action == "TransactionEvent"]
    assert [event["eventType"] for event in events] == ["Started", "Updated", "Updated", "Updated", "Ended"]
    assert [event["seqNo"] for event in events] == [0, 1, 2, 3, 4]
    assert {event["transactionInfo"]["transactionId"] for event in events} == {"tx-1"}
    assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert outcome.is_completed


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_badge_starts_no_transaction(protocol: str) -> None:
    operator = operator_of(protocol, OperatorAnswers(rejected_badges=["04aa"]))

    said, _, outcome = played(script_of(protocol), operator)

    assert not {"StartTransaction", "TransactionEvent"} & {say.action for say in said}
    assert outcome.failure == "Authorize: Invalid"
    assert not outcome.is_completed


def test_a_start_that_is_not_accepted_ends_the_transaction() -> None:
    honest = operator_of("ocpp1.6")

    def operator(say: Say) -> Heard:
        if say.action == "StartTransaction":
            return Heard({"transactionId": 7, "idTagInfo": {"status": "ConcurrentTx"}})
        return honest(say)

    said, _, outcome = played(script_of("ocpp1.6"), operator)

    assert said[-2].payload["transactionId"] == 7
    assert said[-2].action == "StopTransaction"
    assert outcome.failure == "start of the transaction: ConcurrentTx"


def test_a_pending_boot_is_repeated_after_its_interval_and_nothing_else_is_said() -> None:
    def operator(_: Say) -> Heard:
        return Heard({"status": "Pending", "currentTime": noon(), "interval": 5})

    said, paused, outcome = played(script_of("ocpp1.6"), operator)

    assert [say.action for say in said] == ["BootNotification"] * 3
    assert paused == [Pause(5.0)] * 2
    assert outcome.failure == "BootNotification: Pending"


def test_an_interval_of_hours_is_cut_to_a_minute() -> None:
    def operator(_: Say) -> Heard:
        return Heard({"status": "Rejected", "currentTime": noon(), "interval": 86_400})

    _, paused, _ = played(script_of("ocpp2.0.1"), operator)

    assert paused == [Pause(60.0)] * 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stop_request_ends_the_charging_early_and_completes(protocol: str) -> None:
    _, paused, outcome = played(script_of(protocol), operator_of(protocol), stop_after_pauses=2)

    assert len(paused) == 2
    assert outcome.energy_wh == 3
    assert outcome.is_completed


def test_an_error_in_place_of_an_answer_is_the_reason() -> None:
    honest = operator_of("ocpp2.0.1")

    def operator(say: Say) -> Heard:
        return Heard({}, "InternalError") if say.payload.get("eventType") == "Updated" else honest(say)

    _, _, outcome = played(script_of("ocpp2.0.1"), operator)

    assert outcome.failure == "meter values: InternalError"


def test_a_mere_reconnect_does_not_boot() -> None:
    profile = replace(PROFILE, boots=False, security_event=False)

    script = boot_only(wording_of("ocpp1.6", profile, noon, "tx"), profile, noon)
    said, _, outcome = played(script, operator_of("ocpp1.6"))

    assert [say.action for say in said] == ["StatusNotification"]
    assert outcome.is_completed
