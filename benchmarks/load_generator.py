"""Stations and their supervision in one process of its own: as much load as a relay can take, from prebuilt frames.

    python -m benchmarks.load_generator --relay PORT --supervision FD --pid RELAY --stations N --seconds S

Each station has one request open, as OCPP wants it, and sends the next when the answer is there. Prints one JSON line:
messages that passed the relay (both directions) and the CPU time that the relay's process used meanwhile. The
supervision's listening socket is inherited: it stays open between rounds, for a relay may look whether it is there.
Written on epoll: it needs a tenth of what the relays need, so a relay on the other core is the bottleneck.
"""

import argparse
import base64
import hashlib
import json
import select
import socket
import time
from collections.abc import Callable
from typing import Final

from benchmarks.machine import cpu_seconds
from benchmarks.messages import ANSWER, CALLS, ID_AT, ID_LENGTH, call_text

READY_WITHIN_S: Final = 30.0
WARM_UP_S: Final = 0.5
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TEXT: Final = 0x81
_MASKED: Final = 0x80
_NO_ID: Final = "-" * ID_LENGTH

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
    """All sockets, one epoll, and what was counted."""

    def __init__(self, listener: socket.socket, serve: "type[Supervision] | None" = None) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self.messages = 0
        self.ready = 0
        self._serve = serve or Supervision
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
            for descriptor, _ in self.epoll.poll(0.05, 512):
                self.handlers[descriptor]()

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        _prepare(sock)
        self.watch(sock, self._serve(self, sock).handshake)


class Supervision:
    """The supervision's end of one uplink: answers every request."""

    def __init__(self, load: Load, sock: socket.socket) -> None:
        self._load = load
        self._sock = sock
        self._unread = b""

    def handshake(self) -> None:
        """Read the opening request; answer it when it is whole. Who only looks whether we are there may go again."""
        data = self._sock.recv(65536)
        if not data:
            self._load.forget(self._sock)
            return
        self._unread += data
        if b"\r\n\r\n" not in self._unread:
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
        """Answer the requests that have come; raises ConnectionEnded."""
        data = self._unread + _received(self._sock)
        at, end = 0, len(data)
        while end - at >= 8:
            length, head = data[at + 1] & 127, 6
            if length == 126:
                length, head = int.from_bytes(data[at + 2 : at + 4], "big"), 8
            if end - at < head + length:
                break
            if data[at] == _TEXT:
                self._send_result(data[at + head - 4 : at + head], data[at + head : at + head + ID_AT + ID_LENGTH])
            at += head + length
        self._unread = data[at:]

    def _send_result(self, mask: bytes, start: bytes) -> None:
        masks = mask * (len(start) // 4 + 1)
        plain = bytes(byte ^ key for byte, key in zip(start, masks, strict=False))
        self._sock.send(ANSWER_PARTS[0] + plain[ID_AT:] + ANSWER_PARTS[1])
        self._load.messages += 1


class Station:
    """One station: one request open, the next one when its answer is there."""

    def __init__(self, load: Load, relay_port: int, number: int) -> None:
        self._load = load
        self._position = number  # not all begin at the same request
        self._id = b""
        self._unread = b""
        self._sock = socket.create_connection(("127.0.0.1", relay_port))
        _prepare(self._sock)
        self._sock.send(
            b"GET /ocpp/CP-%04d HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n" % number
        )
        load.watch(self._sock, self._handshake)

    def ask(self) -> None:
        """Send the next request."""
        head, tail = CALL_PARTS[self._position % len(CALL_PARTS)]
        self._id = b"%036d" % self._position
        self._sock.send(head + self._id + tail)
        self._position += 1

    def _handshake(self) -> None:
        self._unread += _received(self._sock)
        if b"\r\n\r\n" not in self._unread:
            return
        if not self._unread.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"the relay refused a station: {self._unread[:60]!r}")
        self._unread = b""
        self._load.ready += 1
        self._load.handlers[self._sock.fileno()] = self._take_answer

    def _take_answer(self) -> None:
        self._unread += _received(self._sock)
        wanted = ANSWER_PARTS[0] + self._id + ANSWER_PARTS[1]
        if len(self._unread) < len(wanted):
            return
        if self._unread != wanted:  # one request is open, so nothing else can come
            raise SystemExit(f"the relay changed an answer: {self._unread!r}, not {wanted!r}")
        self._unread = b""
        self._load.messages += 1
        self.ask()


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionEnded
    return data


def _measured(load: Load, pid: int, seconds: float) -> dict[str, float]:
    messages, cpu_s, began = load.messages, cpu_seconds(pid), time.perf_counter()
    load.run_until(began + seconds)
    elapsed_s = time.perf_counter() - began
    return {"messages": load.messages - messages, "cpu_s": cpu_seconds(pid) - cpu_s, "elapsed_s": elapsed_s}


def main() -> None:
    """Measure; a relay that ends a connection fails the round."""
    try:
        _run()
    except ConnectionEnded:
        raise SystemExit("the relay closed a connection") from None


def _run() -> None:
    """Connect all stations, warm up, measure, print."""
    parser = argparse.ArgumentParser()
    for name in ("--relay", "--supervision", "--pid", "--stations"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    load = Load(socket.socket(fileno=given.supervision))
    stations = [Station(load, given.relay, number) for number in range(given.stations)]
    load.run_until(time.perf_counter() + READY_WITHIN_S, lambda: load.ready == len(stations))
    if load.ready < len(stations):
        raise SystemExit(f"{load.ready} of {len(stations)} stations connected within {READY_WITHIN_S:g} s")
    for station in stations:
        station.ask()
    load.run_until(time.perf_counter() + WARM_UP_S)
    print(json.dumps(_measured(load, given.pid, given.seconds)))


if __name__ == "__main__":
    main()
