"""Peers made of plain TCP, so that they can do what no library would: stay mute, keep sockets open, bend frames."""

import base64
import hashlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from support.wsframes import NO_KEY, frame_with

TEXT: Final = 0x81
CLOSE: Final = 0x88
PING: Final = 0x89
PONG: Final = 0x8A
COMPRESSED_TEXT: Final = 0xC1  # the first reserved bit: permessage-deflate (RFC 7692 section 6)

WITHIN_S: Final = 10.0
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_END_OF_HEAD: Final = b"\r\n\r\n"

RawTransport = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class RawPeer:
    """One end of a TCP connection that speaks WebSocket frames by hand. `is_client`: its frames carry a mask, zero."""

    def __init__(self, stream: RawTransport, *, is_client: bool) -> None:
        self.stream = stream
        self.head = b""
        self.read_at_most: int | None = None  # bytes at once, for a peer that reads slowly
        self._is_client = is_client
        self._unread = b""

    @property
    def tcp(self) -> trio.socket.SocketType:
        """The TCP socket, under TLS where there is any."""
        transport = self.stream
        return transport.transport_stream.socket if isinstance(transport, trio.SSLStream) else transport.socket

    async def read_head(self) -> bytes:
        """Return the HTTP head that the other side sends; raises trio.TooSlowError."""
        with trio.fail_after(WITHIN_S):
            while _END_OF_HEAD not in self._unread:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError(f"the connection ended in a head: {self._unread!r}")
                self._unread += data
        head, _, self._unread = self._unread.partition(_END_OF_HEAD)
        self.head = head
        return head

    async def answer_handshake(self, protocol: str | None = "ocpp1.6", *, extra: bytes = b"") -> None:
        """Read an opening request and answer 101; `extra` are whole header lines."""
        await self.read_head()
        await self.send(self.switching_protocols(protocol, extra=extra))

    def switching_protocols(self, protocol: str | None = "ocpp1.6", *, extra: bytes = b"") -> bytes:
        """Return the 101 to the opening request that was read last."""
        accept = base64.b64encode(hashlib.sha1(header(self.head, b"sec-websocket-key") + _GUID).digest())
        chosen = b"" if protocol is None else b"Sec-WebSocket-Protocol: %s\r\n" % protocol.encode()
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %s\r\n%s%s\r\n" % (accept, chosen, extra)
        )

    async def send(self, data: bytes) -> None:
        """Send bytes as they are; raises trio.TooSlowError."""
        with trio.fail_after(WITHIN_S):
            await self.stream.send_all(data)

    async def send_frame(self, first: int, payload: bytes = b"") -> None:
        """Send one frame with that first byte."""
        await self.send(self.frame(first, payload))

    def frame(self, first: int, payload: bytes = b"") -> bytes:
        """Return the bytes of one frame."""
        return frame_with(first, payload, key=NO_KEY if self._is_client else None)

    async def receive_frame(self, within_s: float = WITHIN_S) -> tuple[int, bytes] | None:
        """Return first byte and payload of the next frame, None at the end of the connection; raises TooSlowError."""
        with trio.fail_after(within_s):
            while (whole := self._whole_frame()) is None:
                try:
                    data = await self.stream.receive_some(self.read_at_most)
                except trio.BrokenResourceError:
                    return None
                if not data:
                    return None
                self._unread += data
        return whole

    async def receive(self, first: int, within_s: float = WITHIN_S) -> bytes:
        """Return the payload of the next frame with that first byte, others left out; raises as `receive_frame`."""
        with trio.fail_after(within_s):
            while True:
                frame = await self.receive_frame(within_s)
                if frame is None:
                    raise EOFError(f"the connection ended before a frame {first:#x}")
                if frame[0] == first:
                    return frame[1]

    async def receive_message(self) -> bytes:
        """Return the next text message, its fragments joined, other frames left out; raises as `receive_frame`."""
        parts = []
        while frame := await self.receive_frame():
            if frame[0] & 0x0F < CLOSE & 0x0F:
                parts.append(frame[1])
                if frame[0] & 0x80:
                    return b"".join(parts)
        raise EOFError("the connection ended before a message")

    async def wait_end(self, within_s: float = WITHIN_S) -> None:
        """Wait until the other side ends the TCP connection, whatever it sends before."""
        with trio.fail_after(within_s):
            while await self.receive_frame(within_s) is not None:
                pass

    async def reset(self) -> None:
        """End the connection with RST, as a peer does that crashed."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self.stream)

    def _whole_frame(self) -> tuple[int, bytes] | None:
        data = self._unread
        if len(data) < 2:
            return None
        length, at = data[1] & 0x7F, 2
        if length > 125:
            wide = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        mask = data[at : at + 4] if data[1] & 0x80 else b""
        at += len(mask)
        if len(data) < at + length:
            return None
        payload, self._unread = data[at : at + length], data[at + length :]
        keys = mask * (length // 4 + 1)
        return data[0], bytes(byte ^ key for byte, key in zip(payload, keys, strict=False)) if mask else payload


def header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header field of an HTTP head; raises KeyError."""
    for line in head.split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.lower() == name:
            return value.strip()
    raise KeyError(name)


def close_code(payload: bytes) -> int:
    """Return the code in the payload of a Close frame."""
    return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw_station(
    port: int, identity: str = "CP-1", *, protocol: str = "ocpp1.6", extra: bytes = b""
) -> AsyncIterator[RawPeer]:
    """Connect and shake hands with an agent on loopback; `head` is its answer, whatever that is."""
    async with raw_connection(port) as peer:
        await peer.send(opening_request(identity, protocol, extra))
        await peer.read_head()
        yield peer


def opening_request(identity: str, protocol: str = "ocpp1.6", extra: bytes = b"") -> bytes:
    """Return a station's opening request; `extra` are whole header lines."""
    return (
        b"GET /ocpp/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: %s\r\n%s\r\n" % (identity.encode(), protocol.encode(), extra)
    )


@asynccontextmanager
async def raw_connection(port: int) -> AsyncIterator[RawPeer]:
    """Connect to a port of loopback and say nothing."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        yield RawPeer(stream, is_client=True)
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def raw_supervision(
    serve: Callable[[RawPeer], Awaitable[None]], *, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """Listen on loopback and hand every connection to `serve`, which ends with the block; yields the URL.

    A connection lasts as long as `serve` does; where the other side ends it first, that is no failure.
    """
    listeners = await trio.open_tcp_listeners(0, host=host)
    shown_host = f"[{host}]" if ":" in host else host

    async def handle(stream: trio.SocketStream) -> None:
        try:
            await serve(RawPeer(stream, is_client=False))
        except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield f"ws://{shown_host}:{listeners[0].socket.getsockname()[1]}/ocpp"
        nursery.cancel_scope.cancel()


async def hold(peer: RawPeer) -> None:
    """Read whatever comes and keep the connection open, past the other side's end, until the block ends."""
    while await peer.receive_frame(float("inf")) is not None:
        pass
    await trio.sleep_forever()


async def part(peer: RawPeer) -> None:
    """Read until the other side closes, answer its Close frame and end, as a well-behaved peer does."""
    await peer.send_frame(CLOSE, await peer.receive(CLOSE, float("inf")))
