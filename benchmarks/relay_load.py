"""Stations and their supervision in one process of its own: `python -m benchmarks.relay_load SCENARIO` (JSON).

Each station has one request open, as OCPP wants it, and sends the next when the answer is there: as much load as a
relay can take. Or a burst of requests in one segment; or requests at a steady pace. Every answer is compared byte for
byte. Prints a JSON list, a `Seen` for each number of stations. The supervision's listening socket is inherited: it
stays open between rounds, for a relay may look whether it is there.
"""

import base64
import gc
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import certificates
from benchmarks.load_generator import (
    ANSWER_PARTS,
    CALL_PARTS,
    HANDSHAKE_END,
    ConnectionEnded,
    Load,
    prepare,
    received,
)
from benchmarks.machine import cpu_seconds, resident_bytes
from benchmarks.relaying import PASSWORD

READY_WITHIN_S: Final = 40.0
HANDSHAKES_AT_ONCE: Final = 64
SETTLED_S: Final = 0.1  # between the last handshake and the load


class Work(msgspec.Struct, frozen=True):
    """One load on all stations that are connected."""

    seconds: float
    burst: int = 1
    """Requests of a station in one segment; the next ones when all of them are answered."""
    calls_a_second: float | None = None
    """None: as many as the relay takes."""
    at_once: int = 1
    """At a steady pace: how many stations ask at the same moment."""


class Scenario(msgspec.Struct, frozen=True):
    """What is done: `stations` are numbers to have connected, one after the other, and each gets all of `works`."""

    relay: int
    pid: int
    supervision: int
    stations: list[int]
    works: list[Work]
    certificates: str | None = None


class Worked(msgspec.Struct, frozen=True):
    """What one load came to."""

    cpu_us: float
    """The relay's CPU time a message; a message is one text in one direction."""
    messages_a_second: float
    share: float
    """How busy the relay was, 0 to 1: under full load, what it got of its core."""
    own_share: float
    """How busy this process was, 0 to 1: at 1 the relay was not."""
    p50_us: float
    p99_us: float


class Seen(msgspec.Struct, frozen=True):
    """What one number of stations came to."""

    stations: int
    connect_cpu_us: float
    """The relay's CPU time for each station that connected in this step."""
    resident_bytes: int
    """The relay's memory after all loads."""
    works: list[Worked]


WARM_UP: Final = Work(0.3)


class Station:
    """One station. `ask` sends what `burst` says; what comes back must be what was asked for."""

    def __init__(self, load: "RelayLoad", number: int) -> None:
        self._load = load
        self._burst = 0
        self._position = number  # not all begin at the same request
        self._wanted = b""
        self._unread = b""
        self._asked = 0.0
        self._sock = load.connected()
        credentials = base64.b64encode(b"CP-%04d:%b" % (number, PASSWORD))
        self._sock.send(
            b"GET /ocpp/CP-%04d HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: Basic %b\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n" % (number, credentials)
        )
        load.watch(self._sock, self._handshake)

    def ask(self) -> None:
        """Send the next request, or burst of them."""
        request = answer = b""
        self._burst = self._load.work.burst
        for _ in range(self._burst):
            head, tail = CALL_PARTS[self._position % len(CALL_PARTS)]
            message_id = b"%036d" % self._position
            self._position += 1
            request += head + message_id + tail
            answer += ANSWER_PARTS[0] + message_id + ANSWER_PARTS[1]
        self._wanted = answer
        self._asked = time.perf_counter()
        self._sock.send(request)

    def _handshake(self) -> None:
        self._unread += received(self._sock)
        if HANDSHAKE_END not in self._unread:
            return
        if not self._unread.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"the relay refused a station: {self._unread[:60]!r}")
        self._unread = b""
        self._load.ready += 1
        self._load.handlers[self._sock.fileno()] = self._take_answer

    def _take_answer(self) -> None:
        data = received(self._sock)
        if data != self._wanted:
            data = self._unread + data
            if len(data) < len(self._wanted):
                self._unread = data
                return
            if data != self._wanted:  # no other request is open, so nothing else can come
                raise SystemExit(f"the relay changed an answer: {data!r}, not {self._wanted!r}")
            self._unread = b""
        self._load.messages += self._burst
        self._load.answered(self, self._asked)


class RelayLoad(Load):
    """The whole load of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        folder = None if scenario.certificates is None else Path(scenario.certificates)
        tls = None if folder is None else certificates.of_supervision(folder)
        super().__init__(socket.socket(fileno=scenario.supervision), tls=tls)
        self.scenario = scenario
        self.work = WARM_UP
        self._stations_tls = None if folder is None else certificates.of_stations(folder)
        self._stations: list[Station] = []
        self._idle: deque[Station] = deque()
        self._round_trips_s: list[float] = []
        self._is_ending = False

    def connected(self) -> socket.socket:
        """Return a station's socket at the relay. TLS shakes hands here, so that the load stays simple: this waits."""
        sock = socket.create_connection(("127.0.0.1", self.scenario.relay))
        if self._stations_tls is not None:
            sock = self._stations_tls.wrap_socket(sock, server_hostname="localhost")
        prepare(sock)
        return sock

    def answered(self, station: Station, asked: float) -> None:
        """`station` has no request open any more."""
        if self.work.calls_a_second is not None:
            self._round_trips_s.append(time.perf_counter() - asked)
            self._idle.append(station)
        elif self._is_ending:
            self._idle.append(station)
        else:
            station.ask()

    def run(self) -> list[Seen]:
        """Do the scenario; a relay that ends a connection fails it."""
        return [self._step(number) for number in self.scenario.stations]

    def _step(self, number: int) -> Seen:
        connect_cpu_us = self._connect(number)
        self._do(WARM_UP)
        works = [self._do(work) for work in self.scenario.works]
        return Seen(number, connect_cpu_us, resident_bytes(self.scenario.pid), works)

    def _connect(self, number: int) -> float:
        """Connect until there are `number` stations, a few at once; return the relay's CPU time a station in µs."""
        before, cpu_s = len(self._stations), cpu_seconds(self.scenario.pid)
        end = time.perf_counter() + READY_WITHIN_S
        while self.ready < number:
            while len(self._stations) < min(number, self.ready + HANDSHAKES_AT_ONCE):
                self._stations.append(Station(self, len(self._stations)))
                self.turn(0)
            self.turn(0.05)
            if time.perf_counter() > end:
                raise SystemExit(f"{self.ready} of {number} stations connected within {READY_WITHIN_S:g} s")
        self.run_until(time.perf_counter() + SETTLED_S)
        return (cpu_seconds(self.scenario.pid) - cpu_s) / (number - before) * 1e6

    def _do(self, work: Work) -> Worked:
        """Put one load on the relay; at its end no request is open."""
        self.work, self._is_ending = work, False
        self._round_trips_s.clear()
        self._idle = deque(self._stations)
        messages, cpu_s, own_s, began = self._moment()
        if work.calls_a_second is None:
            self._push(began + work.seconds)
        else:
            self._pace(work, began, work.calls_a_second)
        self._await_answers()  # or work would count whose messages do not
        messages_then, cpu_s_then, own_s_then, ended = self._moment()
        trips = sorted(self._round_trips_s)
        return Worked(
            cpu_us=(cpu_s_then - cpu_s) / (messages_then - messages) * 1e6,
            messages_a_second=(messages_then - messages) / (ended - began),
            share=(cpu_s_then - cpu_s) / (ended - began),
            own_share=(own_s_then - own_s) / (ended - began),
            p50_us=percentile(trips, 50) * 1e6,
            p99_us=percentile(trips, 99) * 1e6,
        )

    def _moment(self) -> tuple[int, float, float, float]:
        """Messages so far, CPU time of the relay and of this process, and the time."""
        return self.messages, cpu_seconds(self.scenario.pid), time.process_time(), time.perf_counter()

    def _push(self, end: float) -> None:
        while self._idle:
            self._idle.popleft().ask()
        self.run_until(end)

    def _pace(self, work: Work, began: float, rate: float) -> None:
        for number in range(round(work.seconds * rate)):
            due = began + number // work.at_once * work.at_once / rate
            while time.perf_counter() < due or not self._idle:
                self.turn(0)  # epoll counts in milliseconds, which is too coarse: this never sleeps
            self._idle.popleft().ask()

    def _await_answers(self) -> None:
        self._is_ending = True
        self.run_until(time.perf_counter() + READY_WITHIN_S, lambda: len(self._idle) == len(self._stations))
        if len(self._idle) < len(self._stations):
            raise SystemExit(f"{len(self._stations) - len(self._idle)} requests stay unanswered")


def percentile(ordered: list[float], percent: int) -> float:
    """Return the nearest-rank percentile of sorted values, 0 of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def main(scenario: str) -> None:
    """Do the scenario and print what was seen."""
    load = RelayLoad(msgspec.json.decode(scenario, type=Scenario))
    gc.disable()  # a pass of it would be seen as the relay's latency
    try:
        seen = load.run()
    except (ConnectionEnded, ConnectionError):
        raise SystemExit("the relay closed a connection") from None
    print(msgspec.json.encode(seen).decode())


if __name__ == "__main__":
    main(sys.argv[1])
