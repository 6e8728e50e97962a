"""WebSocket frames by hand, right and wrong (RFC 6455 section 5.2). Nothing here is shared with the code under test."""

from collections.abc import Iterator

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

KEY = b"\x37\xfa\x21\x3d"  # of the examples in RFC 6455 section 5.7
NO_KEY = bytes(4)  # a mask like any other, and free of cost


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0, key: bytes | None = KEY
) -> bytes:
    """Return one frame; `reserved` are the three reserved bits as a number, `key` None leaves the mask out."""
    return frame_with(final << 7 | reserved << 4 | opcode, payload, key=key)


def frame_with(first: int, payload: bytes, *, key: bytes | None) -> bytes:
    """Return one frame with that first byte."""
    bit, length = 0x80 if key is not None else 0, len(payload)
    if length < 126:
        head = bytes([first, bit | length])
    elif length < 65536:
        head = bytes([first, bit | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, bit | 127]) + length.to_bytes(8, "big")
    return head + (payload if key is None else key + masked(payload, key))


def masked(payload: bytes, key: bytes) -> bytes:
    """Return `payload` under a mask (section 5.3), or one under a mask without it."""
    if key == NO_KEY:
        return payload
    length = len(payload)
    keys = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(length, "big")


def close_frame(code: int | None, reason: bytes = b"", *, key: bytes | None = KEY) -> bytes:
    """Return a Close frame; without a code its payload is `reason` alone."""
    return frame(CLOSE, (b"" if code is None else code.to_bytes(2, "big")) + reason, key=key)


def fragmented(parts: list[bytes], *, opcode: int = TEXT, key: bytes | None = KEY) -> list[bytes]:
    """Return a message as frames, one a part."""
    last = len(parts) - 1
    return [
        frame(CONTINUATION if place else opcode, part, final=place == last, key=key) for place, part in enumerate(parts)
    ]


def chopped(data: bytes, size: int) -> Iterator[bytes]:
    """Yield `data` in pieces of `size` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
