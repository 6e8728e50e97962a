"""What changes on the controller, told to those who follow it.

The status is looked at twice a second while somebody follows, and less often where looking takes long, so that
followers never cost more than a twentieth of the agent's time. What is new in it is told by its name:

    status      the object of `GET /api/status` without its stations
    stations    stations that changed; with `whole`, all there are
    log         a log line
    message     a message of the one station that is followed, as `tail` shows it

A follower has no queue. It knows which version of the status it has told, and asks for what is newer; one that does not
read misses nothing but the states in between, and holds up nobody.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

from pointsman_agent.capture import Capture
from pointsman_agent.happenings import Happenings

LOOK_EVERY_S: Final = 0.5
REST: Final = 20  # times as long as a look took
MOST_FOLLOWERS: Final = 16
SIGN_OF_LIFE_EVERY_S: Final = 5.0
MOST_LINES: Final = 100  # of the log, to who begins to follow
_PASSING: Final = frozenset({"lastReceived", "lastSent"})
"""Of a station's row: what changes with every message, and is no news but to who follows that station alone."""

Row = dict[str, Any]
Event = tuple[str, object]


class TooManyFollowers(Exception):
    """No more can follow at the same time."""


@dataclass(slots=True)
class _Station:
    """A station's row, since which version it is so, and since when but for what passes."""

    row: Row
    changed: int
    told: int


class Live:
    """The status as it was looked at last, by versions."""

    def __init__(self, snapshot: Callable[[], Awaitable[Row]], happenings: Happenings) -> None:
        self._snapshot = snapshot
        self._happenings = happenings
        self._followers = 0
        self._is_followed = trio.Event()
        self._looked = trio.Event()
        self._version = 0
        self._status: Row = {}
        self._status_version = 0
        self._stations: dict[str, _Station] = {}
        self._whole_version = 0

    async def run(self) -> None:
        """Look while somebody follows, until cancelled."""
        while True:
            await self._is_followed.wait()
            began = trio.current_time()
            self._take(await self._snapshot())
            looked, self._looked = self._looked, trio.Event()
            looked.set()
            await trio.sleep(max(LOOK_EVERY_S, REST * (trio.current_time() - began)))

    @asynccontextmanager
    async def following(
        self, station: str | None, look: Callable[[], Capture | None] = lambda: None
    ) -> "AsyncIterator[Follower]":
        """Follow all, or one station and what `look` returns of its messages. Raises TooManyFollowers."""
        if self._followers >= MOST_FOLLOWERS:
            raise TooManyFollowers(f"{MOST_FOLLOWERS} follow already")
        self._followers += 1
        self._is_followed.set()
        try:
            await self._looked.wait()
            yield Follower(self, self._happenings, station, look)
        finally:
            self._followers -= 1
            if not self._followers:
                self._is_followed = trio.Event()

    async def wait(self) -> None:
        """Wait for the next look."""
        await self._looked.wait()

    def news(self, since: int, station: str | None) -> Iterator[Event]:
        """Yield what is newer than the version `since`."""
        if self._status_version > since:
            yield "status", self._status
        if station is not None:
            found = self._stations.get(station)
            if found is not None and found.changed > since:
                yield "stations", {"whole": False, "stations": [found.row]}
        elif self._whole_version > since:
            yield "stations", {"whole": True, "stations": [each.row for each in self._stations.values()]}
        elif changed := [each.row for each in self._stations.values() if each.told > since]:
            yield "stations", {"whole": False, "stations": changed}

    @property
    def version(self) -> int:
        """Of the last look."""
        return self._version

    def _take(self, status: Row) -> None:
        self._version += 1
        rows = {row["station"]: row for row in status.pop("stations")}
        if status != self._status:
            self._status, self._status_version = status, self._version
        if rows.keys() != self._stations.keys():
            self._whole_version = self._version
            self._stations = {name: _Station(row, self._version, self._version) for name, row in rows.items()}
            return
        for name, row in rows.items():
            known = self._stations[name]
            if row != known.row:
                known.changed = self._version
                if any(value != known.row[key] for key, value in row.items() if key not in _PASSING):
                    known.told = self._version
                known.row = row


class Follower:
    """One who follows: `events` returns what it was not told yet."""

    def __init__(
        self, live: Live, happenings: Happenings, station: str | None, look: Callable[[], Capture | None]
    ) -> None:
        self._live = live
        self._happenings = happenings
        self._station = station
        self._look = look
        self._version = 0
        self._lines = max(0, happenings.count - MOST_LINES)
        self._messages = 0
        self._capture: Capture | None = None

    async def next_chunk(self) -> bytes:
        """Wait for news, for a bounded time, and return it as a server sends events (HTML standard, section 9.2)."""
        events = self._events()
        with trio.move_on_after(SIGN_OF_LIFE_EVERY_S):
            while not events:
                await self._live.wait()
                events = self._events()
        return b"".join(_event(*event) for event in events) or b": nothing new\n\n"

    def _events(self) -> list[Event]:
        events = list(self._live.news(self._version, self._station))
        self._version = self._live.version
        if self._station is None:
            events += [("log", row) for row in self._happenings.since(self._lines)]
            self._lines = self._happenings.count
        capture = self._look()
        if capture is not self._capture:
            self._capture, self._messages = capture, 0
        if capture is not None:
            events += [("message", row) for row in capture.beyond(self._messages)]
            self._messages = capture.count
        return events


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
