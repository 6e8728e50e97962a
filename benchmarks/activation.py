"""A bundle that takes over on a busy site: from the file to the switch, and what other stations feel of it (rule 43).

500 stations are relayed and ask at their pace. A bundle is laid down in which something of all of them differs (a
timeout, which touches no connection) and of one more its supervision's URL, which closes its connection with the
switch: that is seen from outside. Round trips of the others beside it are held against those in quiet.
"""

import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.load_generator import HANDSHAKE_END
from benchmarks.machine import cores, describe, free_port
from benchmarks.peers import Seen, Stations, stations, supervision
from benchmarks.relaying import agent_on, compiled

STATIONS: Final = 500
INTERVAL_S: Final = 0.5
ROUNDS: Final = 9
WINDOW_S: Final = 1.0
SWITCH_GOAL_MS: Final = 100.0
STALL_GOAL_MS: Final = 20.0
BUSY_MS: Final = 20.0
"""Where the longest round trip in quiet is above, the machine does other things, and nothing can be said."""
UP_WITHIN_S: Final = 60.0
WATCHED: Final = "CP-9999"

_SITE: Final = """\
version: 1
site: benchmark
timeZone: UTC
supervision: multiple
activation: {{spread: 0, probation: 10}}
supervisions:
  acme: {{url: "ws://localhost:{supervision}/acme", pingInterval: 60, messageTimeout: {timeout}}}
  watched: {{url: "ws://localhost:{supervision}/{path}", pingInterval: 60}}
groups:
  acme: {{operator: acme, stations: [{names}]}}
  watched: {{operator: watched, stations: [{watched}]}}
stations: {{{stations}}}
listeners: {{lan: {{address: 127.0.0.1, port: {listener}}}}}
"""
_OPENING: Final = (
    f"GET /ocpp/{WATCHED} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
).encode()


@dataclass(frozen=True, slots=True)
class Round:
    """One activation: ms to the switch, and the round trips in quiet and beside it."""

    switched_ms: float
    quiet: Seen
    beside: Seen

    @property
    def stall_ms(self) -> float:
        """How much longer the longest round trip was than the longest in quiet."""
        return max(0.0, self.beside.longest_ms - self.quiet.longest_ms)


def measure(folder: Path) -> list[Round]:
    """Return what each round saw; `folder` is empty and ours for the time."""
    listener, upstream = free_port(), free_port()
    bundles = [_bundle(folder, listener, upstream, number) for number in range(ROUNDS + 1)]
    with (
        supervision(upstream, core=cores()[1]),
        agent_on(folder, bundles[0], listener) as agent,
        stations(listener, STATIONS, INTERVAL_S, core=cores()[1]) as others,
    ):
        _wait_up(others)
        return [_round(agent.pid, others, listener, bundles[0], bundle) for bundle in bundles[1:]]


def report(rounds: list[Round]) -> str:
    """Return the figures as Markdown."""
    switched, stall = median(each.switched_ms for each in rounds), median(each.stall_ms for each in rounds)
    quiet = median(each.quiet.longest_ms for each in rounds)
    lost = sum(each.beside.lost for each in rounds)
    lines = [
        "# A bundle that takes over",
        "",
        *(f"* {fact}" for fact in describe()),
        "",
        f"{STATIONS} relayed stations, a request each {INTERVAL_S:g} s; medians of {len(rounds)} activations, in ms. "
        f"`busy`: the longest round trip in quiet was over {BUSY_MS:g} ms already, for the machine had other work.",
        "",
        "| figure | value | longest | at most | verdict |",
        "| --- | --- | --- | --- | --- |",
        f"| from the file to the switch | {switched:.1f} | {max(each.switched_ms for each in rounds):.1f} "
        f"| {SWITCH_GOAL_MS:g} | {_verdict(switched <= SWITCH_GOAL_MS, quiet)} |",
        f"| what it adds to the longest round trip | {stall:.1f} | {max(each.stall_ms for each in rounds):.1f} "
        f"| {STALL_GOAL_MS:g} | {_verdict(stall <= STALL_GOAL_MS, quiet)} |",
        f"| longest round trip in quiet | {quiet:.1f} | {max(each.quiet.longest_ms for each in rounds):.1f} | | |",
        f"| other connections lost | {lost} | | 0 | {'met' if lost == 0 else 'MISSED'} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="pointsman-activation-") as folder:
        printed = report(measure(Path(folder)))
    print(printed, end="")
    return int("MISSED" in printed)


def _verdict(is_met: bool, quiet_ms: float) -> str:
    return "met" if is_met else "busy" if quiet_ms > BUSY_MS else "MISSED"


def _bundle(folder: Path, listener: int, upstream: int, number: int) -> Path:
    """Compile the bundle of a round; every one differs from the one before."""
    sites = folder / "sites"
    sites.mkdir(exist_ok=True)
    names = [f"CP-{station:04}" for station in range(STATIONS)]
    site = _SITE.format(
        supervision=upstream,
        listener=listener,
        timeout=30 + number % 2,
        path=f"watched-{number}",
        names=", ".join(names),
        stations=", ".join(f"{name}: {{pingInterval: 0}}" for name in (*names, WATCHED)),
        watched=WATCHED,
    )
    return compiled(sites, site, folder / f"round-{number}", sequence=number + 1)


def _round(pid: int, others: Stations, port: int, in_use: Path, bundle: Path) -> Round:
    others.ask()
    time.sleep(WINDOW_S)
    quiet = others.ask()
    with _connected(port) as watched:
        others.ask()
        began = time.perf_counter()
        os.replace(bundle, in_use)
        os.kill(pid, signal.SIGHUP)
        if not watched.recv(1):
            raise SystemExit(f"{WATCHED} was dropped without a Close frame")
        switched_s = time.perf_counter() - began
        time.sleep(max(0.0, WINDOW_S - switched_s))
        beside = others.ask()
    return Round(switched_s * 1000, quiet, beside)


def _connected(port: int) -> socket.socket:
    """Return the socket of the watched station, its handshake done."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=UP_WITHIN_S)
    sock.sendall(_OPENING)
    head = b""
    while HANDSHAKE_END not in head:
        data = sock.recv(4096)
        if not data:
            raise SystemExit(f"{WATCHED} is refused: {head!r}")
        head += data
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"{WATCHED} is refused: {head!r}")
    return sock


def _wait_up(others: Stations) -> None:
    end = time.monotonic() + UP_WITHIN_S
    while others.ask().up < STATIONS:
        if time.monotonic() > end:
            raise SystemExit(f"not all of {STATIONS} stations are up within {UP_WITHIN_S:g} s")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
