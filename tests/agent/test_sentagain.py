"""When a TransactionEvent is the same one sent again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.ocpp.sentagain import content_of, content_of_text

EVENT: dict[str, Any] = {
    "eventType": "Updated",
    "timestamp": "2026-11-22T12:00:00Z",
    "triggerReason": "ChargingStateChanged",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "1", "chargingState": "Charging"},
    "offline": False,
}

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


def a_message(payload: object, call_id: str = "1", **style: Any) -> str:
    return json.dumps([2, call_id, "TransactionEvent", payload], **style)


@given(st.dictionaries(st.text(), values), st.booleans())
def test_r35_an_event_sent_again_says_the_same(payload: dict[str, Any], offline: bool) -> None:
    turned = dict(reversed([*payload.items(), ("offline", offline)]))

    content = content_of_text(a_message(payload, "7"))

    assert content is not None
    assert -(2**63) <= content < 2**63
    assert content_of_text(a_message(payload | {"offline": not offline}, "8", indent=1)) == content
    assert content_of_text(a_message(turned, "9", ensure_ascii=False)) == content


@pytest.mark.parametrize(
    "changes",
    [
        {"eventType": "Ended"},
        {"timestamp": "2026-11-22T12:00:01Z"},
        {"triggerReason": "CablePluggedIn"},
        {"seqNo": 1},
        {"transactionInfo": {"transactionId": "1", "chargingState": "SuspendedEV"}},
        {"meterValue": []},
    ],
)
def test_r35_an_event_that_says_anything_else_is_another(changes: dict[str, Any]) -> None:
    assert content_of(EVENT | changes, "") != content_of(EVENT, "")


def deeply(levels: int) -> object:
    value: object = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud800", deeply(5_000)], ids=["surrogate", "nested"])
def test_r32_a_payload_without_a_plain_form_is_told_by_its_text(value: object) -> None:
    payload = {"a": value}

    assert content_of(payload, "\ud800") == content_of(payload, "\ud800")
    assert content_of(payload, "x") != content_of(payload, "\ud800")


@pytest.mark.parametrize("text", ["", "[2]", '[2,"1","TransactionEvent",', '[2,"1","TransactionEvent",[]]'])
def test_what_cannot_be_read_has_no_content(text: str) -> None:
    assert content_of_text(text) is None
