"""The frame codec: any chunking of any stream, judged against wsproto; sizes, limits, costs, close codes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.websocket.codec import (
    FRAGMENT_BYTES,
    MOST_FRAGMENTS,
    CloseReceived,
    FrameReader,
    FrameWriter,
    Incoming,
    Ping,
    Pong,
    Violation,
    cut_reason,
    is_sendable,
)
from support.wsframes import (
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    chopped,
    close_frame,
    fragmented,
    frame,
)
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

MIB = 1024 * 1024
ENDLESS = 1 << 62
DATA_OPCODES = st.sampled_from([CONTINUATION, TEXT])
CONTROL_OPCODES = st.sampled_from([CLOSE, PING, PONG])
KEYS = st.binary(min_size=4, max_size=4)


def a_reader(*, is_masked: bool = True, largest: int = MIB) -> FrameReader:
    """Return a reader of a station's frames."""
    return FrameReader(is_masked=is_masked, largest_message_bytes=largest)


def read(pieces: Sequence[bytes], *, is_masked: bool = True, largest: int = ENDLESS) -> list[Incoming]:
    """Return all that a new reader makes of the pieces."""
    reader = a_reader(is_masked=is_masked, largest=largest)
    return [item for piece in pieces for item in reader.feed(piece)]


def judged_by_wsproto(data: bytes, *, is_masked: bool) -> list[Incoming]:
    """Return what wsproto makes of a stream, in our words; its reasons for a breach are its own."""
    protocol = FrameProtocol(client=not is_masked, extensions=[])
    protocol.receive_bytes(data)
    items: list[Incoming] = []
    parts: list[str] = []
    try:
        for each in protocol.received_frames():
            payload: Any = each.payload
            match each.opcode:
                case Opcode.PING:
                    items.append(Ping(payload))
                case Opcode.PONG:
                    items.append(Pong(payload))
                case Opcode.CLOSE:
                    items.append(CloseReceived(int(payload[0]), payload[1]))
                case Opcode.BINARY:
                    return [*items, Violation(1003, "")]
                case _:
                    parts.append(payload)
                    if each.message_finished:
                        items.append("".join(parts))
                        parts.clear()
    except ParseFailed as error:
        items.append(Violation(int(error.code), ""))
    return items


def without_words(items: list[Incoming]) -> list[Incoming]:
    """Leave out why a stream was broken off: the libraries use other words, and 1014 is younger than wsproto."""
    return [Violation(item.code, "") if isinstance(item, Violation) else item for item in items]


@st.composite
def valid_streams(draw: st.DrawFn) -> tuple[bool, bytes]:
    """A stream without a fault: messages in any fragments, control frames between them, perhaps a Close frame."""
    is_masked = draw(st.booleans())

    def encode(opcode: int, payload: bytes, final: bool = True) -> bytes:
        return frame(opcode, payload, final=final, key=draw(KEYS) if is_masked else None)

    frames: list[bytes] = []
    for text in draw(st.lists(st.text(max_size=300), max_size=6)):
        payload = text.encode()
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
        parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for place, part in enumerate(parts):
            frames.append(encode(CONTINUATION if place else TEXT, part, final=place == len(parts) - 1))
            for opcode in draw(st.lists(st.sampled_from([PING, PONG]), max_size=2)):
                frames.append(encode(opcode, draw(st.binary(max_size=125))))
    if draw(st.booleans()):
        code = draw(st.sampled_from([None, 1000, 1001, 3000, 4999]))
        reason = draw(st.text(max_size=30)).encode() if code else b""
        frames.append(encode(CLOSE, (code.to_bytes(2, "big") if code else b"") + reason))
    return is_masked, b"".join(frames)


@st.composite
def odd_streams(draw: st.DrawFn) -> tuple[bool, bytes]:
    """Frames with any bits set, in any order, with any payload; each is whole."""
    is_masked = draw(st.booleans())
    frames = [
        frame(
            draw(st.one_of(DATA_OPCODES, CONTROL_OPCODES, st.integers(0, 15))),
            draw(st.one_of(st.text(max_size=40).map(str.encode), st.binary(max_size=140))),
            final=draw(st.sampled_from([True, True, False])),
            reserved=draw(st.sampled_from([0, 0, 0, 0, 1, 4])),
            key=draw(KEYS) if is_masked ^ draw(st.sampled_from([False, False, False, False, True])) else None,
        )
        for _ in range(draw(st.integers(1, 8)))
    ]
    return is_masked, b"".join(frames)


@st.composite
def damaged_streams(draw: st.DrawFn) -> tuple[bool, bytes]:
    """A valid stream of which some bytes were changed, and which may be cut off anywhere."""
    is_masked, data = draw(valid_streams())
    changed = bytearray(data)
    for _ in range(draw(st.integers(0, 3)) if changed else 0):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return is_masked, bytes(changed[: draw(st.integers(0, len(changed)))])


@st.composite
def pieces_of(draw: st.DrawFn, streams: st.SearchStrategy[tuple[bool, bytes]]) -> tuple[bool, bytes, list[bytes]]:
    """A stream and one way in which sockets may give it."""
    is_masked, data = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return is_masked, data, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(pieces_of(st.one_of(valid_streams(), odd_streams(), damaged_streams())))
def test_any_chunking_of_any_stream_gives_the_same_items(stream: tuple[bool, bytes, list[bytes]]) -> None:
    is_masked, data, pieces = stream

    whole = read([data], is_masked=is_masked)

    assert read(pieces, is_masked=is_masked) == whole
    assert read(list(chopped(data, 1)), is_masked=is_masked) == whole


@given(valid_streams())
def test_a_valid_stream_is_read_as_wsproto_reads_it(stream: tuple[bool, bytes]) -> None:
    is_masked, data = stream

    items = read([data], is_masked=is_masked)

    assert items == judged_by_wsproto(data, is_masked=is_masked)
    assert not any(isinstance(item, Violation) for item in items)


@given(odd_streams())
def test_a_stream_of_odd_frames_is_judged_as_wsproto_judges_it(stream: tuple[bool, bytes]) -> None:
    is_masked, data = stream

    ours = without_words(read([data], is_masked=is_masked))
    theirs = judged_by_wsproto(data, is_masked=is_masked)

    assert same_judgement(ours, theirs), (ours, theirs)


@given(damaged_streams())
def test_a_damaged_stream_is_judged_as_wsproto_judges_it(stream: tuple[bool, bytes]) -> None:
    is_masked, data = stream

    ours = without_words(read([data], is_masked=is_masked))
    theirs = judged_by_wsproto(data, is_masked=is_masked)

    # wsproto reads the UTF-8 of a frame that is not whole yet, we its header before its mask is there
    shorter, longer = sorted([ours, theirs], key=len)
    is_ahead = len(longer) == len(shorter) + 1 and isinstance(longer[-1], Violation) and longer[:-1] == shorter
    assert is_ahead or same_judgement(ours, theirs), (ours, theirs)


def same_judgement(ours: list[Incoming], theirs: list[Incoming]) -> bool:
    """Whether both heard the same and broke off at the same place, where a binary frame, which breaks two rules at
    once when it stands between fragments, may have either code; and 1014 is younger than wsproto."""
    if ours == theirs:
        return True
    if not ours or len(ours) != len(theirs) or ours[:-1] != theirs[:-1]:
        return False
    last, other = ours[-1], theirs[-1]
    if isinstance(last, CloseReceived):
        return last.code == 1014 and isinstance(other, Violation)
    return isinstance(last, Violation) and isinstance(other, Violation) and {last.code, other.code} == {1002, 1003}


@given(st.binary(max_size=600), st.booleans())
def test_random_bytes_never_raise_and_end_with_the_first_breach(data: bytes, is_masked: bool) -> None:
    items = read([data], is_masked=is_masked, largest=1000)

    ends = [place for place, item in enumerate(items) if isinstance(item, Violation | CloseReceived)]
    assert ends in ([], [len(items) - 1])


def test_a_reader_that_is_over_says_nothing_more() -> None:
    reader = a_reader()
    reader.feed(frame(TEXT, b"x", reserved=1))

    assert reader.feed(frame(TEXT, b"x")) == []


@given(st.lists(st.text(max_size=400), max_size=8), st.binary(max_size=125), st.text(max_size=200), st.booleans())
def test_what_the_writer_wrote_is_read_back_by_us_and_by_wsproto(
    texts: list[str], payload: bytes, reason: str, is_masked: bool
) -> None:
    writer = FrameWriter(is_masked=is_masked)
    written = [writer.text(text) for text in texts]
    written += [writer.ping(payload), writer.pong(payload), writer.close(3000, reason)]
    expected = [*texts, Ping(payload), Pong(payload), CloseReceived(3000, cut_reason(reason))]

    assert read([b"".join(written)], is_masked=is_masked) == expected
    assert judged_by_wsproto(b"".join(written), is_masked=is_masked) == expected


@pytest.mark.parametrize("is_masked", [True, False], ids=["client", "server"])
@pytest.mark.parametrize(
    "length",
    [
        0,
        1,
        125,
        126,
        127,
        65535,
        65536,
        FRAGMENT_BYTES - 1,
        FRAGMENT_BYTES,
        FRAGMENT_BYTES + 1,
        2 * FRAGMENT_BYTES,
        MIB,
    ],
)
def test_a_text_of_any_length_survives_writer_and_reader(length: int, is_masked: bool) -> None:
    text = ("é" * (length // 2) + "x" * (length % 2)) if length else ""

    written = FrameWriter(is_masked=is_masked).text(text)

    assert read([written], is_masked=is_masked, largest=MIB) == [text]
    assert judged_by_wsproto(written, is_masked=is_masked) == [text]


def test_every_frame_of_a_client_has_a_key_of_its_own() -> None:
    writer = FrameWriter(is_masked=True)

    keys = [writer.text("x")[2:6] for _ in range(5000)]

    assert len(set(keys)) > 4990  # 32 random bits each


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert FrameWriter(is_masked=False).close(1005, "never sent") == b"\x88\x00"


@given(st.text(max_size=200))
def test_a_reason_is_cut_on_a_character_to_the_bytes_of_a_close_frame(reason: str) -> None:
    short = cut_reason(reason)

    assert reason.startswith(short)
    assert len(short.encode()) <= 123
    assert short == reason or len(short.encode()) > 119


SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


@pytest.mark.parametrize("code", [0, 1, 999, *range(1000, 1020), 1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535])
def test_a_close_code_is_taken_where_the_registry_knows_it(code: int) -> None:
    items = read([close_frame(code, b"bye")])

    assert is_sendable(code) is (code in SENDABLE)
    if code in SENDABLE:
        assert items == [CloseReceived(code, "bye")]
    else:
        assert without_words(items) == [Violation(1002, "")]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (bytes([0x81, 0xFF]) + (MIB + 1).to_bytes(8, "big"), 1009),
        (bytes([0x81, 0xFF]) + ((1 << 63) - 1).to_bytes(8, "big"), 1009),
        (bytes([0x81, 0xFF]) + (1 << 63).to_bytes(8, "big"), 1002),
        (bytes([0x01, 0xFF]) + (MIB + 1).to_bytes(8, "big"), 1009),
        (bytes([0x82, 0x80]), 1003),
        (bytes([0x89, 0xFE]) + (126).to_bytes(2, "big"), 1002),
        (bytes([0x81, 0xFE]) + (125).to_bytes(2, "big"), 1002),
        (bytes([0x81, 0xFF]) + (65535).to_bytes(8, "big"), 1002),
    ],
    ids=["over the limit", "largest", "not a length", "fragment", "binary", "control", "2 bytes", "8 bytes"],
)
def test_a_frame_is_judged_from_its_header_alone(head: bytes, code: int) -> None:
    assert without_words(read([head], largest=MIB)) == [Violation(code, "")]


def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert read([frame(TEXT, b"x" * 1000)], largest=1000) == ["x" * 1000]
    assert without_words(read([frame(TEXT, b"x" * 1001)], largest=1000)) == [Violation(1009, "")]


def test_fragments_are_counted_together_against_the_limit() -> None:
    within = fragmented([b"x" * 500, b"x" * 500])
    beyond = fragmented([b"x" * 500, b"x" * 500, b"x"])

    assert read(within, largest=1000) == ["x" * 1000]
    assert read(within + within, largest=1000) == ["x" * 1000] * 2
    assert without_words(read(beyond, largest=1000)) == [Violation(1009, "")]


def test_a_message_of_4096_fragments_is_taken_and_one_more_is_not() -> None:
    assert read([b"".join(fragmented([b"x"] * MOST_FRAGMENTS))]) == ["x" * MOST_FRAGMENTS]
    assert without_words(read(fragmented([b""] * (MOST_FRAGMENTS + 1)))) == [Violation(1002, "")]


def test_64_kib_hold_10922_empty_pings_and_all_are_read() -> None:
    data = frame(PING) * (65536 // 6)

    assert len(data) <= 65536
    assert read([data]) == [Ping(b"")] * 10_922


def test_what_stood_before_a_breach_in_the_same_bytes_is_heard() -> None:
    data = frame(TEXT, b"first") + frame(PING, b"p") + frame(TEXT, b"bad", reserved=4) + frame(TEXT, b"never")

    assert without_words(read([data])) == ["first", Ping(b"p"), Violation(1002, "")]


def test_a_character_may_stand_across_fragments_and_may_not_stay_half() -> None:
    euro = "€".encode()

    assert read(fragmented([euro[:1], euro[1:2], euro[2:]])) == ["€"]
    assert without_words(read(fragmented([euro[:1], euro[1:2]]))) == [Violation(1007, "")]


def test_invalid_utf_8_of_a_fragment_is_told_before_the_message_is_whole() -> None:
    first, second, _ = fragmented(["κόσμε".encode(), b"\xf4\x90", b"\x80\x80"])

    assert without_words(read([first, second])) == [Violation(1007, "")]


def dribble(length: int, size: int) -> Callable[[], None]:
    """Read one message of `length` bytes in pieces of `size`."""
    pieces = list(chopped(frame(TEXT, b"x" * length), size))

    def run() -> None:
        assert read(pieces) == ["x" * length]

    return run


def fragments(count: int, _: int) -> Callable[[], None]:
    """Read messages of 4,096 fragments each, `count` fragments in all, piece by piece."""
    pieces = [b"".join(fragmented([b"x"] * MOST_FRAGMENTS))] * (count // MOST_FRAGMENTS)
    pieces = list(chopped(b"".join(pieces), 7))

    def run() -> None:
        assert len(read(pieces)) == count // MOST_FRAGMENTS

    return run


def many_in_one(count: int, _: int) -> Callable[[], None]:
    """Read `count` small frames that came together."""
    data = frame(TEXT, b"x" * 10) * count

    def run() -> None:
        assert len(read([data])) == count

    return run


@pytest.mark.parametrize(
    ("work", "n", "size"),
    [(dribble, MIB // 4, 1), (dribble, 2 * MIB, 16), (fragments, 4 * MOST_FRAGMENTS, 0), (many_in_one, 30_000, 0)],
    ids=["byte by byte", "in 16 bytes", "fragments", "frames at once"],
)
def test_the_cost_of_reading_is_linear(work: Callable[[int, int], Callable[[], None]], n: int, size: int) -> None:
    once, fourfold = cpu_s(work(n, size)), cpu_s(work(4 * n, size))

    # Quadratic would be 16 times as much; the clock and a cache may make 4 a 7.
    assert fourfold <= 9 * once + 0.02


def cpu_s(run: Callable[[], None]) -> float:
    """Return the CPU time of a run, the best of three."""
    times = []
    for _ in range(3):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def test_a_frame_of_rfc_6455_section_5_7_is_read() -> None:
    masked_hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"

    assert frame(TEXT, b"Hello", key=KEY) == masked_hello
    assert read([masked_hello]) == ["Hello"]
    assert read([b"\x81\x05Hello"], is_masked=False) == ["Hello"]
    assert without_words(read([b"\x81\x05Hello"])) == [Violation(1002, "")]
    assert without_words(read([masked_hello], is_masked=False)) == [Violation(1002, "")]
