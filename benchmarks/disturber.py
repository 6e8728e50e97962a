"""A station that misbehaves: `python -m benchmarks.disturber KIND PORT IDENTITY SECONDS`, in a process of its own.

It connects, does its worst, and comes back whenever it is thrown out. Prints one JSON line: connections that were
made, bytes that were sent.
"""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Final

from benchmarks.load_generator import frame

CONNECT_WITHIN_S: Final = 10.0
THROWN_OUT_S: Final = 0.05  # until it comes back
ENOUGH_BYTES: Final = 64 * 1024  # a write

_TEXT_FRAGMENT: Final = b"\x01\x80\0\0\0\0"
_EMPTY_FRAGMENT: Final = b"\x00\x80\0\0\0\0"
_PING: Final = b"\x89\x80\0\0\0\0"


def flood() -> Iterator[bytes]:
    """Results that nobody asked for, as fast as they go: the agent has to read each, and stays connected."""
    chunk = frame(b'[3,"of-nobody",{"status":"Accepted"}]', is_masked=True) * 1000
    while True:
        yield chunk


def calls() -> Iterator[bytes]:
    """Requests, as fast as they go, whatever is answered."""
    for number in count():
        yield b"".join(frame(b'[2,"%d-%d","Heartbeat",{}]' % (number, each), is_masked=True) for each in range(500))


def garbage() -> Iterator[bytes]:
    """Texts that are no OCPP, and some that are no JSON."""
    texts = [b"{", b"null", b'[2,"1"', b"[" * 1000, b'[9,"1",{}]', b'[2,1,"Heartbeat",{}]', b'\xef\xbb\xbf[3,"x",']
    chunk = b"".join(frame(text, is_masked=True) for text in texts) * 40
    while True:
        yield chunk


def noise() -> Iterator[bytes]:
    """Bytes that are no frames."""
    while True:
        yield os.urandom(4096)


def dribble() -> Iterator[bytes]:
    """A large message, byte by byte, each in a segment of its own."""
    while True:
        message = frame(b'[2,"1","DataTransfer",{"vendorId":"%s"}]' % (b"x" * 60_000), is_masked=True)
        for at in range(len(message)):
            yield message[at : at + 1]


def fragments() -> Iterator[bytes]:
    """A message of empty fragments without end."""
    yield _TEXT_FRAGMENT
    while True:
        yield _EMPTY_FRAGMENT * 1000


def pings() -> Iterator[bytes]:
    """Pings without end; the pongs are read."""
    while True:
        yield _PING * 1000


def never_read() -> Iterator[bytes]:
    """Pings whose pongs are never read, in a receive buffer that is small."""
    yield from pings()


KINDS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "flood": flood,
    "calls": calls,
    "garbage": garbage,
    "noise": noise,
    "dribble": dribble,
    "fragments": fragments,
    "pings": pings,
    "never-read": never_read,
}


class Disturber:
    """One misbehaving station until `end`, a moment of time.monotonic."""

    def __init__(self, kind: str, port: int, identity: str, end: float) -> None:
        self._kind = kind
        self._port = port
        self._identity = identity
        self._end = end
        self.connections = 0
        self.sent_bytes = 0

    def run(self) -> None:
        """Disturb, and come back, until the end."""
        while time.monotonic() < self._end:
            with suppress(OSError), self._connected() as sock:
                self.connections += 1
                self._disturb(sock)
            time.sleep(THROWN_OUT_S)

    def _connected(self) -> socket.socket:
        """Return a socket whose handshake is done; raises OSError where the agent would not have us."""
        sock = socket.socket()
        if self._kind == "never-read":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(CONNECT_WITHIN_S)
        sock.connect(("127.0.0.1", self._port))
        sock.sendall(
            b"GET /ocpp/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n" % self._identity.encode()
        )
        if not sock.recv(65536).startswith(b"HTTP/1.1 101"):
            sock.close()
            raise ConnectionRefusedError
        return sock

    def _disturb(self, sock: socket.socket) -> None:
        """Send as much as the agent takes; read what it says, but for the kind that never does."""
        sock.setblocking(False)
        reads = 0 if self._kind == "never-read" else select.POLLIN
        poll = select.poll()
        poll.register(sock, reads | select.POLLOUT)
        chunks, unsent = KINDS[self._kind](), b""
        while time.monotonic() < self._end:
            for _, event in poll.poll(100):
                if event & select.POLLIN and not sock.recv(ENOUGH_BYTES):
                    return
                if event & (select.POLLERR | select.POLLHUP):
                    return
                if event & select.POLLOUT:
                    unsent = unsent or next(chunks)
                    sent = sock.send(unsent)
                    self.sent_bytes += sent
                    unsent = unsent[sent:]


def main(kind: str, port: str, identity: str, seconds: str) -> None:
    """Disturb for so many seconds, then tell."""
    disturber = Disturber(kind, int(port), identity, time.monotonic() + float(seconds))
    disturber.run()
    print(json.dumps({"connections": disturber.connections, "bytes": disturber.sent_bytes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
