"""What the agent takes for itself, and that it takes nothing else."""

import json

import msgspec
import pytest
from pointsman_agent.ocpp.frame import parse
from pointsman_agent.ocpp.intercepts import (
    AnswerItself,
    Intercept,
    LinkSettings,
    Side,
    StoreKey,
    intercept_of,
    plain_action,
)

HELD_BACK = LinkSettings(message_timeout=30, forward_security_events=False, protocol="ocpp1.6")
FORWARDED = msgspec.structs.replace(HELD_BACK, forward_security_events=True)


def taken(action: str, asker: Side = Side.STATION, settings: LinkSettings = HELD_BACK) -> Intercept | None:
    return intercept_of(asker, parse(f'[2,"1","{action}",{{}}]'), settings)


@pytest.mark.parametrize(
    "action",
    [
        "SecurityEventNotification",
        "securityeventNOTIFICATION",
        "SecurityEventNotification-Signed",
        "SecurityEventNotification-SIGNED",
        "Security\\u0045ventNotification",
    ],
)
def test_r20_a_security_event_of_a_station_is_known_by_any_spelling(action: str) -> None:
    assert taken(action) is not None
    assert taken(action, settings=FORWARDED) is None


@pytest.mark.parametrize(
    "action", ["SecurityEventNotification2", "Signed-SecurityEventNotification", "", "-Signed", "Heartbeat"]
)
def test_r20_all_else_is_relayed(action: str) -> None:
    assert taken(action) is None


def test_r20_a_call_of_the_supervision_by_that_name_is_relayed() -> None:
    assert taken("SecurityEventNotification", Side.SUPERVISION) is None


def test_a_signed_action_is_compared_without_its_suffix() -> None:
    assert plain_action("BootNotification-Signed") == plain_action("bootnotification") == "bootnotification"


def test_each_side_is_the_others_other() -> None:
    assert [side.other for side in (Side.STATION, Side.SUPERVISION)] == [Side.SUPERVISION, Side.STATION]


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        ("wss://csms.example/ocpp", True),
        ("wss://CSMS.example:8443/other", True),
        ("wss://csms.example.evil.example/ocpp", False),
        ("wss://evil.example/csms.example", False),
        ("wss://csms.example@evil.example/", False),
        ("wss://[csms.example", False),
        ("csms.example", False),
    ],
)
def test_r22_a_network_profile_is_one_of_the_supervisions_own_host_only_by_its_host(url: str, is_same: bool) -> None:
    settings = msgspec.structs.replace(HELD_BACK, protocol="ocpp2.1", host="csms.example")
    profile = {"ocppCsmsUrl": url, "basicAuthPassword": "a-password-of-20-chr"}
    call = parse(json.dumps([2, "1", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": profile}]))

    assert isinstance(intercept_of(Side.SUPERVISION, call, settings), StoreKey if is_same else AnswerItself)
