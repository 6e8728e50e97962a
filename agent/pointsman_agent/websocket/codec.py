"""RFC 6455 frames, whole: what a peer sent, piece by piece as sockets give it, and the bytes of what we send. No I/O.

Reading
-------
`FrameReader.feed` takes bytes as they come and returns what became whole by them, in order: a message's text, or a
`Ping`, `Pong`, `CloseReceived`. A breach of the protocol is the last item that a reader ever returns: a `Violation`
with the close code that it deserves (section 7.4.1). What stood before it in the same bytes is returned before it.

Bytes wait in a list of chunks and are joined once a frame can be whole, so a message that dribbles in costs no more
than one that comes at once. Sizes are judged from headers: nothing is kept of a message that is too large.

No extension is ever negotiated, so every reserved bit is a breach. Binary messages are one for OCPP-J (1003).
"""

import codecs
import os
import struct
from collections.abc import Iterator
from itertools import chain, count
from typing import Final

import msgspec

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel with the C routine for this machine
    from websockets.utils import apply_mask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

LARGEST_CONTROL_BYTES: Final = 125  # section 5.5
MOST_FRAGMENTS: Final = 4096  # a message; an endless row of empty ones would otherwise cost us and not its sender
FRAGMENT_BYTES: Final = 16 * 1024  # what we send is cut so: cloud gateways refuse larger frames

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_KEYS_AT_ONCE: Final = 1024
_SHORT: Final = struct.Struct(">BB").pack
_MEDIUM: Final = struct.Struct(">BBH").pack
_LONG: Final = struct.Struct(">BBQ").pack


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Deserves a pong with the same payload (section 5.5.2)."""

    payload: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """An answer to a ping, or unasked (section 5.5.3)."""

    payload: bytes


class CloseReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer's Close frame; `code` 1005 when it held none."""

    code: int
    reason: str


class Violation(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol; `code` is what to close with."""

    code: int
    reason: str


Incoming = str | Ping | Pong | CloseReceived | Violation


class FrameReader:
    """Reads one direction of a connection. `is_masked`: frames must be masked, as those of clients are."""

    __slots__ = ("_chunks", "_fragmented", "_have", "_is_over", "_largest", "_need", "is_masked")

    def __init__(self, *, is_masked: bool, largest_message_bytes: int) -> None:
        self.is_masked = is_masked
        self._largest = largest_message_bytes
        # Both are None most of the time: a site has thousands of readers, and few wait for the rest of something.
        self._chunks: list[bytes] | None = None
        self._fragmented: _Fragmented | None = None
        self._have = 0
        self._need = 2
        self._is_over = False

    def feed(self, data: bytes) -> list[Incoming]:
        """Return what became whole by `data`; nothing after a `Violation` or a `CloseReceived`."""
        if self._is_over:
            return []
        if self._chunks is not None:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks = None
        incoming: list[Incoming] = []
        rest = self._read_frames(data, incoming)
        self._have = len(data) - rest
        if self._have and not self._is_over:
            self._chunks = [data[rest:]]
        return incoming

    def whole_text(self, data: bytes) -> str | None:
        """Return the message where `data` is one, in one frame, from its first byte to its last: the usual case.

        None for everything else; then nothing was read, and `feed` reads it.
        """
        if len(data) < 8 or data[0] != _FINAL | TEXT or self._chunks or self._fragmented or self._is_over:
            return None
        length = data[1] - _MASKED if self.is_masked else data[1]
        start = 2
        if length > 125:
            if length != 126:
                return None
            length, start = data[2] << 8 | data[3], 4
            if length < 126:
                return None
        body = start + 4 if self.is_masked else start
        if not 0 < length <= self._largest or body + length != len(data):
            return None
        try:
            return (apply_mask(data[body:], data[start:body]) if self.is_masked else data[body:]).decode()
        except UnicodeDecodeError:
            return None

    def _read_frames(self, data: bytes, incoming: list[Incoming]) -> int:
        """Append what stands whole in `data`, return where the rest begins and set what that needs to be whole."""
        start, end = 0, len(data)
        while not self._is_over:
            header = start + 2
            if end < header:
                self._need = 2
                break
            first, second = data[start], data[start + 1]
            length = second & 0x7F
            if length > 125:
                wide = 2 if length == 126 else 8
                header += wide
                if end < header:
                    self._need = header - start
                    break
                length = int.from_bytes(data[header - wide : header], "big")
                if length < (126 if wide == 2 else 65536) or length >> 63:
                    self._violate(incoming, PROTOCOL_ERROR, "length not in its shortest form")
                    break
            if not self._is_header_fine(first, second, length, incoming):
                break
            body = header + (4 if self.is_masked else 0)
            stop = body + length
            if end < stop:
                self._need = stop - start
                break
            payload = data[body:stop]
            if self.is_masked and length:
                payload = apply_mask(payload, data[header:body])
            start = stop
            self._take(first, payload, incoming)
        return start

    def _is_header_fine(self, first: int, second: int, length: int, incoming: list[Incoming]) -> bool:
        """Judge a frame before its payload is there (sections 5.2 to 5.5)."""
        opcode = first & 0x0F
        if first & _RESERVED:
            return self._violate(incoming, PROTOCOL_ERROR, "reserved bits without an extension (compression?)")
        if bool(second & _MASKED) is not self.is_masked:
            return self._violate(incoming, PROTOCOL_ERROR, "a client masks its frames, a server does not")
        if opcode >= CLOSE:
            if opcode > PONG:
                return self._violate(incoming, PROTOCOL_ERROR, "unknown opcode")
            if length > LARGEST_CONTROL_BYTES or not first & _FINAL:
                return self._violate(incoming, PROTOCOL_ERROR, "a control frame is whole and at most 125 bytes")
            return True
        if opcode > BINARY:
            return self._violate(incoming, PROTOCOL_ERROR, "unknown opcode")
        if opcode == BINARY:
            return self._violate(incoming, UNSUPPORTED_DATA, "OCPP-J is text")
        fragmented = self._fragmented
        if (opcode == CONTINUATION) is not (fragmented is not None):
            return self._violate(incoming, PROTOCOL_ERROR, "fragments out of order")
        if length + (fragmented.size if fragmented else 0) > self._largest:
            return self._violate(incoming, TOO_BIG, f"message over {self._largest} bytes")
        if fragmented is not None and fragmented.count >= MOST_FRAGMENTS:
            return self._violate(incoming, PROTOCOL_ERROR, f"message of more than {MOST_FRAGMENTS} fragments")
        return True

    def _take(self, first: int, payload: bytes, incoming: list[Incoming]) -> None:
        opcode = first & 0x0F
        if first == _FINAL | TEXT:
            try:
                incoming.append(payload.decode())
            except UnicodeDecodeError:
                self._violate(incoming, INVALID_DATA, "text that is not UTF-8")
        elif opcode == PING:
            incoming.append(Ping(payload))
        elif opcode == PONG:
            incoming.append(Pong(payload))
        elif opcode == CLOSE:
            incoming.append(_close_received(payload))
            self._is_over = True
        else:
            self._take_fragment(payload, bool(first & _FINAL), incoming)

    def _take_fragment(self, payload: bytes, is_last: bool, incoming: list[Incoming]) -> None:
        if self._fragmented is None:
            self._fragmented = _Fragmented()
        try:
            self._fragmented.add(payload, is_last=is_last)
        except UnicodeDecodeError:
            self._violate(incoming, INVALID_DATA, "text that is not UTF-8")
            return
        if is_last:
            incoming.append("".join(self._fragmented.parts))
            self._fragmented = None

    def _violate(self, incoming: list[Incoming], code: int, reason: str) -> bool:
        incoming.append(Violation(code, reason))
        self._is_over = True
        return False


class _Fragmented:
    """A message that comes in fragments (section 5.4), as far as it has come."""

    __slots__ = ("_decoder", "count", "parts", "size")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.parts: list[str] = []
        self.size = 0
        self.count = 0

    def add(self, payload: bytes, *, is_last: bool) -> None:
        """Add a fragment; raises UnicodeDecodeError."""
        self.size += len(payload)
        self.count += 1
        self.parts.append(self._decoder.decode(payload, is_last))


def _close_received(payload: bytes) -> CloseReceived | Violation:
    """Section 5.5.1: nothing, or a code and a reason in UTF-8."""
    if not payload:
        return CloseReceived(NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not is_sendable(code):
        return Violation(PROTOCOL_ERROR, "a Close frame with an impossible code")
    try:
        return CloseReceived(code, payload[2:].decode())
    except UnicodeDecodeError:
        return Violation(INVALID_DATA, "a close reason that is not UTF-8")


def is_sendable(code: int) -> bool:
    """Whether `code` may stand in a Close frame (section 7.4 and the IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _some_keys(_: int) -> Iterator[tuple[bytes]]:
    return struct.iter_unpack("4s", os.urandom(4 * _KEYS_AT_ONCE))


_KEYS: Final = chain.from_iterable(chain.from_iterable(map(_some_keys, count())))
"""Fresh keys, each given out once; one system call gives those of many frames. For all connections, which one thread
serves."""


class FrameWriter:
    """Writes one direction of a connection. `is_masked`: as a client must, with a fresh key a frame (section 5.3)."""

    __slots__ = ("_is_masked",)

    def __init__(self, *, is_masked: bool) -> None:
        self._is_masked = is_masked

    def text(self, text: str) -> bytes:
        """Return the frames of a text message, in fragments of 16 KiB."""
        payload = text.encode()
        length = len(payload)
        if 125 < length <= FRAGMENT_BYTES and self._is_masked:  # most of what is masked, without one more call
            key = next(_KEYS)
            return _MEDIUM(_FINAL | TEXT, _MASKED | 126, length) + key + apply_mask(payload, key)
        if length <= FRAGMENT_BYTES:
            return self._frame(_FINAL | TEXT, payload)
        frames = [self._frame(TEXT, payload[:FRAGMENT_BYTES])]
        last = (length - 1) // FRAGMENT_BYTES * FRAGMENT_BYTES
        for start in range(FRAGMENT_BYTES, last, FRAGMENT_BYTES):
            frames.append(self._frame(CONTINUATION, payload[start : start + FRAGMENT_BYTES]))
        frames.append(self._frame(_FINAL | CONTINUATION, payload[last:]))
        return b"".join(frames)

    def ping(self, payload: bytes = b"") -> bytes:
        """Return a ping frame; `payload` of at most 125 bytes."""
        return self._frame(_FINAL | PING, payload)

    def pong(self, payload: bytes) -> bytes:
        """Return the pong to a ping of `payload`."""
        return self._frame(_FINAL | PONG, payload)

    def close(self, code: int, reason: str) -> bytes:
        """Return a Close frame; 1005 stands for one without a code. The reason is cut to its 123 bytes."""
        if code == NO_STATUS:
            return self._frame(_FINAL | CLOSE, b"")
        return self._frame(_FINAL | CLOSE, code.to_bytes(2, "big") + cut_reason(reason).encode())

    def _frame(self, first: int, payload: bytes) -> bytes:
        length = len(payload)
        mask_bit = _MASKED if self._is_masked else 0
        if length < 126:
            head = _SHORT(first, mask_bit | length)
        elif length < 65536:
            head = _MEDIUM(first, mask_bit | 126, length)
        else:
            head = _LONG(first, mask_bit | 127, length)
        if not self._is_masked:
            return head + payload
        key = next(_KEYS)
        return head + key + (apply_mask(payload, key) if length else b"")


def cut_reason(reason: str) -> str:
    """Return `reason` cut to the 123 bytes of a Close frame (section 5.5), on a character."""
    return reason.encode(errors="replace")[: LARGEST_CONTROL_BYTES - 2].decode(errors="ignore")
