"""TCP, TLS and HTTP CONNECT for both legs, on sockets that we own: every write has a deadline, every close an end.

A `RawStream` is a non-blocking socket, plain or an `ssl.SSLSocket`, on which trio tasks wait. It has no buffer of its
own, so that a connection can be handed over to the data plane between two bytes; `trio.SSLStream`, which holds TLS in
memory, could not. trio-websocket reads and writes through an `OwnedStream`; so its writes are bounded too, whatever the
library does.
"""

import base64
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import h11
import trio

SEND_WITHIN_S: Final = 10.0  # a peer that takes no byte for so long is gone; ours to choose
DRAIN_WITHIN_S: Final = 2.0  # rule 26: both sockets are drained for at most 2 s
RECEIVE_BYTES: Final = 16 * 1024
LARGEST_PROXY_HEAD_BYTES: Final = 16 * 1024

Result = TypeVar("Result")


class DialError(Exception):
    """A connection could not be made. `error` is the reason class of rule 50: dns, tcp, proxy or tls."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error


class RawStream:
    """A connected non-blocking socket. Raises BrokenResourceError for whatever the peer or the network did."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._is_released = False

    @classmethod
    def taken_from(cls, stream: trio.SocketStream) -> "RawStream":
        """Return the connection of `stream`, which has it no more."""
        return cls(socket.socket(fileno=stream.socket.detach()))

    async def secure(self, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        """Make the TLS handshake, as a server where no `server_name` is given; raises DialError `tls`."""
        is_server = server_name is None
        self.sock = context.wrap_socket(
            self.sock, server_side=is_server, server_hostname=server_name, do_handshake_on_connect=False
        )
        try:
            await self._when_readable(self.sock.do_handshake)
        except trio.BrokenResourceError as error:
            raise DialError("tls", tls_cause(error.__cause__)) from error

    async def receive_some(self, most: int = RECEIVE_BYTES) -> bytes:
        """Return the next bytes, `b""` at the end."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            data = self.sock.recv(most)
        except (OSError, ValueError):  # whatever it was, it is told where one waits for it
            return await self._when_readable(lambda: self.sock.recv(most))
        await trio.lowlevel.cancel_shielded_checkpoint()  # or a peer that always sends would have the loop to itself
        return data

    def send_now(self, data: bytes | bytearray | memoryview) -> int:
        """Write what the socket takes of `data` at once, which may be nothing; return how much that was."""
        try:
            return self.sock.send(data)
        except (OSError, ValueError):  # whatever it was, it is told where one waits for it
            return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await self._wait(trio.lowlevel.wait_writable)
            except ssl.SSLWantReadError:
                await self._wait(trio.lowlevel.wait_readable)
            except (OSError, ValueError) as error:  # ValueError: an SSLSocket that was closed meanwhile
                raise trio.BrokenResourceError(str(error)) from error

    def release(self) -> socket.socket:
        """Return the socket, which `close` leaves alone from now on."""
        self._is_released = True
        return self.sock

    def shut_down_writing(self) -> None:
        """Send a FIN; raises OSError when there is nobody to send it to."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def wake(self) -> None:
        """Tell whoever waits on it that it is closed; it is not."""
        if self.sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self.sock)

    def close(self) -> None:
        """Close the socket, at once; whoever waits on it is told. One that was released is somebody else's."""
        if not self._is_released and self.sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self.sock)
            self.sock.close()

    async def _when_readable(self, operation: Callable[[], Result]) -> Result:
        while True:
            try:
                return operation()
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._wait(trio.lowlevel.wait_readable)
            except ssl.SSLWantWriteError:
                await self._wait(trio.lowlevel.wait_writable)
            except (OSError, ValueError) as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def _wait(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        try:
            await wait(self.sock)
        except (trio.ClosedResourceError, OSError, ValueError) as error:
            raise trio.BrokenResourceError("closed") from error


class OwnedStream(trio.abc.Stream):
    """A connected stream whose owner alone ends it.

    `aclose`, as trio-websocket calls it, only stops the reading: the owner then calls `finish`, which drains before it
    closes, so that the peer gets our last frame (a close with unread input would send RST and destroy it).
    """

    def __init__(self, stream: RawStream | trio.SocketStream) -> None:
        self._stream = stream if isinstance(stream, RawStream) else RawStream.taken_from(stream)
        self._is_reading = False
        self._is_parting = False
        self._is_handed_over = False
        self.last_heard = trio.current_time()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes, `b""` at the end or once parting."""
        if self._is_parting:
            await trio.lowlevel.checkpoint()
            return b""
        self._is_reading = True
        try:
            data = await self._stream.receive_some()
        except trio.BrokenResourceError:
            return b""
        finally:
            self._is_reading = False
        self.last_heard = trio.current_time()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data`; a write that did not finish, for whatever reason, kills the stream: half a frame is none."""
        await trio.lowlevel.checkpoint_if_cancelled()
        is_done = False
        try:
            sent = self._stream.send_now(data)
            if sent < len(data):
                with trio.fail_after(SEND_WITHIN_S):
                    await self._stream.send_all(memoryview(data)[sent:])
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

    def hand_over(self) -> socket.socket:
        """Give the socket away: nothing here touches it any more."""
        self._is_parting = self._is_handed_over = True
        return self._stream.release()

    async def finish(self, *, drain: bool = True) -> None:
        """Shut down writing, read what still comes for a bounded time, close the socket.

        Never raises, also in a cancelled scope. Without `drain` for a peer that is known to have said its last.
        """
        self._part()
        if drain and not self._is_handed_over:
            await self._drain()
        self._abort()

    async def _drain(self) -> None:
        with trio.move_on_after(DRAIN_WITHIN_S, shield=True):
            try:
                while self._is_reading:  # it was woken, and has yet to notice
                    await trio.lowlevel.checkpoint()
                self._stream.shut_down_writing()
                while await self._stream.receive_some():
                    pass
            except (OSError, trio.BrokenResourceError, trio.BusyResourceError):
                pass  # the peer was faster, or its reader has not noticed yet: nothing is left to drain

    def _part(self) -> None:
        self._is_parting = True
        if self._is_reading:
            self._stream.wake()

    def _abort(self) -> None:
        self._part()
        self._stream.close()


async def dial(
    host: str,
    port: int,
    *,
    proxy: "ProxyAddress | None" = None,
    tls: ssl.SSLContext | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> RawStream:
    """Return a connected stream, TLS handshake done; the caller bounds the time and closes it.

    `on_step` is told each step that succeeded, in order: dns, tcp, proxy, tls. Raises DialError
    with the one that failed.
    """
    first = (proxy.host, proxy.port) if proxy else (host, port)
    addresses = await _look_up(*first)
    on_step("dns")
    stream = await _connect_tcp(*first, addresses)
    on_step("tcp")
    try:
        if proxy is not None:
            await _open_tunnel(stream, host, port, proxy)
            on_step("proxy")
        if tls is not None:
            await stream.secure(tls, server_name=host)
            on_step("tls")
    except BaseException:
        stream.close()
        raise
    return stream


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


def peer_address(stream: RawStream) -> str:
    """Return the IP address of the other end; empty when it has gone."""
    try:
        return str(stream.sock.getpeername()[0])
    except OSError:
        return ""


def certificate_name(stream: RawStream) -> str | None:
    """Return the common name of the peer's certificate, if it showed one."""
    for relative_name in _certificate(stream).get("subject", ()):
        for kind, value in relative_name:
            if kind == "commonName":
                return str(value)
    return None


def certificate_expiry(stream: RawStream) -> datetime | None:
    """Return when the certificate that the peer showed expires; None without TLS."""
    not_after = _certificate(stream).get("notAfter")
    return None if not_after is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC)


def detect_silence(stream: RawStream, *, user_timeout_s: float) -> None:
    """Let the kernel notice a pulled cable: probes on an idle connection, and a bound on unacknowledged data."""
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1000))


def tls_cause(error: BaseException | None) -> str:
    """Return why a TLS handshake failed, in words for the log and the status."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = {9: " (or the controller's clock is slow)", 10: " (or the controller's clock is fast)"}
        return f"certificate: {error.verify_message}{hint.get(error.verify_code, '')}"
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "the peer ended the TLS handshake"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return str(error)


def _certificate(stream: RawStream) -> dict[str, Any]:
    """What the peer's certificate says, as the ssl module has it; empty without one."""
    return (stream.sock.getpeercert() or {}) if isinstance(stream.sock, ssl.SSLSocket) else {}


async def _look_up(host: str, port: int) -> list[Any]:
    """Return the addresses, as `socket.getaddrinfo` has them."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        pass  # a name
    else:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    try:
        return list(await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except socket.gaierror as error:
        raise DialError("dns", f"{host}: {error.strerror}") from error
    except UnicodeError as error:  # a label that no encoding of the name gives
        raise DialError("dns", f"{host}: no host name") from error


async def _connect_tcp(host: str, port: int, addresses: list[Any]) -> RawStream:
    try:
        if len(addresses) == 1:
            return await _connect_to(*addresses[0])
        return RawStream.taken_from(await trio.open_tcp_stream(host, port))  # happy eyeballs (RFC 8305)
    except OSError as error:
        raise DialError("tcp", f"{host}:{port}: {connect_cause(error)}") from error


async def _connect_to(family: int, kind: int, protocol: int, _: str, address: Any) -> RawStream:
    """Connect to the only address there is; raises OSError. At a third of the cost of a race of several."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return RawStream(sock)


def connect_cause(error: OSError) -> str:
    """Return why no connection was made. Happy eyeballs hide why each attempt failed behind one sentence; the last
    attempt's reason says more."""
    inner = error.__cause__
    if isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[-1]
    last = inner if isinstance(inner, OSError) else error
    return os.strerror(last.errno) if last.errno else str(last)


async def _open_tunnel(stream: RawStream, host: str, port: int, proxy: ProxyAddress) -> None:
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


async def _proxy_status(stream: RawStream, http: h11.Connection) -> int:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise DialError("proxy", "no HTTP answer")
