"""The cases of the Autobahn test suite (groups 1 to 7, 9 and 10), as tables: what is sent, and what must come of it.

Numbers and contents are those of the suite's version 0.8 (github.com/crossbario/autobahn-testsuite); the suite itself
needs Python 2. Where it expects an echo, the text must be heard. Two things differ, for the profile here is OCPP-J's:
binary messages deserve 1003, and a message over 1 MiB deserves 1009.

A `head` stands before every text, so that a relay finds an envelope in it; the codec is tested with an empty one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from support.wsframes import (
    BINARY,
    CONTINUATION,
    NO_KEY,
    PING,
    PONG,
    TEXT,
    chopped,
    close_frame,
    fragmented,
    frame,
)

KIB = 1024
MIB = 1024 * KIB
LARGEST = MIB  # a message, by our profile
MOST_FRAGMENTS = 4096  # a message, by our profile

KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")  # κόσμε, its accent in a character of three bytes
SURROGATE = b"\xed\xa0\x80"
BEYOND = b"\xf4\x90\x80\x80"  # U+110000
EDITED = b"edited"


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `send` gives the segments; `texts` and `pings` must be heard, in order.

    `end` is the close code that the other side must answer with, 1005 for an empty Close frame; with `is_breach` it is
    the other side that ends the connection. `is_paced`: a segment follows once the text of the one before arrived.
    """

    number: str
    send: Callable[[], Iterable[bytes]]
    texts: tuple[bytes, ...] = ()
    pings: tuple[bytes, ...] = ()
    end: int = 1000
    is_breach: bool = False
    is_paced: bool = False


@dataclass(slots=True)
class _Book:
    """Cases as they are written down."""

    head: bytes
    cases: list[Case] = field(default_factory=list)

    def text(self, payload: bytes) -> bytes:
        return self.head + payload

    def sized(self, length: int) -> bytes:
        """A text of `length` bytes, with the head if it fits."""
        return (self.head + b"*" * (length - len(self.head))) if length >= len(self.head) else b"*" * length

    def good(
        self,
        number: str,
        frames: list[bytes],
        texts: tuple[bytes, ...] = (),
        pings: tuple[bytes, ...] = (),
        *,
        chop: int = 0,
    ) -> None:
        """All is heard; then the one who sent it closes with 1000."""
        self.cases.append(Case(number, _sender([*frames, close_frame(1000)], chop), texts, pings))

    def bad(
        self,
        number: str,
        frames: list[bytes],
        code: int = 1002,
        texts: tuple[bytes, ...] = (),
        pings: tuple[bytes, ...] = (),
        *,
        chop: int = 0,
    ) -> None:
        """Something in it deserves `code`; `texts` and `pings` stood before it."""
        self.cases.append(Case(number, _sender(frames, chop), texts, pings, code, is_breach=True))


ALL_AT_ONCE = 0
FRAME_BY_FRAME = -1
BYTE_BY_BYTE = 1


def _sender(frames: list[bytes], chop: int) -> Callable[[], Iterable[bytes]]:
    if chop == FRAME_BY_FRAME:
        return lambda: frames
    if chop == ALL_AT_ONCE:
        return lambda: [b"".join(frames)]
    return lambda: chopped(b"".join(frames), chop)


def autobahn_cases(head: bytes) -> list[Case]:
    """Return all cases, in the order of their numbers; `head` stands before every text that is long enough."""
    book = _Book(head)
    for write in (_group_1, _group_2, _group_3, _group_4, _group_5, _group_6, _utf8, _group_7, _group_9, _group_10):
        write(book)
    return book.cases


def _group_1(book: _Book) -> None:
    """Framing."""
    lengths = [(0, 0), (125, 0), (126, 0), (127, 0), (128, 0), (65535, 0), (65536, 0), (65536, 997)]
    for place, (length, chop) in enumerate(lengths, 1):
        text = book.sized(length)
        book.good(f"1.1.{place}", [frame(TEXT, text)], (text,), chop=chop)
    for place, (length, chop) in enumerate(lengths, 1):
        book.bad(f"1.2.{place}", [frame(BINARY, b"\xfe" * length)], 1003, chop=chop)


def _group_2(book: _Book) -> None:
    """Pings and pongs."""
    words, longest = b"Hello, world!", b"\xfe" * 125
    ten = tuple(b"payload-%d" % number for number in range(10))
    book.good("2.1", [frame(PING)], pings=(b"",))
    book.good("2.2", [frame(PING, words)], pings=(words,))
    book.good("2.3", [frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], pings=(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",))
    book.good("2.4", [frame(PING, longest)], pings=(longest,))
    book.bad("2.5", [frame(PING, b"\xfe" * 126)])
    book.good("2.6", [frame(PING, longest)], pings=(longest,), chop=BYTE_BY_BYTE)
    book.good("2.7", [frame(PONG)])
    book.good("2.8", [frame(PONG, b"unsolicited pong payload")])
    book.good("2.9", [frame(PONG, b"unsolicited pong payload"), frame(PING, b"ping payload")], pings=(b"ping payload",))
    book.good("2.10", [frame(PING, payload) for payload in ten], pings=ten)
    book.good("2.11", [frame(PING, payload) for payload in ten], pings=ten, chop=BYTE_BY_BYTE)


def _group_3(book: _Book) -> None:
    """Reserved bits."""
    hello = book.text(b"Hello, world!")
    book.bad("3.1", [frame(TEXT, hello, reserved=1)])
    for number, reserved, chop in (("3.2", 2, ALL_AT_ONCE), ("3.3", 3, FRAME_BY_FRAME), ("3.4", 4, BYTE_BY_BYTE)):
        frames = [frame(TEXT, hello), frame(TEXT, hello, reserved=reserved), frame(PING)]
        book.bad(number, frames, texts=(hello,), chop=chop)
    book.bad("3.5", [frame(BINARY, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", reserved=5)])
    book.bad("3.6", [frame(PING, b"Hello, world!", reserved=6)])
    book.bad("3.7", [frame(0x8, b"", reserved=7)])


def _group_4(book: _Book) -> None:
    """Opcodes that nobody knows."""
    hello = book.text(b"Hello, world!")
    for group, first in ((1, 3), (2, 11)):
        for place in range(5):
            payload = b"reserved opcode payload" if place in (1, 3, 4) else b""
            before = [frame(TEXT, hello)] if place >= 2 else []
            frames = [*before, frame(first + place, payload), frame(PING)]
            texts = (hello,) if before else ()
            book.bad(f"4.{group}.{place + 1}", frames, texts=texts, chop=BYTE_BY_BYTE if place == 4 else ALL_AT_ONCE)


def _group_5(book: _Book) -> None:
    """Fragments."""
    chops = (ALL_AT_ONCE, FRAME_BY_FRAME, BYTE_BY_BYTE)
    parts = [book.text(b"fragment1"), b"fragment2"]
    whole, other = b"".join(parts), book.text(b"Hello, world!")
    first, second = fragmented(parts)
    ping, lone = frame(PING, b"ping payload"), book.text(b"non-continuation payload")
    book.bad("5.1", [frame(PING, b"fragment1", final=False), frame(CONTINUATION, b"fragment2")])
    book.bad("5.2", [frame(PONG, b"fragment1", final=False), frame(CONTINUATION, b"fragment2")])
    for place, chop in enumerate(chops):
        book.good(f"5.{3 + place}", [first, second], (whole,), chop=chop)
    for place, chop in enumerate(chops):
        book.good(f"5.{6 + place}", [first, ping, second], (whole,), (b"ping payload",), chop=chop)
    for start, is_final in ((9, True), (12, False)):
        for place, chop in enumerate(chops):
            orphan = frame(CONTINUATION, lone, final=is_final)
            book.bad(f"5.{start + place}", [orphan, frame(TEXT, other)], chop=chop)
    orphan = frame(CONTINUATION, b"fragment3", final=False)
    book.bad("5.15", [first, second, orphan, frame(TEXT, other)], texts=(whole,))
    for number, is_final in (("5.16", False), ("5.17", True)):
        frames = [frame(CONTINUATION, b"fragment1", final=is_final), *fragmented([b"fragment2", b"fragment3"])]
        book.bad(number, frames * 2)
    book.bad("5.18", [first, frame(TEXT, b"fragment2")])
    five = [book.text(b"fragment1"), *(b"fragment%d" % number for number in range(2, 6))]
    row = fragmented(five)
    pongs = (b"pongme 1!", b"pongme 2!")
    frames = [*row[:2], frame(PING, pongs[0]), *row[2:4], frame(PING, pongs[1]), row[4]]
    for number, chop in (("5.19", ALL_AT_ONCE), ("5.20", FRAME_BY_FRAME)):
        book.good(number, frames, (b"".join(five),), pongs, chop=chop)


def _group_6(book: _Book) -> None:
    """UTF-8, in fragments and chops."""
    hello = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    book.good("6.1.1", [frame(TEXT, book.head)], (book.head,))
    book.good("6.1.2", fragmented([book.head, b"", b""]), (book.head,))
    book.good("6.1.3", fragmented([book.head, b"middle frame payload", b""]), (book.text(b"middle frame payload"),))
    book.good("6.2.1", [frame(TEXT, book.text(hello))], (book.text(hello),))
    book.good("6.2.2", fragmented([book.text(hello[:8]), hello[8:]]), (book.text(hello),))
    for number, text in (("6.2.3", hello), ("6.2.4", KOSME)):
        book.good(number, fragmented(_bytes_of(book.head, text)), (book.text(text),))
    broken = KOSME + SURROGATE + EDITED
    book.bad("6.3.1", [frame(TEXT, book.text(broken))], 1007)
    book.bad("6.3.2", fragmented(_bytes_of(book.head, broken)), 1007)
    # the parts of 6.4: valid, what makes it invalid, and a rest that needs not be waited for
    for number, parts in (("6.4.1", [KOSME, BEYOND, EDITED]), ("6.4.2", [KOSME + BEYOND[:1], BEYOND[1:2], EDITED])):
        frames = fragmented([book.text(parts[0]), *parts[1:]])
        book.bad(number, frames[:2], 1007, chop=FRAME_BY_FRAME)
    for number, cut in (("6.4.3", len(EDITED)), ("6.4.4", len(BEYOND[1:] + EDITED))):
        whole = frame(TEXT, book.text(KOSME + BEYOND + EDITED))
        book.cases.append(_in_two(number, whole, len(whole) - cut))


def _in_two(number: str, whole: bytes, cut: int) -> Case:
    return Case(number, lambda: [whole[:cut], whole[cut:]], end=1007, is_breach=True)


def _bytes_of(head: bytes, text: bytes) -> list[bytes]:
    """One part a byte; the head is a part of its own."""
    return [*([head] if head else []), *chopped(text, 1)]


def _utf8(book: _Book) -> None:
    """6.5 to 6.23: what is UTF-8 and what is not, after Markus Kuhn's stress test."""
    for group, sequences in enumerate(UTF8_GROUPS, 5):
        for place, payload in enumerate(sequences, 1):
            number, text = f"6.{group}.{place}", book.text(payload)
            if _is_valid(group, place):
                book.good(number, [frame(TEXT, text)], (text,))
            else:
                book.bad(number, [frame(TEXT, text)], 1007)


WHOLE_PREFIXES = (2, 5, 7, 9, 11)  # of KOSME, in bytes
VALID_GROUPS = (5, 7, 9, 22, 23)


def _is_valid(group: int, place: int) -> bool:
    """As the suite's tables say, not as Python's decoder does."""
    return group in VALID_GROUPS or (group == 6 and place in WHOLE_PREFIXES) or (group == 11 and place < 5)


def _rows(text: str) -> list[bytes]:
    return [bytes.fromhex(row) for row in text.split(",")]


_HALF: list[bytes] = _rows("c0, e080, f08080, f8808080, fc80808080, df, efbf, f7bfbf, fbbfbfbf, fdbfbfbfbf")

UTF8_GROUPS: tuple[list[bytes], ...] = (
    [b"hello$world", "hello¢world".encode(), "hello€world".encode(), "hello𤭢world".encode(), KOSME],
    [KOSME[:end] for end in range(1, len(KOSME) + 1)],
    _rows("00, c280, e0a080, f0908080"),
    _rows("f888808080, fc8480808080"),
    _rows("7f, dfbf, efbfbf, f48fbfbf"),
    _rows("f7bfbfbf, fbbfbfbfbf, fdbfbfbfbfbf"),
    _rows("ed9fbf, ee8080, efbfbd, f48fbfbf, f4908080"),
    [*_rows("80, bf, 80bf, 80bf80, 80bf80bf, 80bf80bf80, 80bf80bf80bf"), bytes(range(0x80, 0xBF))],
    [
        b"".join(bytes([start, 0x20]) for start in range(first, last))
        for first, last in ((0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD))
    ],
    _HALF,
    [b"".join(_HALF)],
    _rows("fe, ff, fefeffff"),
    _rows("c0af, e080af, f08080af, f8808080af, fc80808080af"),
    _rows("c1bf, e09fbf, f08fbfbf, f887bfbfbf, fc83bfbfbfbf"),
    _rows("c080, e08080, f0808080, f880808080, fc8080808080"),
    _rows("eda080, edadbf, edae80, edafbf, edb080, edbe80, edbfbf"),
    [high + low for high in _rows("eda080, edadbf, edae80, edafbf") for low in _rows("edb080, edbfbf")],
    [
        chr(plane << 16 | low).encode()
        for plane, low in [(0, 0xFFFE), (0, 0xFFFF)]
        + [
            (lead << 2 | second, low)
            for lead in range(5)
            for second in range(4)
            if 0 < lead << 2 | second <= 16
            for low in (0xFFFE, 0xFFFF)
        ]
    ],
    _rows("efbfb9, efbfba, efbfbb, efbfbc, efbfbd, efbfbe, efbfbf"),
)


def _group_7(book: _Book) -> None:
    """Closing."""
    hello, close = book.text(b"Hello World!"), close_frame(1000)
    large = book.sized(256 * KIB)
    first, second = fragmented([book.text(b"fragment1"), b"fragment2"])
    texts = {"7.1.1": (hello,), "7.1.6": (large, hello)}
    frames = {
        "7.1.1": [frame(TEXT, hello), close],
        "7.1.2": [close, close],
        "7.1.3": [close, frame(PING)],
        "7.1.4": [close, frame(TEXT, hello)],
        "7.1.5": [first, close, second],
        "7.1.6": [frame(TEXT, large), frame(TEXT, hello), close, frame(PING)],
    }
    for number, each in frames.items():
        book.cases.append(Case(number, _sender(each, ALL_AT_ONCE), texts.get(number, ())))
    _close(book, "7.3.1", close_frame(None), 1005)
    book.bad("7.3.2", [close_frame(None, b"a")])
    _close(book, "7.3.3", close_frame(1000), 1000)
    _close(book, "7.3.4", close_frame(1000, b"Hello World!"), 1000)
    _close(book, "7.3.5", close_frame(1000, b"*" * 123), 1000)
    book.bad("7.3.6", [close_frame(1000, b"*" * 124)])
    book.bad("7.5.1", [close_frame(1000, KOSME + SURROGATE + EDITED)], 1007)
    known = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for place, code in enumerate(known, 1):
        _close(book, f"7.7.{place}", close_frame(code), code)
    for place, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        book.bad(f"7.9.{place}", [close_frame(code)])
    for place, code in enumerate((5000, 65535), 1):
        book.bad(f"7.13.{place}", [close_frame(code)])


def _close(book: _Book, number: str, close: bytes, code: int) -> None:
    book.cases.append(Case(number, _sender([close], ALL_AT_ONCE), end=code))


def _group_9(book: _Book) -> None:
    """Limits and many messages. What is large is made when it is sent."""
    sizes = (64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB)
    for opcode, group in ((TEXT, "9.1"), (BINARY, "9.2")):
        for place, size in enumerate(sizes, 1):
            book.cases.append(_large(book, f"{group}.{place}", opcode, size, size))
    for opcode, group in ((TEXT, "9.3"), (BINARY, "9.4")):
        for place in range(9):
            book.cases.append(_large(book, f"{group}.{place + 1}", opcode, 4 * MIB, 64 * 4**place))
    for opcode, group in ((TEXT, "9.5"), (BINARY, "9.6")):
        for place in range(6):
            book.cases.append(_large(book, f"{group}.{place + 1}", opcode, MIB, MIB, chop=64 * 2**place))
    for opcode, group in ((TEXT, "9.7"), (BINARY, "9.8")):
        for place, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
            book.cases.append(_many(book, f"{group}.{place}", opcode, size))


def _large(book: _Book, number: str, opcode: int, size: int, part: int, *, chop: int = 64 * KIB) -> Case:
    """A message of `size` bytes in frames of `part`; what a reader must not even wait for is no part of the case."""

    def send() -> Iterator[bytes]:
        text = book.sized(size)
        frames = fragmented(list(chopped(text, part)), opcode=opcode, key=NO_KEY)
        yield from chopped(b"".join([*frames, *([close_frame(1000)] if end == 1000 else [])]), chop)

    end = 1000
    if opcode == BINARY:
        end = 1003
    elif part * MOST_FRAGMENTS < min(size, LARGEST):
        end = 1002
    elif size > LARGEST:
        end = 1009
    return Case(number, send, (book.sized(size),) if end == 1000 else (), end=end, is_breach=end != 1000)


def _many(book: _Book, number: str, opcode: int, size: int) -> Case:
    """A thousand messages of `size` bytes."""
    text = book.sized(size)
    frames = [frame(opcode, text)] * 1000
    if opcode == BINARY:
        return Case(number, lambda: frames, end=1003, is_breach=True)
    return Case(number, lambda: [*frames, close_frame(1000)], (text,) * 1000, is_paced=True)


def _group_10(book: _Book) -> None:
    """Fragments of a size that fits nothing."""
    text = book.sized(65536)
    book.good("10.1.1", fragmented(list(chopped(text, 1300))), (text,))
