"""A supervision's answers: every station-initiated action of every version, valid by schema."""

from datetime import UTC, datetime

import pytest
from pointsman_simulator.answers import CONSTANT, SILENT, OperatorAnswers
from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.schemas import PROTOCOLS, actions_of, faults_of_result

NOW = datetime(2026, 11, 22, 12, 0, 0, 999, tzinfo=UTC)
TOKEN = {"idToken": {"idToken": "04AA", "type": "ISO14443"}}
REQUESTS: dict[str, Payload] = {
    "Authorize": TOKEN,
    "StopTransaction": {"idTag": "04AA"},
    "TransactionEvent": TOKEN,
    "VatNumberValidation": {"vatNumber": "FR1"},
}
BY_ACTION = ("Authorize", "BootNotification", "Heartbeat", "StartTransaction", "StopTransaction", "TransactionEvent")


def station_actions(protocol: str) -> list[str]:
    named = {*CONSTANT, *SILENT, *BY_ACTION, "VatNumberValidation"}
    return sorted(named & actions_of(protocol))


@pytest.mark.parametrize(
    ("protocol", "action"), [(protocol, action) for protocol in PROTOCOLS for action in station_actions(protocol)]
)
def test_every_action_of_a_station_gets_a_valid_answer(protocol: str, action: str) -> None:
    payload = REQUESTS.get(action, {})
    if protocol == "ocpp1.6" and action == "Authorize":
        payload = {"idTag": "04AA"}

    answer = OperatorAnswers().answer(protocol, Call("7", action, payload), NOW)

    assert isinstance(answer, CallResult)
    assert answer.id == "7"
    assert faults_of_result(protocol, action, answer.payload) == []


@pytest.mark.parametrize(("protocol", "number"), [("ocpp1.6", 14), ("ocpp2.0.1", 25), ("ocpp2.1", 36)])
def test_the_tables_name_all_actions_of_a_station(protocol: str, number: int) -> None:
    """14 of 1.6 with the security extension, 25 of 2.0.1, 11 more of 2.1 (GetCertificateChainStatus: NotSupported)."""
    assert len(station_actions(protocol)) == number


def test_an_unknown_action_is_not_implemented() -> None:
    answer = OperatorAnswers().answer("ocpp1.6", Call("7", "TransactionEvent", {}), NOW)

    assert isinstance(answer, CallError)
    assert answer.code == "NotImplemented"


def test_transaction_ids_are_never_given_twice() -> None:
    answers = OperatorAnswers()
    start = Call("7", "StartTransaction", {"idTag": "04AA"})

    given = [answers.answer("ocpp1.6", start, NOW) for _ in range(3)]

    assert [answer.payload["transactionId"] for answer in given if isinstance(answer, CallResult)] == [1001, 1002, 1003]


def test_a_rejected_badge_is_rejected_in_any_case_and_in_both_versions() -> None:
    answers = OperatorAnswers(rejected_badges=["04aB"])

    old = answers.answer("ocpp1.6", Call("7", "Authorize", {"idTag": "04Ab"}), NOW)
    new = answers.answer("ocpp2.0.1", Call("7", "Authorize", {"idToken": {"idToken": "04AB", "type": "Central"}}), NOW)

    assert isinstance(old, CallResult)
    assert isinstance(new, CallResult)
    assert old.payload == {"idTagInfo": {"status": "Invalid"}}
    assert new.payload == {"idTokenInfo": {"status": "Invalid"}}


def test_the_time_is_utc_in_whole_seconds_with_a_z() -> None:
    answer = OperatorAnswers().answer("ocpp1.6", Call("7", "Heartbeat", {}), NOW)

    assert isinstance(answer, CallResult)
    assert answer.payload == {"currentTime": "2026-11-22T12:00:00Z"}
