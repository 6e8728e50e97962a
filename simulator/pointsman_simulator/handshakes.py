"""How a WebSocket comes about, from either side, within a bound; nothing in here knows OCPP.

`dialed` and `accepted` run the library's reader in a nursery of their own, so that a protocol error in it ends one link
and nothing else. A handshake that nobody will ever finish ends as soon as its stream does.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

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

from pointsman_simulator.background import background
from pointsman_simulator.errors import HandshakeFailed, HandshakeRefused, LinkClosed
from pointsman_simulator.sockets import LARGEST_MESSAGE, QUEUE, SEND_WITHIN_S, SocketLink, WatchedStream

CONNECT_WITHIN_S = 10.0  # name, TCP, TLS and WebSocket handshake together; the agent's own default

Headers = Sequence[tuple[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a station connects to, taken from a ws or wss URL."""

    host: str
    port: int
    resource: str
    is_secure: bool

    @property
    def host_header(self) -> str:
        """The Host header: IPv6 in brackets, the scheme's own port left out (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Return where `url` leads; raises HandshakeFailed when it is no ws or wss URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise HandshakeFailed(f"{url!r} is no URL: {error}") from error
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise HandshakeFailed(f"{url!r} is no WebSocket URL; write ws://host:port/path or wss://host:port/path")
    is_secure = parts.scheme == "wss"
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, port or (443 if is_secure else 80), resource, is_secure)


class Handshake:
    """A client's request for a WebSocket, to be accepted or rejected."""

    def __init__(self, request: WebSocketRequest, stream: WatchedStream) -> None:
        self._request = request
        self._stream = stream
        self.path = request.path
        self.protocols = request.proposed_subprotocols
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]

    def header(self, name: str) -> str | None:
        """Return the value of the first header called `name`, in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    async def accept(self, protocol: str | None) -> SocketLink:
        """Answer 101 with `protocol`, or without any; raises LinkClosed."""
        try:
            with trio.fail_after(SEND_WITHIN_S):
                return SocketLink(await self._request.accept(subprotocol=protocol), self._stream)
        except (ConnectionClosed, ProtocolError, trio.TooSlowError) as error:
            raise LinkClosed(1006, "the handshake's answer could not be sent") from error

    async def reject(self, status: int, headers: Headers = ()) -> None:
        """Answer with an HTTP error status; raises LinkClosed."""
        raw = [(name.encode(), value.encode()) for name, value in headers]
        try:
            with trio.fail_after(SEND_WITHIN_S):
                await self._request.reject(status, extra_headers=raw, body=f"{status}\n".encode())
        except (ConnectionClosed, ProtocolError, trio.TooSlowError) as error:
            raise LinkClosed(1006, "the handshake's answer could not be sent") from error


@asynccontextmanager
async def dialed(
    url: str,
    *,
    protocols: Sequence[str] = (),
    headers: Headers = (),
    ssl_context: ssl.SSLContext | None = None,
    within_s: float = CONNECT_WITHIN_S,
) -> AsyncIterator[SocketLink]:
    """Connect to `url`; raises HandshakeFailed or HandshakeRefused within `within_s` seconds.

    For wss, `ssl_context` decides whom to trust; None trusts what the system does.
    """
    target = target_of(url)
    stream: WatchedStream | None = None
    async with background() as nursery:
        try:
            try:
                with trio.fail_after(within_s):
                    stream = await _connect(target, ssl_context)
                    link = await nursery.start(partial(_read_as_client, stream, target, protocols, headers))
            except trio.TooSlowError as error:
                raise HandshakeFailed(f"no handshake with {url} within {within_s:g} s") from error
            yield link
            await link.close(1000, None)
        finally:
            if stream is not None:
                await trio.aclose_forcefully(stream)


@asynccontextmanager
async def accepted(raw: trio.abc.Stream, within_s: float = CONNECT_WITHIN_S) -> AsyncIterator[Handshake]:
    """Read a client's handshake from `raw`; raises HandshakeFailed when none came within `within_s` seconds.

    The stream and its reader end with the block.
    """
    stream = WatchedStream(raw)
    try:
        async with background() as nursery:
            try:
                with trio.fail_after(within_s):
                    handshake = await nursery.start(_read_as_server, stream)
            except trio.TooSlowError as error:
                raise HandshakeFailed(f"no handshake within {within_s:g} s") from error
            yield handshake
    finally:
        await trio.aclose_forcefully(stream)


async def _connect(target: Target, ssl_context: ssl.SSLContext | None) -> WatchedStream:
    try:
        tcp = await trio.open_tcp_stream(target.host, target.port)
    except OSError as error:
        raise HandshakeFailed(f"no connection to {target.host}:{target.port}: {error}") from error
    if not target.is_secure:
        return WatchedStream(tcp)
    context = ssl_context or ssl.create_default_context()
    tls = trio.SSLStream(tcp, context, server_hostname=target.host, https_compatible=True)
    is_secured = False
    try:
        await tls.do_handshake()
        is_secured = True
    except trio.BrokenResourceError as error:
        raise HandshakeFailed(f"no TLS with {target.host}:{target.port}: {error.__cause__ or error}") from error
    finally:
        if not is_secured:
            await trio.aclose_forcefully(tcp)
    return WatchedStream(tls)


async def _read_as_client(
    stream: WatchedStream,
    target: Target,
    protocols: Sequence[str],
    headers: Headers,
    *,
    task_status: trio.TaskStatus[SocketLink],
) -> None:
    """Make the handshake, hand the link over, and run the library's reader until the link ends."""
    failure = HandshakeFailed("the connection ended within the handshake")
    raw = [(name.encode(), value.encode()) for name, value in headers]
    is_open = False
    try:
        async with trio.open_nursery() as reading:
            socket = await _unless_ended(
                stream,
                lambda: wrap_client_stream(
                    reading,
                    stream,  # type: ignore[arg-type]  # the library's type is narrower than what it uses
                    target.host_header,
                    target.resource,
                    subprotocols=protocols,
                    extra_headers=raw,
                    message_queue_size=QUEUE,
                    max_message_size=LARGEST_MESSAGE,
                ),
            )
            if socket is not None:
                is_open = True
                stream.keeps_head = False
                task_status.started(SocketLink(socket, stream))
    except* ConnectionRejected as group:
        failure = _refusal(group) or failure
    except* (ProtocolError, h11.ProtocolError, ConnectionClosed) as group:
        failure = HandshakeFailed(f"the answer is no WebSocket handshake: {group.exceptions[0]}")
    if not is_open:
        raise _refusal_in(stream.head) or failure


async def _read_as_server(stream: WatchedStream, *, task_status: trio.TaskStatus[Handshake]) -> None:
    """Read the handshake, hand it over, and run the library's reader until the link ends."""
    stream.keeps_head = False
    is_read = False
    try:
        async with trio.open_nursery() as reading:
            request = await _unless_ended(
                stream,
                lambda: wrap_server_stream(reading, stream, message_queue_size=QUEUE, max_message_size=LARGEST_MESSAGE),
            )
            if request is not None:
                is_read = True
                task_status.started(Handshake(request, stream))
    except* (ProtocolError, h11.ProtocolError, ConnectionClosed):
        pass  # the peer's fault; its link is closed, and whoever reads from it is told so
    if not is_read:
        raise HandshakeFailed("the client made no WebSocket handshake")


async def _unless_ended(stream: WatchedStream, handshake: Callable[[], Awaitable[T]]) -> T | None:
    """Return what `handshake` gives, or None when the stream ended first (the library would wait for ever)."""
    result: T | None = None
    async with trio.open_nursery() as race:
        race.start_soon(_cancel_when, stream.ended, race.cancel_scope)
        result = await handshake()
        race.cancel_scope.cancel()
    return result


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _refusal(group: BaseExceptionGroup[ConnectionRejected]) -> HandshakeRefused | None:
    for error in group.exceptions:
        if isinstance(error, ConnectionRejected):
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in error.headers or ()]
            return HandshakeRefused(error.status_code, headers, (error.body or b"").decode("utf-8", "replace"))
    return None


def _refusal_in(head: bytes) -> HandshakeRefused | None:
    """Read a refusal that the library did not report: its body ended with the connection."""
    first, _, rest = head.partition(b"\r\n\r\n")
    lines = first.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit() or words[1] == "101":
        return None
    pairs = [line.partition(":") for line in lines[1:]]
    headers = [(name.strip(), value.strip()) for name, _, value in pairs]
    return HandshakeRefused(int(words[1]), headers, rest.decode("utf-8", "replace"))
