"""TCP, TLS and HTTP CONNECT for both legs, on streams that we own: every write has a deadline, every close an end.

trio-websocket reads and writes through an `OwnedStream`; so its pings, pongs and Close frames are bounded too, whatever
the library does (its own time-outs do not hold against a mute peer).
"""

import base64
import os
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import h11
import trio

SEND_WITHIN_S: Final = 10.0  # a peer that takes no byte for so long is gone; ours to choose
DRAIN_WITHIN_S: Final = 2.0  # rule 26: both sockets are drained for at most 2 s
RECEIVE_BYTES: Final = 16 * 1024
LARGEST_PROXY_HEAD_BYTES: Final = 16 * 1024

AnyStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class DialError(Exception):
    """A connection could not be made. `error` is the reason class of rule 50: dns, tcp, proxy or tls."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error


class OwnedStream(trio.abc.Stream):
    """A connected stream whose owner alone ends it.

    `aclose`, as trio-websocket calls it, only stops the reading: the owner then calls `finish`, which drains before it
    closes, so that the peer gets our last frame (a close with unread input would send RST and destroy it).
    """

    def __init__(self, stream: AnyStream) -> None:
        self._stream = stream
        self._reading: trio.CancelScope | None = None
        self._is_parting = False
        self.last_heard = trio.current_time()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes, `b""` at the end or once parting."""
        if self._is_parting:
            await trio.lowlevel.checkpoint()
            return b""
        data: bytes | bytearray = b""
        with trio.CancelScope() as self._reading:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return b""
            finally:
                self._reading = None
        self.last_heard = trio.current_time()
        return bytes(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data`; a write that did not finish, for whatever reason, kills the stream: half a frame is none."""
        is_done = False
        try:
            with trio.fail_after(SEND_WITHIN_S):
                await self._stream.send_all(data)
            is_done = True
        except trio.TooSlowError as error:
            raise trio.BrokenResourceError(f"the peer took no byte for {SEND_WITHIN_S:g} s") from error
        finally:
            if not is_done:
                self._abort()

    async def wait_send_all_might_not_block(self) -> None:
        """Not used by trio-websocket; `send_all` has its own deadline."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Stop reading; the socket stays until `finish`."""
        self._part()
        await trio.lowlevel.checkpoint()

    async def finish(self, *, drain: bool = True) -> None:
        """Shut down writing, read what still comes for a bounded time, close the socket.

        Never raises, also in a cancelled scope. Without `drain` for a peer that is known to have said its last.
        """
        self._part()
        if drain:
            await self._drain()
        self._abort()

    async def _drain(self) -> None:
        transport = raw_socket_stream(self._stream)
        with trio.move_on_after(DRAIN_WITHIN_S, shield=True):
            try:
                while self._reading is not None:  # its cancellation has yet to be delivered
                    await trio.lowlevel.checkpoint()
                transport.socket.shutdown(socket.SHUT_WR)
                while await transport.receive_some(RECEIVE_BYTES):
                    pass
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                pass  # the peer was faster, or its reader has not noticed yet: nothing is left to drain

    def _part(self) -> None:
        self._is_parting = True
        if self._reading is not None:
            self._reading.cancel()

    def _abort(self) -> None:
        self._part()
        raw_socket_stream(self._stream).socket.close()


async def dial(
    host: str,
    port: int,
    *,
    proxy: "ProxyAddress | None" = None,
    tls: ssl.SSLContext | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> AnyStream:
    """Return a connected stream, TLS handshake done; the caller bounds the time and closes it.

    `on_step` is told each step that succeeded, in order: dns, tcp, proxy, tls. Raises DialError
    with the one that failed.
    """
    first = (proxy.host, proxy.port) if proxy else (host, port)
    await _look_up(*first)
    on_step("dns")
    stream = await _connect_tcp(*first)
    on_step("tcp")
    try:
        if proxy is not None:
            await _open_tunnel(stream, host, port, proxy)
            on_step("proxy")
        if tls is None:
            return stream
        secured = await _wrap_tls(stream, tls, host)
        on_step("tls")
        return secured
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


class ProxyAddress:
    """An HTTP CONNECT proxy and the credentials it wants; `authorization` is a whole header value or None."""

    def __init__(self, host: str, port: int, authorization: bytes | None = None) -> None:
        self.host = host
        self.port = port
        self.authorization = authorization

    @classmethod
    def with_password(cls, host: str, port: int, user: str | None, password: bytes | None) -> "ProxyAddress":
        """Return the address with Basic credentials, when there are any."""
        if user is None and password is None:
            return cls(host, port)
        encoded = base64.b64encode((user or "").encode() + b":" + (password or b""))
        return cls(host, port, b"Basic " + encoded)


async def accept_tls(stream: trio.SocketStream, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """Return the TLS server's side of `stream`; raises DialError `tls`. The caller bounds the time."""
    wrapped = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        await wrapped.do_handshake()
    except trio.BrokenResourceError as error:
        raise DialError("tls", tls_cause(error)) from error
    return wrapped


def peer_address(stream: trio.SocketStream) -> str:
    """Return the IP address of the other end; empty when it has gone."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""


def certificate_name(stream: AnyStream) -> str | None:
    """Return the common name of the peer's certificate, if it showed one."""
    if not isinstance(stream, trio.SSLStream):
        return None
    certificate = stream.getpeercert()
    for relative_name in (certificate or {}).get("subject", ()):
        for kind, value in relative_name:
            if kind == "commonName":
                return str(value)
    return None


def certificate_expiry(stream: AnyStream) -> datetime | None:
    """Return when the certificate that the peer showed expires; None without TLS."""
    if not isinstance(stream, trio.SSLStream):
        return None
    certificate = stream.getpeercert() or {}
    not_after = certificate.get("notAfter")
    return None if not_after is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC)


def detect_silence(stream: trio.SocketStream, *, user_timeout_s: float) -> None:
    """Let the kernel notice a pulled cable: probes on an idle connection, and a bound on unacknowledged data."""
    sock = stream.socket
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1000))


def raw_socket_stream(stream: AnyStream) -> trio.SocketStream:
    """Return the TCP stream under `stream`."""
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream


def tls_cause(error: BaseException) -> str:
    """Return why a TLS handshake failed, in words for the log and the status."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        hint = {9: " (or the controller's clock is slow)", 10: " (or the controller's clock is fast)"}
        return f"certificate: {cause.verify_message}{hint.get(cause.verify_code, '')}"
    if isinstance(cause, ssl.SSLError):
        return cause.reason or str(cause)
    return "the peer ended the TLS handshake"


async def _look_up(host: str, port: int) -> None:
    try:
        await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise DialError("dns", f"{host}: {error.strerror}") from error
    except UnicodeError as error:  # a label that no encoding of the name gives
        raise DialError("dns", f"{host}: no host name") from error


async def _connect_tcp(host: str, port: int) -> trio.SocketStream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise DialError("tcp", f"{host}:{port}: {_cause(error)}") from error


def _cause(error: OSError) -> str:
    """Happy eyeballs hide why each attempt failed behind one sentence; the last attempt's reason says more."""
    inner = error.__cause__
    if isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[-1]
    last = inner if isinstance(inner, OSError) else error
    return os.strerror(last.errno) if last.errno else str(last)


async def _wrap_tls(
    stream: trio.SocketStream, context: ssl.SSLContext, server_name: str
) -> trio.SSLStream[trio.SocketStream]:
    wrapped = trio.SSLStream(stream, context, server_hostname=server_name, https_compatible=True)
    try:
        await wrapped.do_handshake()
    except trio.BrokenResourceError as error:
        raise DialError("tls", tls_cause(error)) from error
    return wrapped


async def _open_tunnel(stream: trio.SocketStream, host: str, port: int, proxy: ProxyAddress) -> None:
    """HTTP CONNECT (RFC 9110 section 9.3.6)."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [(b"Host", target.encode())]
    if proxy.authorization is not None:
        headers.append((b"Proxy-Authorization", proxy.authorization))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_PROXY_HEAD_BYTES)
    request = http.send(h11.Request(method=b"CONNECT", target=target.encode(), headers=headers)) or b""
    try:
        await stream.send_all(request + (http.send(h11.EndOfMessage()) or b""))
        status = await _proxy_status(stream, http)
    except (h11.RemoteProtocolError, trio.BrokenResourceError) as error:
        raise DialError("proxy", f"{proxy.host}:{proxy.port}: {error}") from error
    if not 200 <= status < 300:
        raise DialError("proxy", f"{proxy.host}:{proxy.port} answered {status}")
    if http.trailing_data[0]:
        raise DialError("proxy", "the proxy sent data of its own before the tunnel")


async def _proxy_status(stream: trio.SocketStream, http: h11.Connection) -> int:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(RECEIVE_BYTES))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise DialError("proxy", "no HTTP answer")
