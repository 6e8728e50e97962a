"""Opening handshakes by trio-websocket (the only trio-websocket here), on streams and in nurseries that we own.

The library makes the handshake and nothing else: a `_Tap` gives it the bytes of the HTTP head and not one more, so that
no frame that follows, even in the same segment, is swallowed. What stays behind the head goes to the wire, which
speaks frames with our own codec from then on (`wire`). For that is where the library's traps lie: a ping that never
returns, closing that hangs on a mute peer, one frame a message whatever its size, sizes in characters.

The library's reader task runs in the caller's nursery, but behind a guard: whatever it raises (a refused handshake, a
protocol error of wsproto or h11) is told to its owner and never reaches the nursery. It ends with the handshake.
"""

import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import h11
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketRequest,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.utilities import ProtocolError

from pointsman_agent.handshake import OpeningRequest
from pointsman_agent.ports import WireLost
from pointsman_agent.streams import OwnedStream

LARGEST_HEAD_BYTES: Final = 16 * 1024

_END_OF_HEAD: Final = b"\r\n\r\n"
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d")  # RFC 9110 section 15.2
_SWITCHING: Final = re.compile(rb"HTTP/1\.[01] 101\b")
_STATUS_KNOWN_BYTES: Final = len(b"HTTP/1.1 101")
_BROKEN: Final = (ConnectionClosed, ProtocolError, h11.ProtocolError)


class HandshakeFailed(Exception):
    """The WebSocket handshake did not succeed. `status` is the HTTP status of a refusal, else None."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Opened:
    """A connection whose handshake is done: its stream, the bytes that came behind the head, the agreed protocol."""

    def __init__(self, stream: OwnedStream, rest: bytes, protocol: str | None) -> None:
        self.stream = stream
        self.rest = rest
        self.protocol = protocol


class _Tap(trio.abc.Stream):
    """What trio-websocket reads: the head, up to its blank line, and then nothing until it is cancelled.

    Interim responses (1xx but 101) are left out, for wsproto takes them for a refusal; of a refusal all is given, since
    its body tells the library that it is over.
    """

    def __init__(self, stream: OwnedStream, *, is_client: bool) -> None:
        self._stream = stream
        self._is_client = is_client
        self._head = b""
        self._read_bytes = 0
        self._is_open = True
        self._is_refused = False
        self.rest = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._is_open:
            await trio.sleep_forever()
        given = len(self._head)
        while True:
            data = await self._stream.receive_some()
            if not data or self._is_refused:
                return data
            self._head += data
            self._read_bytes += len(data)
            if not (self._is_client and self._is_interim()):
                return self._head_from(given)
            self._check_size()

    def _is_interim(self) -> bool:
        """Leave out interim responses; whether there may be more of one to come."""
        while _INTERIM.match(self._head) and _END_OF_HEAD in self._head:
            self._head = self._head.partition(_END_OF_HEAD)[2]
        return len(self._head) < _STATUS_KNOWN_BYTES or _INTERIM.match(self._head) is not None

    def _head_from(self, given: int) -> bytes:
        """Return what the library has not got yet: no byte behind the head, unless it is a refusal's."""
        end = self._head.find(_END_OF_HEAD)
        if end < 0:
            self._check_size()
            return self._head[given:]
        if self._is_client and not _SWITCHING.match(self._head):
            self._is_refused = True
            return self._head[given:]
        end += len(_END_OF_HEAD)
        if end > LARGEST_HEAD_BYTES:
            raise h11.RemoteProtocolError(f"a head of more than {LARGEST_HEAD_BYTES} bytes")
        self._is_open = False
        self.rest = self._head[end:]
        return self._head[given:end]

    def _check_size(self) -> None:
        if self._read_bytes > LARGEST_HEAD_BYTES:
            raise h11.RemoteProtocolError(f"a head of more than {LARGEST_HEAD_BYTES} bytes")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Guard:
    """Stands where trio-websocket wants a nursery: runs its reader task, catches what that raises, tells its end."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._reader = trio.CancelScope()
        self.failure: BaseException | None = None
        self.on_end: Callable[[], None] = lambda: None

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """As of a nursery."""
        self._nursery.start_soon(self._run, async_fn, args)

    def end(self) -> None:
        """Stop the reader task: the handshake is over."""
        self._reader.cancel()

    async def _run(self, async_fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            with self._reader:
                await async_fn(*args)
        except (ConnectionRejected, *_BROKEN) as error:
            self.failure = error
        finally:
            self.on_end()

    def as_nursery(self) -> trio.Nursery:
        """The library only calls `start_soon`."""
        return self  # type: ignore[return-value]  # a nursery cannot be subclassed


class StationRequest:
    """A station's opening handshake, read and not yet answered."""

    def __init__(self, request: WebSocketRequest, stream: OwnedStream, tap: _Tap, guard: _Guard) -> None:
        self._request: WebSocketRequest | None = request
        self._target = request.path
        self._offered = tuple(request.proposed_subprotocols)
        self._authorization = next((value for name, value in request.headers if name.lower() == b"authorization"), None)
        self._stream = stream
        self._tap = tap
        self._guard = guard

    @property
    def has_offered(self) -> bool:
        """Whether the station offers any subprotocol."""
        return bool(self._offered)

    def opening(self, certificate_name: str | None) -> OpeningRequest:
        """Return what the station shows, for `handshake.admit`."""
        return OpeningRequest(
            target=self._target,
            authorization=self._authorization,
            offered=self._offered,
            certificate_name=certificate_name,
        )

    async def accept(self, protocol: str | None) -> Opened:
        """Answer 101 with `protocol`; raises WireLost when the station has gone meanwhile. Only for one call."""
        # Let go of here: the library's connection would live as long as the station's task, at 8 kB each.
        request, self._request = self._request, None
        assert request is not None
        try:
            await request.accept(subprotocol=protocol)
        except _BROKEN as error:
            raise WireLost(str(error)) from error
        finally:
            self._guard.end()
        return Opened(self._stream, self._tap.rest, protocol)

    async def refuse(self, status: int, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        """Answer with an HTTP status and end the connection; never raises."""
        with contextlib.suppress(*_BROKEN):  # a station that has gone need not be told
            assert self._request is not None
            await self._request.reject(status, extra_headers=[*(headers or []), (b"Content-Length", b"0")])
        self._guard.end()
        await self._stream.finish()


async def read_request(nursery: trio.Nursery, stream: OwnedStream) -> StationRequest:
    """Read a station's opening handshake; the caller bounds the time. The library's reader lives in `nursery`.

    Raises HandshakeFailed for anything that is no WebSocket handshake.
    """
    guard, tap = _Guard(nursery), _Tap(stream, is_client=False)
    with trio.CancelScope() as scope:
        guard.on_end = scope.cancel
        request = await wrap_server_stream(guard.as_nursery(), tap)
        guard.on_end = lambda: None
        return StationRequest(request, stream, tap, guard)
    raise HandshakeFailed(f"no WebSocket handshake: {guard.failure or 'the peer left'}")


async def open_client(
    nursery: trio.Nursery,
    stream: OwnedStream,
    *,
    authority: str,
    resource: str,
    protocols: list[str],
    headers: list[tuple[bytes, bytes]],
) -> Opened:
    """Make the client's opening handshake on `stream`; the caller bounds the time and, on failure, ends the stream.

    Raises HandshakeFailed, with the HTTP status where the server gave one. A redirect is a refusal. That a protocol of
    `protocols` was chosen is for the caller to check: the library takes an answer without one in silence.
    """
    guard, tap = _Guard(nursery), _Tap(stream, is_client=True)
    with trio.CancelScope() as scope:
        guard.on_end = scope.cancel
        websocket = await wrap_client_stream(
            guard.as_nursery(),
            tap,  # type: ignore[arg-type]  # any trio stream serves; the annotation names two
            authority,
            resource,
            subprotocols=protocols,
            extra_headers=headers,
        )
        guard.on_end = lambda: None
        guard.end()
        return Opened(stream, tap.rest, websocket.subprotocol)
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
