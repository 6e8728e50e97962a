"""A WebSocket connection after its handshake: our codec on a stream that we own (see `ports.Wire`).

Every wait but that for the next message is bounded: writes by the stream, closing here. Pongs are written by whoever
reads, so the owner reads always.
"""

import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec
import trio

from pointsman_agent.ports import WireClosed, WireLost
from pointsman_agent.upgrade import Opened
from pointsman_agent.websocket.codec import (
    TOO_BIG,
    CloseReceived,
    FrameReader,
    FrameWriter,
    Incoming,
    Ping,
    Pong,
    Violation,
)

LARGEST_MESSAGE_BYTES: Final = 1024 * 1024  # rule 18; OCPP has no limit, 99 % of messages fit 2 kB
CLOSE_WITHIN_S: Final = 2.0  # rule 26
_ABNORMAL: Final = 1006
_CLIENT: Final = FrameWriter(is_masked=True)
_SERVER: Final = FrameWriter(is_masked=False)


class HandedOver(msgspec.Struct, frozen=True):
    """A connection for another driver: `incoming` was read already and is still to be served."""

    sock: socket.socket
    reader: FrameReader
    writer: FrameWriter
    incoming: Sequence[Incoming]


class StreamWire:
    """One connection. `is_client`: we opened it, so we mask."""

    def __init__(self, opened: Opened, *, is_client: bool) -> None:
        self.protocol = opened.protocol
        self._stream = opened.stream
        self._reader = FrameReader(is_masked=not is_client, largest_message_bytes=LARGEST_MESSAGE_BYTES)
        self._writer = _CLIENT if is_client else _SERVER
        self._incoming: deque[Incoming] = deque(self._reader.feed(opened.rest) if opened.rest else ())
        self._sending = trio.Lock()
        self._receiving = trio.Lock()
        self._ended: WireClosed | None = None
        self._has_sent_close = False
        self._has_peer_closed = False
        self._is_handed_over = False

    @property
    def last_heard(self) -> float:
        """When the last byte came, on trio's clock."""
        return self._stream.last_heard

    def hand_over(self) -> HandedOver:
        """Give the connection away, with what was read behind the handshake; this wire is over then."""
        self._ended = WireClosed(_ABNORMAL, "handed over")
        self._has_sent_close = self._is_handed_over = True
        return HandedOver(self._stream.hand_over(), self._reader, self._writer, tuple(self._incoming))

    async def receive(self) -> str | WireClosed:
        """Return the next text, or how the connection ended (again on each further call).

        Two tasks may wait here, the owner's reader and the one that closes; they take turns.
        """
        async with self._receiving:
            return await self._next()

    async def _next(self) -> str | WireClosed:
        while self._ended is None:
            while self._incoming:
                item = self._incoming.popleft()
                if isinstance(item, str):
                    return item
                # Section 5.5.3: of pings that came together only the last needs its pong; so a peer that pings without
                # end makes us write once for each time that we read.
                if not (isinstance(item, Ping) and self._incoming and isinstance(self._incoming[0], Ping)):
                    await self._react(item)
            if self._ended is None:
                data = await self._stream.receive_some()
                if data:
                    self._incoming.extend(self._reader.feed(data))
                else:
                    self._ended = WireClosed(_ABNORMAL, "")
        return self._ended

    async def send(self, text: str) -> None:
        """Write `text`; raises WireLost."""
        await self._write(self._writer.text(text))

    async def ping(self) -> None:
        """Write a ping; raises WireLost."""
        await self._write(self._writer.ping())

    async def close(self, code: int, reason: str) -> None:
        """Close handshake and socket, both bounded; never raises. One that was handed over is somebody else's."""
        if self._is_handed_over:
            return
        with trio.move_on_after(CLOSE_WITHIN_S, shield=True):
            if self._ended is None and await self._say_close(code, reason):
                await self._await_close()
        # The peer's Close frame was its last: nothing can be unread any more.
        await self._stream.finish(drain=not self._has_peer_closed)

    async def _react(self, item: Ping | Pong | CloseReceived | Violation) -> None:
        match item:
            case Ping(payload):
                try:
                    await self._write(self._writer.pong(payload))
                except WireLost:
                    self._ended = WireClosed(_ABNORMAL, "")
            case Pong():
                pass  # it was heard: `last_heard` says so
            case CloseReceived(code, reason):
                self._has_peer_closed = True
                await self._say_close(code, "")  # RFC 6455 section 5.5.1: echoed as soon as practical
                self._ended = WireClosed(code, reason)
            case Violation(code, reason):
                await self._say_close(code, reason)
                self._ended = WireClosed(_ABNORMAL, reason, "size" if code == TOO_BIG else "protocol")

    async def _write(self, data: bytes) -> None:
        async with self._sending:
            if self._has_sent_close:
                raise WireLost("closed")
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise WireLost(str(error)) from error

    async def _say_close(self, code: int, reason: str) -> bool:
        """Send our Close frame, once; False when the peer does not take it any more."""
        if self._has_sent_close:
            return True
        try:
            await self._write(self._writer.close(code, reason))
        except WireLost:
            return False
        finally:
            self._has_sent_close = True
        return True

    async def _await_close(self) -> None:
        """Read on until the peer's Close frame: what it said before is of no use to anybody now."""
        while not isinstance(await self.receive(), WireClosed):
            pass


def server_wire(opened: Opened) -> StreamWire:
    """Return the wire to a station that connected to us."""
    return StreamWire(opened, is_client=False)


def client_wire(opened: Opened) -> StreamWire:
    """Return the wire to a supervision that we connected to."""
    return StreamWire(opened, is_client=True)
