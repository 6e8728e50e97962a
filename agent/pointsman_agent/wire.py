"""WebSocket connections by trio-websocket, on streams and in nurseries that we own (the only trio-websocket here).

The library's reader task runs in the caller's nursery, but behind a guard: whatever it raises (a refused handshake, a
protocol error of wsproto or h11) ends this one connection and is told to its owner; it never reaches the nursery.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import h11
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    WebSocketRequest,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, ProtocolError

from pointsman_agent.handshake import OpeningRequest
from pointsman_agent.ports import WireClosed, WireLost
from pointsman_agent.streams import RECEIVE_BYTES, OwnedStream

LARGEST_MESSAGE_BYTES: Final = 1024 * 1024  # rule 18; OCPP has no limit, 99 % of messages fit 2 kB
MESSAGES_READ_AHEAD: Final = 64  # with the library's default of 1, an unread message delays the pong behind it
CLOSE_WITHIN_S: Final = 2.0  # rule 26

_UNSUPPORTED_DATA: Final = 1003
_TOO_BIG: Final = 1009
_PROTOCOL_ERRORS = (LocalProtocolError, ProtocolError, h11.ProtocolError)


class HandshakeFailed(Exception):
    """The WebSocket handshake did not succeed. `status` is the HTTP status of a refusal, else None."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class _Guard:
    """Stands where trio-websocket wants a nursery: runs its reader task, catches what that raises, tells its end."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.failure: BaseException | None = None
        self.on_end: Callable[[], None] = lambda: None

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """As of a nursery."""
        self._nursery.start_soon(self._run, async_fn, args)

    async def _run(self, async_fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            await async_fn(*args)
        except (ConnectionRejected, ConnectionClosed, *_PROTOCOL_ERRORS) as error:
            self.failure = error
        finally:
            self.on_end()

    def as_nursery(self) -> trio.Nursery:
        """The library only calls `start_soon`."""
        return self  # type: ignore[return-value]  # a nursery cannot be subclassed


class TrioWire:
    """A WebSocket connection (see `ports.Wire`)."""

    def __init__(
        self, nursery: trio.Nursery, websocket: WebSocketConnection, stream: OwnedStream, guard: _Guard
    ) -> None:
        self._nursery = nursery
        self._websocket = websocket
        self._stream = stream
        self._guard = guard
        self._ended: WireClosed | None = None

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed."""
        return self._websocket.subprotocol

    @property
    def last_heard(self) -> float:
        """When the last byte came."""
        return self._stream.last_heard

    async def receive(self) -> str | WireClosed:
        """Return the next text, or how the connection ended. Binary frames end it: OCPP-J has none."""
        if self._ended is not None:
            await trio.lowlevel.checkpoint()
            return self._ended
        try:
            message = await self._websocket.get_message()
        except ConnectionClosed as error:
            self._ended = self._how_it_ended(error)
            return self._ended
        if isinstance(message, bytes):
            self._ended = WireClosed(_UNSUPPORTED_DATA, "OCPP-J is text", "protocol")
            return self._ended
        if len(message) * 4 > LARGEST_MESSAGE_BYTES and len(message.encode()) > LARGEST_MESSAGE_BYTES:
            self._ended = WireClosed(_TOO_BIG, f"message over {LARGEST_MESSAGE_BYTES} bytes", "size")
            return self._ended
        return message

    async def send(self, text: str) -> None:
        """Write `text`."""
        try:
            await self._websocket.send_message(text)
        except (ConnectionClosed, *_PROTOCOL_ERRORS) as error:
            raise WireLost(str(error)) from error

    async def ping(self) -> None:
        """Write a ping; who waits for its pong is a task of its own, since the library's `ping` never gives up."""
        self._nursery.start_soon(self._ping)
        await trio.lowlevel.checkpoint()

    async def close(self, code: int, reason: str) -> None:
        """Close handshake, then the socket."""
        with trio.move_on_after(CLOSE_WITHIN_S, shield=True):
            with contextlib.suppress(*_PROTOCOL_ERRORS):  # a peer that breaks the closing handshake
                await self._websocket.aclose(_close_code(code), reason or None)
        await self._stream.finish()

    async def _ping(self) -> None:
        with contextlib.suppress(ConnectionClosed, *_PROTOCOL_ERRORS):  # the reader tells the end of the connection
            await self._websocket.ping()

    def _how_it_ended(self, error: ConnectionClosed) -> WireClosed:
        if self._guard.failure is not None and isinstance(self._guard.failure, _PROTOCOL_ERRORS):
            return WireClosed(1006, str(self._guard.failure), "protocol")
        if error.reason is None:
            return WireClosed(1006, "", "closed")
        if error.reason.code == _TOO_BIG:
            return WireClosed(_TOO_BIG, error.reason.reason or "", "size")
        return WireClosed(error.reason.code, error.reason.reason or "")


class StationRequest:
    """A station's opening handshake, read and not yet answered."""

    def __init__(self, nursery: trio.Nursery, request: WebSocketRequest, stream: OwnedStream, guard: _Guard) -> None:
        self._nursery = nursery
        self._request = request
        self._stream = stream
        self._guard = guard

    @property
    def has_offered(self) -> bool:
        """Whether the station offers any subprotocol."""
        return bool(self._request.proposed_subprotocols)

    def opening(self, certificate_name: str | None) -> OpeningRequest:
        """Return what the station shows, for `handshake.admit`."""
        authorization = next((value for name, value in self._request.headers if name.lower() == b"authorization"), None)
        return OpeningRequest(
            target=self._request.path,
            authorization=authorization,
            offered=tuple(self._request.proposed_subprotocols),
            certificate_name=certificate_name,
        )

    async def accept(self, protocol: str | None) -> TrioWire:
        """Answer 101 with `protocol`; raises WireLost when the station has gone meanwhile."""
        try:
            websocket = await self._request.accept(subprotocol=protocol)
        except (ConnectionClosed, *_PROTOCOL_ERRORS) as error:
            raise WireLost(str(error)) from error
        return TrioWire(self._nursery, websocket, self._stream, self._guard)

    async def refuse(self, status: int, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with an HTTP status and end the connection; never raises."""
        with contextlib.suppress(ConnectionClosed, *_PROTOCOL_ERRORS):  # a station that has gone need not be told
            await self._request.reject(status, extra_headers=[*(headers or []), (b"Content-Length", b"0")])
        await self._stream.finish()


async def read_request(nursery: trio.Nursery, stream: OwnedStream) -> StationRequest:
    """Read a station's opening handshake; the caller bounds the time. The library's reader lives in `nursery`.

    Raises HandshakeFailed for anything that is no WebSocket handshake.
    """
    guard = _Guard(nursery)
    with trio.CancelScope() as scope:
        guard.on_end = scope.cancel
        request = await wrap_server_stream(
            guard.as_nursery(),
            stream,
            message_queue_size=MESSAGES_READ_AHEAD,
            max_message_size=LARGEST_MESSAGE_BYTES,
            receive_buffer_size=RECEIVE_BYTES,
        )
        guard.on_end = lambda: None
        return StationRequest(nursery, request, stream, guard)
    raise HandshakeFailed(f"no WebSocket handshake: {guard.failure or 'the peer left'}")


async def open_client(
    nursery: trio.Nursery,
    stream: OwnedStream,
    *,
    authority: str,
    resource: str,
    protocols: list[str],
    headers: list[tuple[bytes, bytes]],
) -> TrioWire:
    """Make the client's opening handshake on `stream`; the caller bounds the time and, on failure, ends the stream.

    Raises HandshakeFailed, with the HTTP status where the server gave one. A redirect is a refusal. That a protocol of
    `protocols` was chosen is for the caller to check: the library takes an answer without one in silence.
    """
    guard = _Guard(nursery)
    with trio.CancelScope() as scope:
        guard.on_end = scope.cancel
        websocket = await wrap_client_stream(
            guard.as_nursery(),
            stream,  # type: ignore[arg-type]  # any trio stream serves; the annotation names two
            authority,
            resource,
            subprotocols=protocols,
            extra_headers=headers,
            message_queue_size=MESSAGES_READ_AHEAD,
            max_message_size=LARGEST_MESSAGE_BYTES,
            receive_buffer_size=RECEIVE_BYTES,
        )
        guard.on_end = lambda: None
        return TrioWire(nursery, websocket, stream, guard)
    raise _refusal(guard.failure)


def _refusal(failure: BaseException | None) -> HandshakeFailed:
    if not isinstance(failure, ConnectionRejected):
        return HandshakeFailed(f"no WebSocket answer: {failure or 'the peer ended the connection'}")
    retry_after = next((value for name, value in failure.headers if name.lower() == b"retry-after"), None)
    return HandshakeFailed(
        f"HTTP {failure.status_code}",
        status=failure.status_code,
        retry_after=retry_after.decode("ascii", "replace") if retry_after is not None else None,
    )


def _close_code(code: int) -> int:
    """1005 stands for a Close frame without a code, which wsproto takes only as its own constant."""
    return CloseReason.NO_STATUS_RCVD if code == CloseReason.NO_STATUS_RCVD else code
