"""What changes on the controller, told to those who follow it.

The status is looked at twice a second while somebody follows, and less often where looking takes long, so that
followers never cost more than a twentieth of the agent's time.

A follower has no queue. It knows which version of the status it has told, and asks for what is newer; one that does not
read misses nothing but the states in between, and holds up nobody.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

LOOK_EVERY_S: Final = 0.5
REST: Final = 20  # times as long as a look took
MOST_FOLLOWERS: Final = 16
SIGN_OF_LIFE_EVERY_S: Final = 5.0
_PASSING: Final = frozenset({"lastReceived", "lastSent"})
"""Of a station's row: what changes with every message, and is no news but to who follows that station alone."""

Row = dict[str, Any]


class TooManyFollowers(Exception):
    """No more can follow at the same time."""


@dataclass(frozen=True, slots=True)
class News:
    """What a follower was not told yet: `status` is the object of `GET /api/status` without its stations, None when it
    is as it was; `stations` those that changed, all of them where `is_whole`."""

    status: Row | None
    stations: list[Row]
    is_whole: bool


@dataclass(slots=True)
class _Station:
    """A station's row, since which version it is so, and since when but for what passes."""

    row: Row
    changed: int
    told: int


class Live:
    """The status as it was looked at last, by versions."""

    def __init__(self, snapshot: Callable[[], Awaitable[Row]]) -> None:
        self._snapshot = snapshot
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
    async def following(self, station: str | None) -> "AsyncIterator[Follower]":
        """Follow all, or one station, until the block ends. Raises TooManyFollowers."""
        if self._followers >= MOST_FOLLOWERS:
            raise TooManyFollowers(f"{MOST_FOLLOWERS} follow already")
        self._followers += 1
        self._is_followed.set()
        try:
            yield Follower(self, station)
        finally:
            self._followers -= 1
            if not self._followers:
                self._is_followed = trio.Event()

    async def next_look(self) -> None:
        """Wait until the status was looked at once more."""
        await self._looked.wait()

    def news(self, since: int, station: str | None) -> tuple[int, News]:
        """Return the version of the last look, and what is newer than the version `since`."""
        status = self._status if self._status_version > since else None
        if station is not None:
            found = self._stations.get(station)
            rows = [found.row] if found is not None and found.changed > since else []
            return self._version, News(status, rows, is_whole=False)
        is_whole = self._whole_version > since
        rows = [each.row for each in self._stations.values() if is_whole or each.told > since]
        return self._version, News(status, rows, is_whole=is_whole)

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
                if any(value != known.row.get(key) for key, value in row.items() if key not in _PASSING):
                    known.told = self._version
                known.row = row


class Follower:
    """One who follows."""

    def __init__(self, live: Live, station: str | None) -> None:
        self._live = live
        self._station = station
        self._version = 0

    async def next_look(self) -> None:
        """Wait until there may be news."""
        await self._live.next_look()

    def take(self) -> News | None:
        """Return what this follower was not told yet; None when there is nothing."""
        self._version, news = self._live.news(self._version, self._station)
        return news if news.status is not None or news.stations or news.is_whole else None

    async def next(self) -> News | None:
        """Wait for news, for a bounded time; None when there were none."""
        with trio.move_on_after(SIGN_OF_LIFE_EVERY_S):
            while True:
                await self.next_look()
                news = self.take()
                if news is not None:
                    return news
        return None
