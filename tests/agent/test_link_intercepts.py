"""The link where the agent takes a part itself: keys, split CALLs, CALLs of its own (rules 15 and 21 to 23)."""

import json
from typing import Any

import pytest
from pointsman_agent.ocpp.events import (
    Answered,
    Close,
    Command,
    Drop,
    Flushed,
    KeepKey,
    Lost,
    Notice,
    Overheard,
    OwnCallAsked,
    OwnCallEnded,
    Received,
    Send,
    Stored,
    TimePassed,
)
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.lane import MOST_WAITING
from pointsman_agent.ocpp.link import OWN_CALL_WITHIN_S, Link

STATION, SUPERVISION = Side.STATION, Side.SUPERVISION
KEY = "00" * 16
PASSWORD = "a-password-of-20-chr"
SET_KEY = json.dumps([2, "k", "ChangeConfiguration", {"key": "AuthorizationKey", "value": KEY}])
OWN = '[2,"uuid","TriggerMessage",{"requestedMessage":"BootNotification"}]'


def a_link(protocol: str = "ocpp1.6") -> Link:
    return Link(LinkSettings(message_timeout=30.0, forward_security_events=True, protocol=protocol))


def hear(link: Link, side: Side, text: str, now: float = 0.0) -> list[Command]:
    return link.handle(Received(side, text), now)


def a_variable(component: str, name: str, value: str) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}


def a_result(element: dict[str, Any], status: str) -> dict[str, Any]:
    return {"attributeStatus": status, "component": element["component"], "variable": element["variable"]}


INTERVAL = a_variable("OCPPCommCtrlr", "HeartbeatInterval", "60")
IDENTITY = a_variable("SecurityCtrlr", "Identity", "other")
NEW_PASSWORD = a_variable("SecurityCtrlr", "BasicAuthPassword", PASSWORD)


def set_variables(*elements: dict[str, Any]) -> str:
    return json.dumps([2, "v", "SetVariables", {"setVariableData": list(elements)}])


def answered(*results: dict[str, Any]) -> str:
    return json.dumps([3, "v", {"setVariableResult": list(results)}], separators=(",", ":"))


def forwarded(*elements: dict[str, Any]) -> str:
    return json.dumps([2, "v", "SetVariables", {"setVariableData": list(elements)}], separators=(",", ":"))


FAREWELL = [
    Lost(None, "closed", "the uplink's key changed"),
    Close(STATION, 1012, "the uplink's key changed"),
    Close(SUPERVISION, 1001, "the uplink's key changed"),
]


# --- Keys --------------------------------------------------------------------------------------------------------


def test_r21_a_key_is_stored_then_accepted_then_both_legs_close() -> None:
    link = a_link()

    assert hear(link, SUPERVISION, SET_KEY) == [KeepKey("k", bytes(16))]
    assert link.handle(Stored("k", SUPERVISION), 1.0) == [Send(SUPERVISION, '[3,"k",{"status":"Accepted"}]'), *FAREWELL]
    assert link.is_over


def test_r21_a_key_that_could_not_be_stored_is_refused_and_the_link_lives() -> None:
    link = a_link()
    hear(link, SUPERVISION, SET_KEY)

    (command,) = link.handle(Stored("k", SUPERVISION, is_stored=False), 1.0)

    assert isinstance(command, Send)
    assert json.loads(command.text)[:3] == [4, "k", "InternalError"]
    assert not link.is_over
    assert hear(link, STATION, '[3,"k",{"status":"Accepted"}]')[0] == Drop(
        STATION, "unexpected-result", '[3,"k",{"status":"Accepted"}]'
    )


def test_r21_a_key_is_decided_on_without_the_stations_slot_and_repeats_wait_for_it() -> None:
    link = a_link()
    hear(link, SUPERVISION, SET_KEY)

    assert hear(link, SUPERVISION, '[2,"1","Reset",{}]') == [Send(STATION, '[2,"1","Reset",{}]')]
    assert hear(link, SUPERVISION, SET_KEY) == [Drop(SUPERVISION, "repeated", SET_KEY)]


def test_r21_a_key_that_is_none_is_rejected_at_once() -> None:
    text = json.dumps([2, "k", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "short"}])
    notice, answer = hear(a_link(), SUPERVISION, text)

    assert isinstance(notice, Notice)
    assert answer == Send(SUPERVISION, '[3,"k",{"status":"Rejected"}]')


def test_r13_a_supervision_may_complain_of_an_answer_of_the_agents_own_and_the_station_sees_nothing_else() -> None:
    link = a_link("ocpp2.1")
    hear(link, SUPERVISION, set_variables(IDENTITY))

    assert hear(link, STATION, answered(a_result(IDENTITY, "Accepted"))) == [
        Drop(STATION, "unexpected-result", answered(a_result(IDENTITY, "Accepted")))
    ]


# --- Split CALLs -------------------------------------------------------------------------------------------------


def test_r22_the_rest_of_a_split_call_goes_out_and_the_answers_are_merged_in_request_order() -> None:
    link = a_link("ocpp2.0.1")
    (sent,) = [each for each in hear(link, SUPERVISION, set_variables(IDENTITY, INTERVAL)) if isinstance(each, Send)]

    assert sent == Send(STATION, forwarded(INTERVAL))
    assert hear(link, STATION, answered(a_result(INTERVAL, "Accepted"))) == [
        Send(SUPERVISION, answered(a_result(IDENTITY, "Rejected"), a_result(INTERVAL, "Accepted")))
    ]


@pytest.mark.parametrize("answer", ['[4,"v","NotSupported","",{}]', '[3,"v",{}]', '[3,"v",[]]', '[3,"v"'])
def test_r22_what_the_station_refuses_as_a_whole_counts_as_rejected(answer: str) -> None:
    link = a_link("ocpp2.0.1")
    hear(link, SUPERVISION, set_variables(IDENTITY, INTERVAL))
    commands = hear(link, STATION, answer)

    if commands == [Drop(STATION, "envelope", answer)]:
        assert answer == '[3,"v"'
    else:
        assert commands == [Send(SUPERVISION, answered(a_result(IDENTITY, "Rejected"), a_result(INTERVAL, "Rejected")))]


def test_r22_an_unanswered_split_call_is_answered_for_the_agents_part_and_never_again() -> None:
    link = a_link("ocpp2.0.1")
    hear(link, SUPERVISION, set_variables(IDENTITY, INTERVAL))
    link.handle(Flushed(STATION), 0.0)

    assert link.handle(TimePassed(), 30.0) == [
        Send(SUPERVISION, answered(a_result(IDENTITY, "Rejected"), a_result(INTERVAL, "Rejected")))
    ]
    late = answered(a_result(INTERVAL, "Accepted"))
    assert hear(link, STATION, late, 31.0) == [Drop(STATION, "unexpected-result", late)]


def test_r21_a_split_call_with_a_key_stores_it_first_and_ends_the_link_after_the_answer() -> None:
    link = a_link("ocpp2.0.1")

    assert hear(link, SUPERVISION, set_variables(INTERVAL, NEW_PASSWORD))[-1] == KeepKey("v", PASSWORD.encode())
    assert link.handle(Stored("v", SUPERVISION), 1.0) == [Send(STATION, forwarded(INTERVAL))]
    assert hear(link, STATION, answered(a_result(INTERVAL, "RebootRequired")), 2.0) == [
        Send(SUPERVISION, answered(a_result(INTERVAL, "RebootRequired"), a_result(NEW_PASSWORD, "Accepted"))),
        *FAREWELL,
    ]


def test_r21_a_split_call_with_a_key_that_the_station_does_not_answer_ends_the_link_too() -> None:
    link = a_link("ocpp2.0.1")
    hear(link, SUPERVISION, set_variables(INTERVAL, NEW_PASSWORD))
    link.handle(Stored("v", SUPERVISION), 0.0)
    link.handle(Flushed(STATION), 0.0)

    assert link.handle(TimePassed(), 30.0) == [
        Send(SUPERVISION, answered(a_result(INTERVAL, "Rejected"), a_result(NEW_PASSWORD, "Accepted"))),
        *FAREWELL,
    ]


def test_r21_a_split_call_with_a_key_that_waits_too_long_is_answered_and_ends_the_link_too() -> None:
    link = a_link("ocpp2.0.1")
    hear(link, SUPERVISION, '[2,"1","Reset",{}]', 0.0)
    hear(link, SUPERVISION, set_variables(INTERVAL, NEW_PASSWORD), 1.0)
    link.handle(Stored("v", SUPERVISION), 2.0)

    assert link.handle(TimePassed(), 32.0) == [
        Send(SUPERVISION, answered(a_result(INTERVAL, "Rejected"), a_result(NEW_PASSWORD, "Accepted"))),
        *FAREWELL,
    ]


# --- CALLs of the agent's own --------------------------------------------------------------------------------------


def test_r15_an_own_call_takes_the_stations_slot_and_its_answer_never_reaches_the_supervision() -> None:
    link = a_link()

    assert link.handle(OwnCallAsked("uuid", OWN), 0.0) == [Send(STATION, OWN)]
    assert hear(link, SUPERVISION, '[2,"1","Reset",{}]') == []
    assert hear(link, STATION, '[3,"uuid",{"status":"Accepted"}]') == [
        OwnCallEnded("uuid", '[3,"uuid",{"status":"Accepted"}]'),
        Send(STATION, '[2,"1","Reset",{}]'),
    ]


def test_r15_an_own_call_waits_for_the_slot_like_any() -> None:
    link = a_link()
    hear(link, SUPERVISION, '[2,"1","Reset",{}]')

    assert link.handle(OwnCallAsked("uuid", OWN), 0.0) == []
    assert hear(link, STATION, '[3,"1",{}]') == [Send(SUPERVISION, '[3,"1",{}]'), Send(STATION, OWN)]


def test_r15_an_own_call_gives_the_slot_back_after_five_seconds_and_its_late_answer_is_nobodys() -> None:
    link = a_link()
    link.handle(OwnCallAsked("uuid", OWN), 0.0)
    link.handle(Flushed(STATION), 0.0)
    hear(link, SUPERVISION, '[2,"1","Reset",{}]', 1.0)

    assert link.deadline() == OWN_CALL_WITHIN_S == 5.0
    assert link.handle(TimePassed(), 5.0) == [OwnCallEnded("uuid", None), Send(STATION, '[2,"1","Reset",{}]')]
    late = '[3,"uuid",{}]'
    assert hear(link, STATION, late, 6.0) == [Drop(STATION, "unexpected-result", late)]


def test_r15_an_own_call_that_waits_too_long_or_finds_no_room_ends_unanswered() -> None:
    link = a_link()
    hear(link, SUPERVISION, '[2,"open","Reset",{}]', 0.0)
    link.handle(OwnCallAsked("uuid", OWN), 0.0)
    assert link.handle(TimePassed(), 30.0) == [OwnCallEnded("uuid", None)]

    for number in range(MOST_WAITING):
        hear(link, SUPERVISION, f'[2,"{number}","Reset",{{}}]', 31.0)
    assert link.handle(OwnCallAsked("uuid", OWN), 31.0) == [OwnCallEnded("uuid", None)]
    assert not link.is_over


def test_r45_an_own_call_to_the_supervision_is_first_and_its_answer_never_reaches_the_station() -> None:
    link = a_link()
    boot = '[2,"uuid","BootNotification",{}]'

    assert link.handle(OwnCallAsked("uuid", boot, SUPERVISION), 0.0) == [Send(SUPERVISION, boot)]
    assert hear(link, STATION, '[2,"1","Heartbeat",{}]') == []
    assert hear(link, SUPERVISION, '[3,"uuid",{"status":"Accepted"}]') == [
        OwnCallEnded("uuid", '[3,"uuid",{"status":"Accepted"}]'),
        Send(SUPERVISION, '[2,"1","Heartbeat",{}]'),
    ]


def test_r45_an_own_call_that_the_supervision_does_not_answer_costs_nobody_the_link() -> None:
    link = a_link()
    boot = '[2,"uuid","BootNotification",{}]'
    link.handle(OwnCallAsked("uuid", boot, SUPERVISION), 0.0)
    link.handle(Flushed(SUPERVISION), 0.0)

    assert link.deadline() == 30.0
    assert link.handle(TimePassed(), 30.0) == [OwnCallEnded("uuid", None)]
    assert not link.is_over


# --- What is noted ------------------------------------------------------------------------------------------------


def test_r41_the_round_trip_of_a_timed_answer_is_told_from_its_last_byte() -> None:
    link, text = a_link(), '[3,"1",{"currentTime":"2026-11-22T12:00:00Z"}]'
    hear(link, STATION, '[2,"1","Heartbeat",{}]', 0.0)
    link.handle(Flushed(SUPERVISION), 1.0)

    answered, sent = hear(link, SUPERVISION, text, 1.25)
    assert isinstance(answered, Answered)
    assert (answered.call.action, answered.round_trip_s, answered.text) == ("Heartbeat", 0.25, text)
    assert sent == Send(STATION, text)


@pytest.mark.parametrize("action", ["BootNotification", "StatusNotification", "StopTransaction", "TransactionEvent"])
def test_r44_what_a_station_tells_of_itself_is_overheard_and_goes_on(action: str) -> None:
    link, text = a_link(), f'[2,"1","{action}",{{}}]'

    overheard, sent = hear(link, STATION, text)

    assert isinstance(overheard, Overheard)
    assert (overheard.call.text, sent) == (text, Send(SUPERVISION, text))
    assert hear(link, SUPERVISION, f'[2,"2","{action}",{{}}]') == [Send(STATION, f'[2,"2","{action}",{{}}]')]


@pytest.mark.parametrize("text", ['[2,"2","StartTransaction",{}]', '[2, "2", "StartTransaction", {}]'])
def test_r44_a_call_that_waits_is_overheard_once_and_its_answer_too(text: str) -> None:
    link = a_link()
    hear(link, STATION, '[2,"1","Authorize",{}]')
    (overheard,) = hear(link, STATION, text)
    assert isinstance(overheard, Overheard)
    hear(link, SUPERVISION, '[3,"1",{}]')

    answered, _ = hear(link, SUPERVISION, '[3,"2",{"transactionId":7}]')

    assert isinstance(answered, Answered)
    assert (answered.call, answered.text) == (overheard.call, '[3,"2",{"transactionId":7}]')


@pytest.mark.parametrize(
    ("side", "action", "payload", "what"),
    [
        (SUPERVISION, "ChangeConfiguration", '{"key":"WebSocketPingInterval","value":"0"}', "leg-local-setting"),
        (SUPERVISION, "SetVariables", '{"setVariableData":[{"name":"RetryBackOffX"}]}', "leg-local-setting"),
        (STATION, "FirmwareStatusNotification", '{"status":"DownloadFailed"}', "download-failed"),
        (STATION, "LogStatusNotification", '{"status":"UploadFailed"}', "upload-failed"),
    ],
)
def test_r23_and_r57_what_is_noted_passes_unchanged(side: Side, action: str, payload: str, what: str) -> None:
    text = f'[2,"1","{action}",{payload}]'

    assert hear(a_link(), side, text) == [Notice(side, what, action), Send(side.other, text)]
