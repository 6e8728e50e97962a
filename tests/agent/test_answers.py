"""Every action of every version gets an answer that its own schema admits, whatever stands in the request."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.badges import Decision, Verdict
from pointsman_agent.entries import (
    SecurityEvent,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)
from pointsman_agent.ocpp.answers import (
    Asked,
    Reply,
    answer,
    badge_of,
    is_own_token,
    own_token,
    rfc3339,
    security_event_of,
    transaction_of,
)
from pointsman_agent.ocpp.frame import LocalFrameError, call_result, parse, payload_of
from pointsman_agent.ocpp.sentagain import content_of
from pointsman_simulator.schemas import PROTOCOLS, faults_of_call, faults_of_result
from support.fakes import NOON
from support.stationactions import FROM_STATIONS

ACCEPTED = Decision(Verdict.ACCEPTED)

ALL_ACTIONS = [(protocol, action) for protocol, actions in FROM_STATIONS.items() for action in actions]
FROM_SUPERVISIONS = [
    "Reset",
    "GetLog",
    "SendLocalList",
    "RemoteStartTransaction",
    "RequestStartTransaction",
    "SetVariables",
]
TRANSACTION_MESSAGES = [
    ("ocpp1.6", "StartTransaction"),
    ("ocpp1.6", "StopTransaction"),
    ("ocpp1.6", "MeterValues"),
    ("ocpp2.0.1", "TransactionEvent"),
    ("ocpp2.1", "TransactionEvent"),
]

BADGE_2X = {"idToken": "04AB", "type": "ISO14443"}
AT = "2026-11-22T12:00:00Z"
REQUESTS: dict[tuple[str, str], dict[str, Any]] = {
    ("ocpp1.6", "Authorize"): {"idTag": "04AB"},
    ("ocpp1.6", "BootNotification"): {"chargePointVendor": "v", "chargePointModel": "m"},
    ("ocpp1.6", "StartTransaction"): {"connectorId": 1, "idTag": "04AB", "meterStart": 10, "timestamp": AT},
    ("ocpp1.6", "StopTransaction"): {"transactionId": 7, "idTag": "04AB", "meterStop": 20, "timestamp": AT},
    ("ocpp1.6", "MeterValues"): {
        "connectorId": 1,
        "transactionId": 7,
        "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "1"}]}],
    },
    ("ocpp1.6", "SecurityEventNotification"): {"type": "x", "timestamp": AT, "techInfo": "lid"},
    ("ocpp2.0.1", "Authorize"): {"idToken": BADGE_2X},
    ("ocpp2.0.1", "TransactionEvent"): {
        "eventType": "Ended",
        "timestamp": AT,
        "triggerReason": "StopAuthorized",
        "seqNo": 3,
        "transactionInfo": {"transactionId": "t-1", "stoppedReason": "Local"},
        "evse": {"id": 2},
        "idToken": BADGE_2X,
    },
    ("ocpp2.0.1", "SecurityEventNotification"): {"type": "x", "timestamp": AT},
    ("ocpp2.1", "VatNumberValidation"): {"vatNumber": "FR12345678901"},
}


def asked(
    protocol: str, action: str, payload: dict[str, Any], decision: Decision | None = None, text: str | None = None
) -> Reply:
    call = parse(text or json.dumps([2, "1", action, payload]))
    return answer(protocol, Asked("CP-1", call, payload, decision, NOON))


def whole_answer(protocol: str, action: str, payload: dict[str, Any], decision: Decision | None = None) -> Any:
    """The answer as the station reads it; a 1.6 start gets its transaction id from the journal."""
    reply = asked(protocol, action, payload, decision)
    given_id = {"transactionId": 7} if isinstance(reply.entry, TransactionStart) else {}
    return json.loads(call_result("1", {**given_id, **reply.payload}), parse_float=Decimal)[2]


@pytest.mark.parametrize(("protocol", "action"), ALL_ACTIONS)
@pytest.mark.parametrize(
    "decision", [None, *(Decision(verdict) for verdict in Verdict)], ids=lambda each: str(each)[9:35]
)
def test_r32_every_action_of_a_station_gets_a_schema_valid_answer(
    protocol: str, action: str, decision: Decision | None
) -> None:
    assert faults_of_result(protocol, action, whole_answer(protocol, action, {}, decision)) == []


@pytest.mark.parametrize(("protocol", "action"), REQUESTS)
def test_r32_a_real_request_gets_a_schema_valid_answer(protocol: str, action: str) -> None:
    request = REQUESTS[protocol, action]

    assert faults_of_call(protocol, action, request) == []
    assert faults_of_result(protocol, action, whole_answer(protocol, action, request, ACCEPTED)) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "action", ["Nothing", "", "../../v16/schemas/Authorize", "authorize", "\ud800", *FROM_SUPERVISIONS]
)
def test_r32_an_unknown_action_is_not_implemented(protocol: str, action: str) -> None:
    with pytest.raises(LocalFrameError) as caught:
        asked(protocol, action, {})

    assert (caught.value.call_id, caught.value.code) == ("1", "NotImplemented")


@pytest.mark.parametrize("action", ["TransactionEvent", "NotifyReport", "BatterySwap"])
def test_r32_an_action_of_a_later_version_is_not_implemented_in_16(action: str) -> None:
    with pytest.raises(LocalFrameError, match="is not an action"):
        asked("ocpp1.6", action, {})
    with pytest.raises(LocalFrameError, match="is not an action"):
        asked("ocpp2.0.1", "BatterySwap", {})


def test_r32_a_chain_status_is_not_supported_for_its_answer_needs_a_look_up() -> None:
    with pytest.raises(LocalFrameError) as caught:
        asked("ocpp2.1", "GetCertificateChainStatus", {})

    assert caught.value.code == "NotSupported"


# --- Decisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "word_16", "word_2x"),
    [
        (Verdict.ACCEPTED, "Accepted", "Accepted"),
        (Verdict.BLOCKED, "Blocked", "Blocked"),
        (Verdict.EXPIRED, "Expired", "Expired"),
        (Verdict.UNKNOWN, "Invalid", "Unknown"),
        (Verdict.CONCURRENT, "ConcurrentTx", "ConcurrentTx"),
    ],
)
def test_r38_each_version_has_its_word_for_the_same_decision(verdict: Verdict, word_16: str, word_2x: str) -> None:
    decision = Decision(verdict)

    for action in ("Authorize", "StartTransaction", "StopTransaction"):
        assert asked("ocpp1.6", action, {}, decision).payload == {"idTagInfo": {"status": word_16}}
    for protocol in ("ocpp2.0.1", "ocpp2.1"):
        for action in ("Authorize", "TransactionEvent"):
            assert asked(protocol, action, {}, decision).payload == {"idTokenInfo": {"status": word_2x}}


def test_without_a_decision_nobody_is_accepted_and_a_stop_says_nothing_of_a_badge() -> None:
    assert asked("ocpp1.6", "Authorize", {}).payload == {"idTagInfo": {"status": "Invalid"}}
    assert asked("ocpp1.6", "StartTransaction", {}).payload == {"idTagInfo": {"status": "Invalid"}}
    assert asked("ocpp1.6", "StopTransaction", {}).payload == {}
    assert asked("ocpp2.0.1", "TransactionEvent", {}).payload == {}


@pytest.mark.parametrize(
    ("protocol", "action", "payload", "badge"),
    [
        ("ocpp1.6", "Authorize", {"idTag": "04AB"}, "04AB"),
        ("ocpp1.6", "Authorize", {}, ""),
        ("ocpp1.6", "StartTransaction", {"idTag": 5}, ""),
        ("ocpp1.6", "StopTransaction", {"idTag": "04AB"}, "04AB"),
        ("ocpp1.6", "StopTransaction", {}, None),
        ("ocpp1.6", "Heartbeat", {}, None),
        ("ocpp2.0.1", "Authorize", {"idToken": BADGE_2X}, "04AB"),
        ("ocpp2.0.1", "Authorize", {}, ""),
        ("ocpp2.0.1", "Authorize", {"idToken": "04AB"}, ""),
        ("ocpp2.0.1", "Authorize", {"idToken": {"type": "NoAuthorization"}}, ""),
        ("ocpp2.1", "TransactionEvent", {"idToken": BADGE_2X}, "04AB"),
        ("ocpp2.1", "TransactionEvent", {"idToken": None}, None),
        ("ocpp2.1", "TransactionEvent", {}, None),
    ],
)
def test_the_badge_that_a_call_names(protocol: str, action: str, payload: dict[str, Any], badge: str | None) -> None:
    assert badge_of(protocol, action, payload) == badge


@pytest.mark.parametrize(
    ("protocol", "payload", "transaction"),
    [
        ("ocpp1.6", {"transactionId": 7}, "7"),
        ("ocpp1.6", {"transactionId": 7.0}, "7"),
        ("ocpp1.6", {"transactionId": -1}, "-1"),
        ("ocpp1.6", {"transactionId": "7"}, None),
        ("ocpp1.6", {"transactionId": True}, None),
        ("ocpp1.6", {"transactionId": 7.5}, None),
        ("ocpp1.6", {"transactionId": float("inf")}, None),
        ("ocpp1.6", {"transactionId": float("nan")}, None),
        ("ocpp1.6", {"transactionId": 2**63}, None),
        ("ocpp1.6", {}, None),
        ("ocpp2.0.1", {"transactionInfo": {"transactionId": "t-1"}}, "t-1"),
        ("ocpp2.0.1", {"transactionInfo": {"transactionId": ""}}, None),
        ("ocpp2.0.1", {"transactionInfo": []}, None),
        ("ocpp2.0.1", {}, None),
    ],
)
def test_the_transaction_that_a_call_belongs_to(
    protocol: str, payload: dict[str, Any], transaction: str | None
) -> None:
    assert transaction_of(protocol, payload) == transaction


def test_a_vip_goes_first_where_the_version_can_say_so() -> None:
    accepted, blocked = Decision(Verdict.ACCEPTED, vip=True), Decision(Verdict.BLOCKED, vip=True)

    assert asked("ocpp1.6", "Authorize", {}, accepted).payload == {"idTagInfo": {"status": "Accepted"}}
    for action in ("Authorize", "TransactionEvent"):
        assert asked("ocpp2.0.1", action, {}, accepted).payload == {
            "idTokenInfo": {"status": "Accepted", "chargingPriority": 9}
        }
        assert asked("ocpp2.0.1", action, {}, blocked).payload == {"idTokenInfo": {"status": "Blocked"}}


@pytest.mark.parametrize(
    ("payload", "verdict", "status"),
    [
        ({}, Verdict.ACCEPTED, None),
        ({"iso15118CertificateHashData": []}, Verdict.ACCEPTED, "Accepted"),
        ({"iso15118CertificateHashData": []}, Verdict.UNKNOWN, "NoCertificateAvailable"),
        ({"certificate": "PEM"}, Verdict.ACCEPTED, "CertChainError"),
        ({"certificate": "PEM"}, Verdict.UNKNOWN, "NoCertificateAvailable"),
    ],
)
def test_r33_a_contract_certificate_gets_its_status(
    payload: dict[str, Any], verdict: Verdict, status: str | None
) -> None:
    answered = whole_answer("ocpp2.1", "Authorize", payload, Decision(verdict))

    assert answered.get("certificateStatus") == status
    assert faults_of_result("ocpp2.1", "Authorize", answered) == []


def test_r41_a_boot_that_is_not_served_yet_is_pending() -> None:
    call = parse('[2,"1","BootNotification",{}]')

    reply = answer("ocpp1.6", Asked("CP-1", call, {}, None, NOON, boots_after_s=30))

    assert reply.payload == {"status": "Pending", "currentTime": AT, "interval": 30}


def test_tokens_of_the_agents_own_fit_16_and_are_known_by_their_form() -> None:
    token = own_token(bytes(range(8)))

    assert token == "pm-0001020304050607"
    assert len(token) <= 20
    assert is_own_token(token)
    assert is_own_token(token.upper())
    assert not any(is_own_token(text) for text in ("", "04AB", token[:-1], token + "0", token + "\n", "pm-" + "g" * 16))


# --- What must be durable first ----------------------------------------------------------------------------------


def entry_of(protocol: str, action: str) -> object:
    return asked(protocol, action, REQUESTS[protocol, action], ACCEPTED, text=f'[2,"1","{action}",{{}}]').entry


def test_r36_transaction_messages_and_security_events_come_with_what_is_to_be_stored() -> None:
    def text(action: str) -> str:
        return f'[2,"1","{action}",{{}}]'

    start, stop = "StartTransaction", "StopTransaction"
    assert entry_of("ocpp1.6", start) == TransactionStart("CP-1", text(start), 1, "04AB", 10, AT)
    assert entry_of("ocpp1.6", stop) == TransactionStop("CP-1", text(stop), 7, 20, AT, "Local")
    assert entry_of("ocpp1.6", "MeterValues") == TransactionSample("CP-1", text("MeterValues"), 7, 1)
    event = "TransactionEvent"
    ended = entry_of("ocpp2.0.1", event)
    assert isinstance(ended, TransactionEvent)
    assert ended == TransactionEvent("CP-1", text(event), "t-1", 3, "Ended", "04AB", AT, "Local", ended.content, 2)
    security = "SecurityEventNotification"
    assert entry_of("ocpp1.6", security) == SecurityEvent("CP-1", "x", "lid", AT, text(security))


@pytest.mark.parametrize(("protocol", "action"), ALL_ACTIONS)
def test_all_else_is_answered_without_the_journal(protocol: str, action: str) -> None:
    is_stored = action in (
        "StartTransaction",
        "StopTransaction",
        "MeterValues",
        "TransactionEvent",
        "SecurityEventNotification",
    )

    assert (asked(protocol, action, {}).entry is not None) is is_stored


def test_r32_what_a_transaction_message_lacks_is_stored_as_lacking() -> None:
    assert asked("ocpp1.6", "StartTransaction", {}).entry == TransactionStart(
        "CP-1", '[2, "1", "StartTransaction", {}]', 0, "", 0, ""
    )
    assert asked("ocpp1.6", "StopTransaction", {}).entry == TransactionStop(
        "CP-1", '[2, "1", "StopTransaction", {}]', -1, None, "", "Local"
    )
    assert asked("ocpp2.1", "TransactionEvent", {}).entry == TransactionEvent(
        "CP-1", '[2, "1", "TransactionEvent", {}]', "", None, "Updated", "", "", "", content_of({}, ""), None
    )


def test_r32_integers_may_be_written_as_json_schema_has_them() -> None:
    reply = asked("ocpp1.6", "StartTransaction", {"connectorId": 2.0, "meterStart": 1500.0})

    assert isinstance(reply.entry, TransactionStart)
    assert (reply.entry.connector, reply.entry.meter_start) == (2, 1500)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from([2**63, -(2**63), 10**400, "\ud800", "\x00", "", "04AB", [], {}, {"idToken": "04AB"}]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAMES = [
    "idTag", "idToken", "connectorId", "meterStart", "meterStop", "transactionId", "timestamp", "reason",
    "transactionInfo", "seqNo", "eventType", "evse", "vatNumber", "type", "techInfo",
]  # fmt: skip
hostile = st.dictionaries(st.sampled_from(NAMES), values)


@given(st.sampled_from(ALL_ACTIONS), hostile, st.sampled_from([None, ACCEPTED]))
def test_r32_any_payload_gets_a_schema_valid_answer(
    of: tuple[str, str], payload: dict[str, Any], decision: Decision | None
) -> None:
    protocol, action = of
    badge = badge_of(protocol, action, payload)

    assert badge is None or badge.encode().decode() == badge
    assert faults_of_result(protocol, action, whole_answer(protocol, action, payload, decision)) == []


@given(st.sampled_from(TRANSACTION_MESSAGES), hostile)
def test_r32_and_r36_what_any_transaction_message_says_can_be_stored(
    of: tuple[str, str], payload: dict[str, Any]
) -> None:
    protocol, action = of
    text = json.dumps([2, "1", action, payload])

    entry = asked(protocol, action, payload_of(parse(text)), ACCEPTED, text=text).entry

    assert entry is not None
    for field in entry.__struct_fields__:
        value = getattr(entry, field)
        assert value is None or isinstance(value, str | int)
        assert not isinstance(value, str) or value.encode().decode() == value
        assert not isinstance(value, int) or abs(value) < 2**63


# --- Details -----------------------------------------------------------------------------------------------------


def test_r40_times_are_utc_with_z_and_whole_seconds() -> None:
    assert rfc3339(NOON.replace(microsecond=999_999)) == AT
    assert asked("ocpp1.6", "Heartbeat", {}).payload == {"currentTime": AT}
    assert asked("ocpp2.1", "BootNotification", {}).payload == {
        "status": "Accepted",
        "currentTime": AT,
        "interval": 300,
    }


def test_a_vat_number_is_echoed_as_far_as_the_schema_admits() -> None:
    assert asked("ocpp2.1", "VatNumberValidation", {"vatNumber": "F" * 30}).payload == {
        "vatNumber": "F" * 20,
        "status": "Rejected",
    }


def test_r20_a_security_event_without_sense_is_still_a_line_of_the_log() -> None:
    call = parse('[2,"1","SecurityEventNotification",{"type":[]}]')

    assert security_event_of("CP-1", call, {"type": []}) == SecurityEvent("CP-1", "", "", "", call.text)
