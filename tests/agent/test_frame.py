"""Envelopes are read, payloads left alone; whatever cannot be read is one error and never another."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.ocpp.frame import (
    Frame,
    FrameError,
    LocalFrameError,
    MessageType,
    call_error,
    call_result,
    parse,
    payload_of,
    result_payload,
)

HUGE_INTEGER = "9" * 5000


@pytest.mark.parametrize(
    ("text", "kind", "call_id", "action"),
    [
        ('[2,"1","Heartbeat",{}]', 2, "1", "Heartbeat"),
        ('[3,"1",{}]', 3, "1", ""),
        ('[4,"1","GenericError","",{}]', 4, "1", ""),
        ('[5,"1","GenericError","",{}]', 5, "1", ""),
        ('[6,"1","NotifyPeriodicEventStream",{}]', 6, "1", "NotifyPeriodicEventStream"),
        ('[9,"1"]', 9, "1", ""),
        ('[3,"1"]', 3, "1", ""),
        ('[2,"1","Heartbeat"]', 2, "1", "Heartbeat"),
    ],
    ids=["call", "result", "error", "result error", "send", "unknown type", "no payload", "call without a payload"],
)
def test_type_id_and_action_are_read(text: str, kind: int, call_id: str, action: str) -> None:
    assert parse(text) == Frame(kind, call_id, action, text)


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff[2,"1","Heartbeat",{}]',
        ' \r\n\t[ 2 , "1" , "Heartbeat" , {} ] ',
        '[2,"1","Heartbeat",{"a":"\x00"}]',
        '[2,"1","Heartbeat",{"a":',
        '[2,"1","Heartbeat",' + "[" * 100_000,
        f'[2,"1","Heartbeat",{{"a":{HUGE_INTEGER}}}]',
        '[2,"1","Heartbeat",{"a":"\\ud800"}]',
        '[2,"1","Heartbeat",{}] and more',
        '[2,"1","Heart\\u0062eat",{}]',
    ],
    ids=["BOM", "white space", "NUL", "cut", "nested", "huge number", "lone surrogate", "tail", "escapes"],
)
def test_r18_odd_text_is_read_as_far_as_its_envelope_and_kept_whole(text: str) -> None:
    frame = parse(text)

    assert (frame.kind, frame.id, frame.action) == (MessageType.CALL, "1", "Heartbeat")
    assert frame.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        "[2]",
        '["2","1","Heartbeat",{}]',
        '[2,1,"Heartbeat",{}]',
        '[2,"1"]',
        '[2,"1",{}]',
        '[2,"1',
        '[2,"1","Heartbe',
        '[2,"\\x","Heartbeat",{}]',
        '[2,"\\u12","Heartbeat",{}]',
        f'[{HUGE_INTEGER},"1","Heartbeat",{{}}]',
        '[-2,"1","Heartbeat",{}]',
        '[2.0,"1","Heartbeat",{}]',
        '[\u0662,"1","Heartbeat",{}]',
        '\u00a0[2,"1","Heartbeat",{}]',
        "2",
    ],
)
def test_r18_text_without_a_readable_envelope_is_a_frame_error(text: str) -> None:
    with pytest.raises(FrameError):
        parse(text)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_any_text_is_a_frame_or_a_frame_error(text: str) -> None:
    with contextlib.suppress(FrameError):
        assert parse(text).text == text


@given(
    st.integers(2, 6),
    st.text(max_size=40),
    st.text(max_size=40),
    st.sampled_from([(",", ":"), (" , ", " : "), (",\n", ":\t")]),
    st.booleans(),
)
def test_what_json_says_of_an_envelope_is_what_is_read(
    kind: int, call_id: str, action: str, separators: tuple[str, str], escaped: bool
) -> None:
    text = json.dumps([kind, call_id, action, {"a": [1]}], separators=separators, ensure_ascii=escaped)

    frame = parse(text)

    assert (frame.kind, frame.id) == (kind, call_id)
    assert frame.action == (action if kind in (2, 6) else "")


def test_ids_are_compared_as_decoded_strings() -> None:
    assert parse('[3,"a\\u0062c",{}]').id == parse('[3,"abc",{}]').id


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('[2,"1","A",{"a":1}]', {"a": 1}),
        ('\ufeff[2,"1","A",{"a":1}]', {"a": 1}),
        ('[2,"1","A",null]', {}),
        ('[2,"1","A"]', {}),
        ('[2,"1","A",{"a":"\x00"}]', {"a": "\x00"}),
        ('[2,"1","A",{"a":"\\ud800"}]', {"a": "\ud800"}),
        ('[2,"1","A",{"a":1e400}]', {"a": float("inf")}),
        ('[2,"1","A",{"a":-' + HUGE_INTEGER + "}]", {"a": float("-inf")}),
        ('[2,"1","A",{"a":12345678901234567890123}]', {"a": 12345678901234567890123}),
        ('[2,"1","A",{"a":1,"a":2}]', {"a": 2}),
    ],
    ids=[
        "object",
        "BOM",
        "null",
        "none",
        "NUL",
        "lone surrogate",
        "number out of range",
        "number too long",
        "long number",
        "key twice",
    ],
)
def test_r32_the_payload_of_an_odd_call_is_read(text: str, payload: dict[str, object]) -> None:
    assert payload_of(parse(text)) == payload


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","A",[]]',
        '[2,"1","A",1]',
        '[2,"1","A",{},{}]',
        '[2,"1","A",{"a":',
        '[2,"1","A",{}] more',
        '[2,"1","A",' + "[" * 100_000,
        '[2,"1","A",{"a":' + "[" * 100_000 + "]" * 100_000 + "}]",
    ],
    ids=["list", "number", "five elements", "cut", "tail", "nested and cut", "nested"],
)
def test_a_payload_that_is_no_object_is_a_formation_violation_of_that_call(text: str) -> None:
    with pytest.raises(LocalFrameError) as caught:
        payload_of(parse(text))

    assert (caught.value.call_id, caught.value.code) == ("1", "FormationViolation")


def test_the_payload_of_a_result_is_read_or_is_a_formation_violation() -> None:
    assert result_payload(parse('[3,"1",{"a":1}]')) == {"a": 1}
    for text in ('[3,"1",[]]', '[3,"1"]', '[3,"1",{}', '[3,"1",{},{}]'):
        with pytest.raises(LocalFrameError, match=r".+") as caught:
            result_payload(parse(text))
        assert caught.value.call_id == "1"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=400))
def test_answers_of_our_own_are_ascii_json_whatever_the_id_is(text: str) -> None:
    result, error = call_result(text, {"currentTime": text}), call_error(text, "NotImplemented", text)

    assert result.isascii()
    assert error.isascii()
    assert json.loads(result) == [3, text, {"currentTime": text}]
    assert json.loads(error) == [4, text, "NotImplemented", text[:255], {}]


BEHIND_THE_ID = st.sampled_from(['"A"', "{}", '"', '"\\u0041"', ""])
ENVELOPES = st.builds('[{},"{}",{}'.format, st.sampled_from("23456"), st.text(max_size=5), BEHIND_THE_ID)


@given(st.one_of(ENVELOPES, st.text(max_size=30)))
def test_a_blank_in_front_changes_nothing_but_the_way_that_is_taken(text: str) -> None:
    """The common form is read by a quicker expression; a blank keeps a text from it."""

    def read(each: str) -> tuple[int, str, str] | None:
        try:
            frame = parse(each)
        except FrameError:
            return None
        return frame.kind, frame.id, frame.action

    assert read(text) == read(" " + text)
