"""A storm of connections that are no stations: `python -m support.junk PORT COUNT`, in a process of its own.

They come in batches, so that the process stays within its descriptors; each batch holds every kind in turn. What the
agent does not end by itself within a moment is left without a word, by FIN and by RST in turn. The last batch is kept
open until the agent has ended every connection of it. Prints one JSON line of counts.
"""

import json
import os
import select
import socket
import struct
import sys
import time
from collections import Counter
from typing import Final

BATCH: Final = 400
MOMENT_S: Final = 0.4  # for what a batch is left to the agent
LAST_WITHIN_S: Final = 30.0  # the agent's deadline for a handshake is 10 s; on a loaded machine it may notice later
CONNECT_WITHIN_S: Final = 10.0

KINDS: Final = (
    b"",  # half-open for good
    b"GET /ocpp/CP-1 HTT",  # half a request
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS on a listener without
    bytes(range(256)) * 4,  # noise
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",  # a scanner
    b"GET /ocpp/CP-1 HTTP/1.1\r\n" + b"X-Filling: " + b"x" * 20_000,  # a head without an end
    b"GET /ocpp/STRANGER HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n",  # a station that nobody knows
    b"\x81\x85\x00\x00\x00\x00Hello",  # frames without a handshake
)
_RESET: Final = struct.pack("ii", 1, 0)


class Batch:
    """Connections that were opened together."""

    def __init__(self, port: int, size: int, seen: Counter[str]) -> None:
        self._poll = select.poll()
        self._open: dict[int, socket.socket] = {}
        self._seen = seen
        for number in range(size):
            self._add(port, KINDS[number % len(KINDS)])

    def wait_ended(self, within_s: float) -> int:
        """Read until the agent has ended all, or the time is over; return how many are left."""
        end = time.monotonic() + within_s
        while self._open and (left := end - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left * 1000):
                self._read(descriptor)
        return len(self._open)

    def leave(self) -> None:
        """Go, every second connection by RST."""
        for number, sock in enumerate(self._open.values()):
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()
            self._seen["left"] += 1
        self._open.clear()

    def _add(self, port: int, junk: bytes) -> None:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_WITHIN_S)
            self._seen["connected"] += 1
            sock.setblocking(False)
            sock.send(junk)
        except OSError as error:
            self._seen[f"failed: {os.strerror(error.errno or 0)}"] += 1
            return
        self._open[sock.fileno()] = sock
        self._poll.register(sock.fileno(), select.POLLIN)

    def _read(self, descriptor: int) -> None:
        try:
            if self._open[descriptor].recv(65536):
                return
        except OSError:
            pass
        self._poll.unregister(descriptor)
        self._open.pop(descriptor).close()
        self._seen["ended by the agent"] += 1


def main(port: int, count: int) -> None:
    """Open them all; fail when the agent never ends one of the last batch."""
    seen: Counter[str] = Counter()
    for begun in range(0, count, BATCH):
        batch = Batch(port, min(BATCH, count - begun), seen)
        if begun + BATCH < count:
            batch.wait_ended(MOMENT_S)
            batch.leave()
    left = batch.wait_ended(LAST_WITHIN_S)
    print(json.dumps(dict(sorted(seen.items()))))
    if left:
        raise SystemExit(f"the agent left {left} connections open for more than {LAST_WITHIN_S:g} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
