"""What stations and supervisions of a benchmark are made of: prebuilt frames, one epoll, plain calls on sockets.

Written for speed: a peer needs less CPU than any relay, so that a relay on the other core is the bottleneck.
"""

import base64
import hashlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from benchmarks.messages import ANSWER, CALLS, ID_AT, ID_LENGTH, call_text

HANDSHAKE_END: Final = b"\r\n\r\n"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_NO_MASK: Final = bytes(4)
_NO_ID: Final = "-" * ID_LENGTH
_START: Final = ID_AT + ID_LENGTH
"""Bytes of a request up to the end of its id: a multiple of a mask's length."""

Handler = Callable[[], None]


class ConnectionEnded(Exception):
    """The relay ended a connection."""


def frame(text: bytes, *, is_masked: bool) -> bytes:
    """Return a text frame. The mask is zero, which is a mask, and lets frames be built beforehand."""
    bit = _MASKED if is_masked else 0
    if len(text) < 126:
        head = bytes([_TEXT, bit | len(text)])
    else:
        head = bytes([_TEXT, bit | 126]) + len(text).to_bytes(2, "big")
    return head + (bytes(4) if is_masked else b"") + text


def _split(framed: bytes) -> tuple[bytes, bytes]:
    """Part a frame round the place of its id."""
    head, tail = framed.split(_NO_ID.encode())
    return head, tail


CALL_PARTS: Final = [_split(frame(call_text(n, _NO_ID).encode(), is_masked=True)) for n in range(len(CALLS))]
ANSWER_PARTS: Final = _split(frame((ANSWER % _NO_ID).encode(), is_masked=False))


class Load:
    """All sockets, one epoll, and what was counted. With `tls`, whoever connects has to speak it."""

    def __init__(
        self, listener: socket.socket, serve: "type[Supervision] | None" = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self.messages = 0
        self.ready = 0
        self._serve = serve or Supervision
        self._tls = tls
        listener.setblocking(False)
        self.watch(listener, lambda: self._accept(listener))

    def forget(self, sock: socket.socket) -> None:
        """Close `sock`; it is heard no more."""
        self.epoll.unregister(sock.fileno())
        sock.close()

    def watch(self, sock: socket.socket, handler: Handler) -> None:
        """Call `handler` whenever `sock` can be read."""
        self.handlers[sock.fileno()] = handler
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    def run_until(self, moment: float, is_done: Callable[[], bool] = lambda: False) -> None:
        """Handle what comes until `moment` (of time.perf_counter), or until `is_done`."""
        while time.perf_counter() < moment and not is_done():
            self.turn(0.05)

    def turn(self, longest_s: float) -> None:
        """Handle what has come, after waiting for it for a while."""
        for descriptor, _ in self.epoll.poll(longest_s, 512):
            self.handlers[descriptor]()

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        prepare(sock)
        if self._tls is None:
            self.watch(sock, self._serve(self, sock).handshake)
            return
        secure = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.watch(secure, lambda: self._shake_hands(secure))

    def _shake_hands(self, secure: ssl.SSLSocket) -> None:
        """Take the next step of TLS; this side writes little enough to do it at once."""
        try:
            secure.do_handshake()
        except ssl.SSLWantReadError:
            return
        except OSError:  # who only looks whether we are there may go again
            self.forget(secure)
            return
        self.handlers[secure.fileno()] = self._serve(self, secure).handshake


class Supervision:
    """The supervision's end of one uplink: answers every request."""

    def __init__(self, load: Load, sock: socket.socket) -> None:
        self._load = load
        self._sock = sock
        self._unread = b""

    def handshake(self) -> None:
        """Read the opening request; answer it when it is whole. Who only looks whether we are there may go again."""
        try:
            data = self._sock.recv(65536)
        except ssl.SSLWantReadError:
            return
        if not data:
            self._load.forget(self._sock)
            return
        self._unread += data
        if HANDSHAKE_END not in self._unread:
            return
        headers = dict(line.split(b": ", 1) for line in self._unread.split(b"\r\n")[1:-2])
        key = {name.lower(): value for name, value in headers.items()}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        self._sock.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        )
        self._unread = b""
        self._load.handlers[self._sock.fileno()] = self.answer

    def answer(self) -> None:
        """Answer the requests that have come, all at once; raises ConnectionEnded."""
        data = received(self._sock)
        if self._unread:
            data = self._unread + data
        at, end, answers = 0, len(data), b""
        while end - at >= 8:
            length, head = data[at + 1] & 127, 6
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 8
            if end - at < head + length:
                break
            if data[at] == _TEXT:
                message_id = _unmasked(data[at + head - 4 : at + head], data[at + head : at + head + _START])[ID_AT:]
                answers += ANSWER_PARTS[0] + message_id + ANSWER_PARTS[1]
                self._load.messages += 1
            at += head + length
        self._unread = data[at:]
        if answers:
            self._sock.send(answers)


def prepare(sock: socket.socket) -> None:
    """Make a socket fit for a Load."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def received(sock: socket.socket) -> bytes:
    """Return what has come, nothing where TLS has no whole record yet; raises ConnectionEnded."""
    try:
        data = sock.recv(65536)
    except ssl.SSLWantReadError:
        return b""
    if not data:
        raise ConnectionEnded
    return data


def _unmasked(mask: bytes, start: bytes) -> bytes:
    if mask == _NO_MASK:
        return start
    key = int.from_bytes(mask * (_START // 4), "big")
    return (int.from_bytes(start, "big") ^ key).to_bytes(_START, "big")
