"""Stations at a steady pace, in a process of their own: `python -m benchmarks.stations PORT COUNT INTERVAL_S`.

Each sends a request every INTERVAL_S seconds, once its last one is answered, and comes back by itself when its
connection ends or is refused: after Retry-After, or a second, and some more at random. For every line on its standard
input it prints one JSON line of what happened since the one before: stations that are up, answers and their round
trips (median, 99th percentile, longest, in ms), connections lost, handshakes refused. Ends with its standard input.
"""

import heapq
import json
import math
import os
import random
import re
import socket
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from benchmarks.load_generator import ANSWER_PARTS, CALL_PARTS, Load
from benchmarks.machine import raise_descriptor_limit

CONNECT_WITHIN_S: Final = 10.0
RETRY_S: Final = 1.0
LONGEST_POLL_S: Final = 0.05
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after: (\d+)\r\n", re.IGNORECASE)


class Fleet(Load):
    """All stations, when each acts next, and what happened since it was asked last."""

    def __init__(self, port: int, stations: int, interval_s: float) -> None:
        idle = socket.create_server(("127.0.0.1", 0))  # a Load listens; nobody knows this port
        super().__init__(idle)
        self.port = port
        self.interval_s = interval_s
        self.up = 0
        self.seen = Seen()
        self._turns: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        for number in range(stations):
            self.at(0.0, SteadyStation(self, number).connect)

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Call `act` at `moment` of time.perf_counter."""
        heapq.heappush(self._turns, (moment, next(self._numbers), act))

    def serve(self) -> None:
        """Let them act until the standard input ends."""
        self.epoll.register(0)
        while True:
            for descriptor, _ in self.epoll.poll(self._pause_s(), 512):
                if descriptor:
                    self.handlers[descriptor]()
                elif not self._tell():
                    return
            self._act()

    def _pause_s(self) -> float:
        left_s = self._turns[0][0] - time.perf_counter() if self._turns else LONGEST_POLL_S
        return min(max(left_s, 0.0), LONGEST_POLL_S)

    def _act(self) -> None:
        """Let those act whose turn it is; sockets are looked at in between."""
        for _ in range(64):
            if not self._turns or self._turns[0][0] > time.perf_counter():
                return
            heapq.heappop(self._turns)[2]()

    def _tell(self) -> bool:
        if not os.read(0, 4096):
            return False
        seen, self.seen = self.seen, Seen()
        print(json.dumps({"up": self.up, **seen.as_json()}), flush=True)
        return True


class Seen:
    """What happened in a while."""

    def __init__(self) -> None:
        self.round_trips_s: list[float] = []
        self.lost = 0
        self.refused = 0

    def as_json(self) -> dict[str, Any]:
        """Return the counts and the round trips in ms."""
        ordered = sorted(self.round_trips_s)
        return {
            "answers": len(ordered),
            "p50_ms": percentile(ordered, 50) * 1000,
            "p99_ms": percentile(ordered, 99) * 1000,
            "longest_ms": percentile(ordered, 100) * 1000,
            "lost": self.lost,
            "refused": self.refused,
        }


class SteadyStation:
    """One station: connects, asks at its pace, comes back."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self._fleet = fleet
        self._number = number
        self._position = number  # not all begin at the same request
        self._sock = socket.socket()
        self._unread = b""
        self._wanted = b""
        self._asked = 0.0

    def connect(self) -> None:
        """Connect and ask for the upgrade."""
        self._unread = b""
        try:
            self._sock = socket.create_connection(("127.0.0.1", self._fleet.port), timeout=CONNECT_WITHIN_S)
        except OSError:
            self._come_back(RETRY_S)
            return
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.send(
            b"GET /ocpp/CP-%04d HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n" % self._number
        )
        self._fleet.watch(self._sock, self._handshake)

    def _handshake(self) -> None:
        data = self._received()
        self._unread += data
        if data and b"\r\n\r\n" not in self._unread:
            return
        if not self._unread.startswith(b"HTTP/1.1 101"):
            self._refused()
            return
        self._unread = b""
        self._fleet.up += 1
        self._fleet.handlers[self._sock.fileno()] = self._take_answer
        self._fleet.at(time.perf_counter() + random.random() * self._fleet.interval_s, self._asker(self._sock))

    def _refused(self) -> None:
        self._fleet.seen.refused += 1
        self._fleet.forget(self._sock)
        told = _RETRY_AFTER.search(self._unread)
        self._come_back(float(told.group(1)) if told else RETRY_S)

    def _asker(self, sock: socket.socket) -> Callable[[], None]:
        """What asks on `sock`, and does nothing once that is another one."""
        return lambda: self._ask() if self._sock is sock and sock.fileno() >= 0 else None

    def _ask(self) -> None:
        head, tail = CALL_PARTS[self._position % len(CALL_PARTS)]
        message_id = b"%036d" % self._position
        self._position += 1
        self._wanted = ANSWER_PARTS[0] + message_id + ANSWER_PARTS[1]
        self._asked = time.perf_counter()
        try:
            self._sock.send(head + message_id + tail)
        except OSError:
            self._lost()

    def _take_answer(self) -> None:
        data = self._received()
        self._unread += data
        if not data or (len(self._unread) >= len(self._wanted) and self._unread != self._wanted):
            self._lost()  # also by a Close frame, which is no answer
        elif self._unread == self._wanted:
            self._unread = b""
            self._fleet.seen.round_trips_s.append(time.perf_counter() - self._asked)
            self._fleet.at(self._asked + self._fleet.interval_s, self._asker(self._sock))

    def _lost(self) -> None:
        self._fleet.up -= 1
        self._fleet.seen.lost += 1
        self._fleet.forget(self._sock)
        self._come_back(RETRY_S)

    def _come_back(self, after_s: float) -> None:
        self._fleet.at(time.perf_counter() + after_s * (1 + random.random()), self.connect)

    def _received(self) -> bytes:
        try:
            return self._sock.recv(65536)
        except ConnectionError:
            return b""


def percentile(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile of sorted values; 0 of none."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


if __name__ == "__main__":
    raise_descriptor_limit()
    Fleet(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).serve()
