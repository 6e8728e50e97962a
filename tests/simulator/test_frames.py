"""OCPP-J frames: what is written is read back, and any text at all is a frame or a FrameError."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pointsman_simulator.errors import FrameError
from pointsman_simulator.frames import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Send,
    read_frame,
    write_frame,
)

# A loaded two-core machine generates one input a second at worst; that is no failure of the code.
PROPERTY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

text = st.text(alphabet=st.characters(), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(text, json_values, max_size=4)
frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Call, text, text, payloads),
    st.builds(CallResult, text, payloads),
    st.builds(CallError, text, text, text, payloads),
    st.builds(CallResultError, text, text, text, payloads),
    st.builds(Send, text, text, payloads),
)


@PROPERTY
@given(frame=frames, spaced=st.booleans())
def test_a_frame_is_read_back_as_it_was_written(frame: Frame, spaced: bool) -> None:
    assert read_frame(write_frame(frame, spaced=spaced)) == frame


@PROPERTY
@given(frame=frames)
def test_a_written_frame_can_always_be_sent_as_utf8(frame: Frame) -> None:
    assert write_frame(frame).encode()


@PROPERTY
@given(st.text(alphabet='[]{}",:0123456789eE+-.ntrufalsNI \\"Ax\x00', max_size=60) | json_values.map(json.dumps))
def test_any_text_is_a_frame_or_a_frame_error(candidate: str) -> None:
    try:
        frame = read_frame(candidate)
    except FrameError:
        return

    assert read_frame(write_frame(frame)) == frame


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        '\ufeff[3,"1",{}]',
        '{"a":1}',
        "[]",
        '[2,"1","Heartbeat"]',
        '[2,1,"Heartbeat",{}]',
        '[2,"1","Heartbeat",null]',
        '[7,"1",{}]',
        '[2,"1","Heartbeat",{"a":NaN}]',
        "[" * 100_000,
        '[3,"1",{"a":' + "9" * 5000 + "}]",
    ],
)
def test_what_is_no_frame_is_refused(candidate: str) -> None:
    with pytest.raises(FrameError):
        read_frame(candidate)


def test_the_id_of_a_broken_frame_is_known_where_it_can_be_read() -> None:
    with pytest.raises(FrameError) as caught:
        read_frame('[9,"abc","Heartbeat",{}]')

    assert caught.value.message_id == "abc"


def test_a_spaced_frame_means_the_same_and_is_another_text() -> None:
    call = Call("1", "Heartbeat", {"a": 1})

    assert write_frame(call, spaced=True) != write_frame(call)
    assert read_frame(write_frame(call, spaced=True)) == read_frame(write_frame(call))
