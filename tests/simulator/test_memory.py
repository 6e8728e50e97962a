"""A station's memory: consistent, bounded, and every answer valid by its schema."""

import pytest
from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.memory import LIST_CAPACITY, LIST_PER_MESSAGE, Reboot, StationMemory, StopSession
from pointsman_simulator.schemas import PROTOCOLS, actions_of, faults_of_result

TOKEN = {"idToken": "04AA", "type": "ISO14443"}
COMPONENT = {"component": {"name": "AuthCtrlr"}, "variable": {"name": "LocalPreAuthorize"}}
REQUESTS_16: dict[str, Payload] = {
    "ChangeAvailability": {"connectorId": 0, "type": "Operative"},
    "ChangeConfiguration": {"key": "LocalPreAuthorize", "value": "true"},
    "ClearCache": {},
    "ClearChargingProfile": {},
    "DataTransfer": {"vendorId": "x"},
    "GetConfiguration": {},
    "GetInstalledCertificateIds": {"certificateType": "CentralSystemRootCertificate"},
    "GetLocalListVersion": {},
    "RemoteStartTransaction": {"idTag": "04AA"},
    "RemoteStopTransaction": {"transactionId": 1},
    "Reset": {"type": "Soft"},
    "SendLocalList": {"listVersion": 1, "updateType": "Full"},
    "SetChargingProfile": {},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "UnlockConnector": {"connectorId": 1},
}
REQUESTS_2: dict[str, Payload] = {
    "ChangeAvailability": {"operationalStatus": "Operative"},
    "ClearCache": {},
    "ClearChargingProfile": {},
    "DataTransfer": {"vendorId": "x"},
    "GetInstalledCertificateIds": {},
    "GetLocalListVersion": {},
    "GetReport": {"requestId": 1, "componentVariable": [COMPONENT]},
    "GetVariables": {"getVariableData": [COMPONENT]},
    "RequestStartTransaction": {"idToken": TOKEN, "remoteStartId": 1},
    "RequestStopTransaction": {"transactionId": "1"},
    "Reset": {"type": "OnIdle"},
    "SendLocalList": {"versionNumber": 1, "updateType": "Full"},
    "SetChargingProfile": {},
    "SetNetworkProfile": {},
    "SetVariables": {"setVariableData": [COMPONENT | {"attributeValue": "true"}]},
    "TriggerMessage": {"requestedMessage": "Heartbeat"},
    "UnlockConnector": {"evseId": 1, "connectorId": 1},
}


def requests_of(protocol: str) -> dict[str, Payload]:
    return REQUESTS_16 if protocol == "ocpp1.6" else REQUESTS_2


def status(memory: StationMemory, protocol: str, action: str, payload: Payload) -> str:
    answer = memory.react(protocol, Call("1", action, payload)).answer
    assert isinstance(answer, CallResult)
    found = answer.payload["status"]
    assert isinstance(found, str)
    return found


def entries(number: int, prefix: str = "") -> list[Payload]:
    return [{"idTag": f"{prefix}{index}", "idTagInfo": {"status": "Accepted"}} for index in range(number)]


@pytest.mark.parametrize(
    ("protocol", "action"), [(protocol, action) for protocol in PROTOCOLS for action in requests_of(protocol)]
)
def test_every_answer_is_valid_by_its_schema(protocol: str, action: str) -> None:
    answer = StationMemory().react(protocol, Call("1", action, requests_of(protocol)[action])).answer

    assert isinstance(answer, CallResult)
    assert faults_of_result(protocol, action, answer.payload) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_station_cannot_do_is_refused_and_never_left_open(protocol: str) -> None:
    for action in sorted(actions_of(protocol) - set(requests_of(protocol)) - {"GetConfiguration"}):
        answer = StationMemory().react(protocol, Call("1", action, {})).answer
        assert isinstance(answer, CallError)
        assert answer.code == "NotSupported"

    unknown = StationMemory().react(protocol, Call("1", "Dance", {})).answer
    assert isinstance(unknown, CallError)
    assert unknown.code == "NotImplemented"


def test_a_key_is_changed_unknown_or_read_only() -> None:
    memory = StationMemory()

    assert status(memory, "ocpp1.6", "ChangeConfiguration", {"key": "Nope", "value": "1"}) == "NotSupported"
    assert status(memory, "ocpp1.6", "ChangeConfiguration", {"key": "NumberOfConnectors", "value": "9"}) == "Rejected"
    assert memory.keys["NumberOfConnectors"] == "1"


def test_the_authorization_key_is_never_shown() -> None:
    memory = StationMemory()
    memory.keys["AuthorizationKey"] = "secret"

    answer = memory.react("ocpp1.6", Call("1", "GetConfiguration", {})).answer

    assert isinstance(answer, CallResult)
    assert "secret" not in str(answer.payload)


def test_variables_tell_an_unknown_component_from_an_unknown_variable() -> None:
    asked = [
        {"component": {"name": "Nope"}, "variable": {"name": "X"}},
        {"component": {"name": "ClockCtrlr"}, "variable": {"name": "X"}},
        {"component": {"name": "ClockCtrlr"}, "variable": {"name": "TimeOffset", "instance": "NextTransition"}},
    ]

    answer = StationMemory().react("ocpp2.0.1", Call("1", "GetVariables", {"getVariableData": asked})).answer

    assert isinstance(answer, CallResult)
    results = answer.payload["getVariableResult"]
    assert [each["attributeStatus"] for each in results] == ["UnknownComponent", "UnknownVariable", "Accepted"]


def test_a_full_list_replaces_and_a_differential_changes_and_deletes() -> None:
    memory = StationMemory()
    full = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": entries(2)}
    more = {"listVersion": 2, "updateType": "Differential"}

    assert status(memory, "ocpp1.6", "SendLocalList", full) == "Accepted"
    assert status(memory, "ocpp1.6", "SendLocalList", more | {"localAuthorizationList": [{"idTag": "1"}]}) == "Accepted"
    assert sorted(memory.local_list) == ["0"]
    assert memory.local_list_version == 2


def test_a_list_that_fails_changes_nothing() -> None:
    memory = StationMemory()
    for version in range(1, LIST_CAPACITY // LIST_PER_MESSAGE + 1):
        part = {"listVersion": version, "updateType": "Differential"}
        chunk = part | {"localAuthorizationList": entries(LIST_PER_MESSAGE, f"{version}-")}
        assert status(memory, "ocpp1.6", "SendLocalList", chunk) == "Accepted"

    over = {"listVersion": 99, "updateType": "Differential", "localAuthorizationList": entries(1, "over-")}

    assert status(memory, "ocpp1.6", "SendLocalList", over) == "Failed"
    assert (len(memory.local_list), memory.local_list_version) == (LIST_CAPACITY, 4)


def test_a_stop_without_a_session_is_rejected_and_a_reset_closes_the_link() -> None:
    memory = StationMemory()

    idle = memory.react("ocpp1.6", Call("1", "RemoteStopTransaction", {"transactionId": 1}))
    memory.badge_in_use = "04AA"
    busy = memory.react("ocpp1.6", Call("1", "RemoteStopTransaction", {"transactionId": 1}))
    reset = memory.react("ocpp1.6", Call("1", "Reset", {"type": "Hard"}))

    assert (idle.then, busy.then, reset.then) == (None, StopSession(), Reboot())
