"""What must be true of a link: every text arrives, in order and unaltered, until its end. Each is checked by hash."""

import hashlib
import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

import trio

MOST_FAULTS_KEPT: Final = 20


class Direction:
    """What was sent one way and has yet to arrive. `has_call`: its sender has a CALL open, as OCPP allows one."""

    def __init__(self) -> None:
        self.bytes_under_way = 0
        self.has_call = False
        self._under_way: deque[tuple[bytes, int]] = deque()

    def sent(self, text: bytes) -> None:
        """Note a text, before its first byte leaves."""
        self._under_way.append((_digest(text), len(text)))
        self.bytes_under_way += len(text)

    def arrived(self, text: bytes) -> bool:
        """Whether this is the very text that must be next."""
        if not self._under_way:
            return False
        digest, size = self._under_way.popleft()
        self.bytes_under_way -= size
        return digest == _digest(text)

    def __len__(self) -> int:
        return len(self._under_way)


@dataclass(slots=True)
class Ledger:
    """What a process of peers has seen so far."""

    texts: int = 0
    bytes: int = 0
    cut_off: int = 0
    links: int = 0
    refused: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def line(self, live: int) -> str:
        """Return all as a line of JSON; `live` links have not ended yet."""
        return json.dumps(
            {
                "texts": self.texts,
                "bytes": self.bytes,
                "cut_off": self.cut_off,
                "links": self.links,
                "refused": self.refused,
                "live": live,
                "ends": dict(self.ends),
                "faults": self.faults,
            }
        )

    def fault(self, what: str) -> None:
        """Note what must not be; the first ones are kept."""
        self.ends["faults"] += 1
        if len(self.faults) < MOST_FAULTS_KEPT:
            self.faults.append(what)


class Link:
    """One station's connection and the uplink that the agent made for it.

    `plan` is how it is to end. `complete`: the directions of which nothing may be missing at the end; the side that
    closes in order names its own.
    """

    def __init__(self, name: str, plan: str, ledger: Ledger) -> None:
        self.name = name
        self.plan = plan
        self.up, self.down = Direction(), Direction()
        self.complete: list[Direction] = []
        self.is_ending = False
        self.ended_by = ""
        self.station_over = trio.Event()
        self.uplink_over = trio.Event()
        self._ledger = ledger

    def arrived(self, direction: Direction, text: bytes) -> None:
        """Check a text that came."""
        self._ledger.texts += 1
        self._ledger.bytes += len(text)
        if not direction.arrived(text):
            way = "up" if direction is self.up else "down"
            self._ledger.fault(
                f"{self.name} ({self.plan}): another text {way} than the one that was sent: {text[:60]!r}"
            )

    def judge(self) -> None:
        """Both ends are over: nothing may be missing of what was to be complete."""
        for direction in self.complete:
            if direction:
                way = "up" if direction is self.up else "down"
                self._ledger.fault(f"{self.name} ({self.plan}): {len(direction)} texts lost {way}")
        self._ledger.cut_off += len(self.up) + len(self.down)
        self._ledger.ends[self.plan if self.is_ending else f"unexpected: {self.ended_by}"] += 1
        if not self.is_ending:
            self._ledger.fault(f"{self.name} ({self.plan}) ended by itself: {self.ended_by}")


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
