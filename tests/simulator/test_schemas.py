"""The schema check finds what is wrong, and refuses nothing that is legal."""

import importlib.util
import json
from decimal import Decimal
from pathlib import Path

import pytest
from pointsman_simulator.schemas import (
    PROTOCOLS,
    actions_of,
    fast_checker,
    faults_of_call,
    faults_of_result,
    slow_checker,
)

SPEC = importlib.util.find_spec("ocpp")
assert SPEC is not None
assert SPEC.origin is not None
OCPP = Path(SPEC.origin).parent


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_knows_the_actions_of_a_session(protocol: str) -> None:
    expected = {"BootNotification", "Authorize", "StatusNotification", "SecurityEventNotification", "MeterValues"}

    assert expected <= actions_of(protocol)


def test_a_missing_field_is_a_fault_that_names_it() -> None:
    (fault,) = faults_of_call("ocpp1.6", "Authorize", {})

    assert fault == 'Authorize: "idTag" is a required property'


def test_faults_come_in_one_order() -> None:
    faults = faults_of_call("ocpp1.6", "BootNotification", {"chargePointVendor": 1, "chargePointModel": 2, "x": 3})

    assert len(faults) == 3
    assert faults == sorted(faults)


def test_a_result_is_judged_by_the_response_schema() -> None:
    assert faults_of_result("ocpp2.0.1", "Authorize", {"idTokenInfo": {"status": "Accepted"}}) == []
    assert faults_of_result("ocpp2.0.1", "Authorize", {"idTokenInfo": {"status": "Fine"}}) != []


def test_an_action_of_another_protocol_or_of_none_is_a_fault_and_opens_no_file() -> None:
    assert faults_of_call("ocpp1.6", "TransactionEvent", {}) == ["TransactionEvent: ocpp1.6 has no such message"]
    assert faults_of_call("ocpp1.6", "../../v201/schemas/Authorize", {}) != []


def test_a_time_stamp_without_a_zone_is_a_fault() -> None:
    payload = {"type": "SettingSystemTime", "timestamp": "2026-11-22T10:00:00"}

    assert faults_of_call("ocpp2.0.1", "SecurityEventNotification", payload) != []


def test_every_tenth_of_an_ampere_is_a_legal_limit() -> None:
    """In binary floats a third of them is no multiple of 0.1."""
    for tenths in range(1, 400):
        periods = [{"startPeriod": 0, "limit": tenths / 10}]
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods},
        }
        text = json.dumps({"connectorId": 1, "csChargingProfiles": profile})

        assert faults_of_call("ocpp1.6", "SetChargingProfile", json.loads(text, parse_float=Decimal)) == []


def test_a_hundredth_of_an_ampere_is_not() -> None:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": Decimal("8.15")}]}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }

    faults = faults_of_call("ocpp1.6", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile})

    assert len(faults) == 1
    assert "8.15" in faults[0]


def test_an_integer_written_with_a_point_is_an_integer() -> None:
    answer = {"status": "Accepted", "currentTime": "2026-11-22T10:00:00Z", "interval": Decimal("300.0")}

    assert faults_of_result("ocpp2.0.1", "BootNotification", answer) == []


def test_a_nesting_that_no_judge_can_read_is_a_fault() -> None:
    nested: object = 0
    for _ in range(3000):
        nested = [nested]

    (fault,) = faults_of_call("ocpp1.6", "Authorize", {"idTag": nested})

    assert fault.startswith("Authorize")


def test_a_lone_surrogate_stops_no_judge() -> None:
    assert len(faults_of_call("ocpp1.6", "Authorize", {"idTag": "\ud800", "x": 1})) == 1


JUDGED = [
    ("v16", "Authorize", {"idTag": "04AA"}),
    ("v16", "Authorize", {"idTag": "x" * 21}),
    ("v16", "Authorize", {"idTag": 1, "more": True}),
    ("v16", "SecurityEventNotification", {"type": "x", "timestamp": "2026-11-22T10:00:00Z"}),
    ("v16", "SecurityEventNotification", {"type": "x", "timestamp": "yesterday"}),
    ("v201", "AuthorizeResponse", {"idTokenInfo": {"status": "Accepted", "chargingPriority": 3}}),
    ("v201", "AuthorizeResponse", {"idTokenInfo": {"status": "Fine", "groupIdToken": {}}}),
    ("v201", "StatusNotificationRequest", {"evseId": 1}),
    ("v21", "HeartbeatResponse", {"currentTime": "2026-11-22T10:00:00Z", "x": {"y": [1]}}),
]


@pytest.mark.parametrize(("folder", "name", "payload"), JUDGED)
def test_both_judges_find_the_same_places(folder: str, name: str, payload: dict[str, object]) -> None:
    schema = (OCPP / folder / "schemas" / f"{name}.json").read_text(encoding="utf-8-sig")

    fast, slow = fast_checker(schema)(payload), slow_checker(schema)(payload)

    assert sorted(place for place, _ in fast) == sorted(place for place, _ in slow)
