"""One end of a WebSocket on a trio stream, as the peers of a soak need it: frames by hand in one direction and by
wsproto in the other, so that nothing is shared with the agent."""

import base64
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncGenerator
from typing import Final

import trio
from support.soakledger import Direction
from support.wsframes import PONG, TEXT, close_frame, frame
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

HANDSHAKE_WITHIN_S: Final = 30.0
LARGEST_HEAD_BYTES: Final = 16 * 1024
BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_END_OF_HEAD: Final = b"\r\n\r\n"
_RESET: Final = struct.pack("ii", 1, 0)
_KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Refused(Exception):
    """The other side would not have us."""


class Leg:
    """One end of a WebSocket, after its handshake. `end` says how it ended; `reading` is cleared by a slow reader."""

    def __init__(self, stream: Stream, rest: bytes, *, is_client: bool) -> None:
        self.stream = stream
        self.end = "the stream ended"
        self.reading = trio.Event()
        self.reading.set()
        self._frames = FrameProtocol(client=is_client, extensions=[])
        self._frames.receive_bytes(rest)
        self._is_client = is_client
        self._sending = trio.Lock()
        self._has_closed = False

    async def send(self, text: bytes, direction: Direction | None) -> None:
        """Send a text and note it in `direction`, in which it must arrive."""
        async with self._sending:
            if not self._has_closed:
                if direction is not None:
                    direction.sent(text)
                await self.stream.send_all(frame(TEXT, text, key=self._key()))

    async def close(self, code: int, raw: bytes = b"") -> None:
        """Send a Close frame (or bytes that are no frame) after all that was sent, and nothing more."""
        async with self._sending:
            if not self._has_closed:
                self._has_closed = True
                await self.stream.send_all(raw or close_frame(code, key=self._key()))

    async def vanish(self) -> None:
        """End by RST, as a peer that crashes."""
        tcp = self.stream.transport_stream.socket if isinstance(self.stream, trio.SSLStream) else self.stream.socket
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        await trio.aclose_forcefully(self.stream)

    async def texts(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes until the end. Pings and a Close frame are answered."""
        parts: list[str] = []
        try:
            while True:
                for each in self._frames.received_frames():
                    match each.opcode:
                        case Opcode.TEXT:
                            parts.append(str(each.payload))
                            if each.message_finished:
                                yield "".join(parts).encode()
                                parts.clear()
                        case Opcode.PING if isinstance(each.payload, bytes):
                            await self._pong(each.payload)
                        case Opcode.CLOSE if isinstance(each.payload, tuple):
                            self.end = f"closed with {int(each.payload[0])} {each.payload[1]}".rstrip()
                            await self.close(1000)
                            return
                await self.reading.wait()
                data = await self.stream.receive_some()
                if not data:
                    return
                self._frames.receive_bytes(bytes(data))
        except BROKEN as error:
            self.end = f"broken: {error}"
        except ParseFailed as error:
            self.end = f"no frames: {error}"

    async def _pong(self, payload: bytes) -> None:
        async with self._sending:
            if not self._has_closed:
                await self.stream.send_all(frame(PONG, payload, key=self._key()))

    def _key(self) -> bytes | None:
        return os.urandom(4) if self._is_client else None


async def station_leg(port: int, identity: str, context: ssl.SSLContext | None, buffer: int | None) -> Leg:
    """Connect a station to the agent; raises Refused, OSError or trio.TooSlowError."""
    with trio.fail_after(HANDSHAKE_WITHIN_S):
        sock = trio.socket.socket()
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        stream: Stream | None = None
        try:
            await sock.connect(("127.0.0.1", port))
            stream = trio.SocketStream(sock)
            if context is not None:
                stream = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
            await stream.send_all(
                b"GET /ocpp/%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Protocol: ocpp2.1\r\n\r\n" % (identity.encode(), _KEY)
            )
            head, rest = await _head(stream)
            if not head.startswith(b"HTTP/1.1 101"):
                raise Refused(head[:60].decode("latin-1"))
            return Leg(stream, rest, is_client=True)
        except BaseException as error:
            if stream is not None:
                await trio.aclose_forcefully(stream)
            sock.close()
            if isinstance(error, BROKEN):
                raise Refused(str(error)) from error
            raise


async def uplink_leg(stream: Stream) -> Leg:
    """Take the agent's handshake; raises Refused (the agent's probe says nothing) or trio.TooSlowError."""
    with trio.fail_after(HANDSHAKE_WITHIN_S):
        try:
            head, rest = await _head(stream)
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: ocpp2.1\r\n\r\n"
                % base64.b64encode(hashlib.sha1(key + _GUID).digest())
            )
        except BROKEN as error:
            raise Refused(str(error)) from error
        return Leg(stream, rest, is_client=False)


async def _head(stream: Stream) -> tuple[bytes, bytes]:
    head = b""
    while _END_OF_HEAD not in head:
        data = await stream.receive_some()
        if not data or len(head) > LARGEST_HEAD_BYTES:
            raise Refused(f"the connection ended in a head of {len(head)} bytes")
        head += data
    head, _, rest = head.partition(_END_OF_HEAD)
    return head, rest
