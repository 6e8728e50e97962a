"""Messages as they pass, for people who watch: never a reason for the relay to wait, and free while nobody does.

A connection that can be watched has a `tap`, None while nobody watches it. What a tap hears goes into the queue of each
watcher; a queue that is full takes no more and counts what it missed. Texts are as they came: redaction is the
watcher's, outside the relay.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

import msgspec
import trio

from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.ports import Wire, WireClosed

MOST_WATCHERS: Final = 8
MOST_QUEUED: Final = 1000  # messages a watcher
MOST_QUEUED_CHARACTERS: Final = 1024 * 1024
_MOST_UNDER_WAY: Final = 256  # two directions of 64 waiting CALLs, and then some


class TooManyWatchers(Exception):
    """No more can watch at the same time."""


class Passed(msgspec.Struct, frozen=True):
    """A message that passed at `at`; `direction` is `from-` or `to-` `station` or `supervision`.

    A message that the agent passes on is told once, where it came from; `to-` is what the agent itself wrote.
    `dropped` says why it went nowhere.
    """

    at: datetime
    station: str
    direction: str
    text: str
    dropped: str | None = None


class Tappable(Protocol):
    """A connection that tells its tap, while there is one, of all that passes."""

    tap: "Tap | None"


class Watcher:
    """The queue of one who watches `station`, or all (None)."""

    def __init__(self, station: str | None) -> None:
        self.station = station
        self._queue: deque[Passed] = deque()
        self._characters = 0
        self._missed = 0
        self._filled = trio.Event()

    def put(self, passed: Passed) -> None:
        """Queue a message, or count it as missed."""
        is_full = len(self._queue) >= MOST_QUEUED or self._characters >= MOST_QUEUED_CHARACTERS
        if is_full:
            self._missed += 1
        else:
            self._queue.append(passed)
            self._characters += len(passed.text)
        self._filled.set()

    async def take(self, most: int) -> tuple[list[Passed], int]:
        """Wait for messages, and return up to `most` of them, and how many were missed since the last call."""
        await self._filled.wait()
        batch = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        self._characters -= sum(len(passed.text) for passed in batch)
        if not self._queue:
            self._filled = trio.Event()
            missed, self._missed = self._missed, 0
            return batch, missed
        return batch, 0


class Tap:
    """What one station's connection tells of what passes."""

    def __init__(self, station: str, now: Callable[[], datetime], put: Callable[[Passed], None]) -> None:
        self._station = station
        self._now = now
        self._put = put
        # Of what came and may be passed on: by identity, since the very object that came is what leaves.
        self._under_way: deque[tuple[int, int, Side]] = deque(maxlen=_MOST_UNDER_WAY)

    def received(self, side: Side, text: str) -> None:
        """A message came from `side`."""
        self._under_way.append((id(text), hash(text), side.other))
        self._tell(f"from-{side.name.lower()}", text)

    def sent(self, side: Side, text: str) -> None:
        """A message leaves for `side`; one that came is not told twice."""
        if (id(text), hash(text), side) not in self._under_way:
            self._tell(f"to-{side.name.lower()}", text)

    def dropped(self, side: Side, why: str, text: str) -> None:
        """A message of `side` goes nowhere."""
        self._tell(f"from-{side.name.lower()}", text, why)

    def _tell(self, direction: str, text: str, dropped: str | None = None) -> None:
        self._put(Passed(self._now(), self._station, direction, text, dropped))


class WatchedWire:
    """A station's wire that can be watched (see `ports.Wire`); for stations that the agent itself serves."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.tap: Tap | None = None

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed."""
        return self._wire.protocol

    @property
    def last_heard(self) -> float:
        """When the last byte came, on trio's clock."""
        return self._wire.last_heard

    async def receive(self) -> str | WireClosed:
        """Return the next text, or how the connection ended."""
        received = await self._wire.receive()
        if self.tap is not None and isinstance(received, str):
            self.tap.received(Side.STATION, received)
        return received

    async def send(self, text: str) -> None:
        """Write `text`; raises WireLost."""
        await self._wire.send(text)
        if self.tap is not None:
            self.tap.sent(Side.STATION, text)

    async def ping(self) -> None:
        """Write a ping; raises WireLost."""
        await self._wire.ping()

    async def close(self, code: int, reason: str) -> None:
        """Close handshake and socket, both bounded; never raises."""
        await self._wire.close(code, reason)


class Tail:
    """Who watches, and what can be watched."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._watchers: list[Watcher] = []
        self._joined: dict[Tappable, str] = {}

    @contextmanager
    def watch(self, station: str | None) -> Iterator[Watcher]:
        """Watch `station`, or all, until the block ends. Raises TooManyWatchers."""
        if len(self._watchers) >= MOST_WATCHERS:
            raise TooManyWatchers(f"{MOST_WATCHERS} watch already")
        watcher = Watcher(station)
        self._watchers.append(watcher)
        self._place_taps()
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)
            self._place_taps()

    @contextmanager
    def joined(self, station: str, connection: Tappable) -> Iterator[None]:
        """Let `connection` of `station` be watched until the block ends."""
        self.join(station, connection)
        try:
            yield
        finally:
            self.leave(connection)

    def join(self, station: str, connection: Tappable) -> None:
        """Let `connection` of `station` be watched until `leave`."""
        self._joined[connection] = station
        self._place_tap(connection, station)

    def leave(self, connection: Tappable) -> None:
        """Let `connection` not be watched any more."""
        del self._joined[connection]
        connection.tap = None

    def _place_taps(self) -> None:
        for connection, station in self._joined.items():
            self._place_tap(connection, station)

    def _place_tap(self, connection: Tappable, station: str) -> None:
        is_watched = any(watcher.station in (None, station) for watcher in self._watchers)
        if not is_watched:
            connection.tap = None
        elif connection.tap is None:
            connection.tap = Tap(station, self._now, self._put)

    def _put(self, passed: Passed) -> None:
        for watcher in self._watchers:
            if watcher.station in (None, passed.station):
                watcher.put(passed)
