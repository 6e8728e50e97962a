"""What changes on the controller, told to those who follow it.

The status is looked at four times a second while somebody follows, and less often where looking and telling take long,
so that followers never cost more than a twentieth of the agent's time.

A follower has no queue. It knows which version of the status it has told, and asks for what is newer; one that does not
read misses nothing but the states in between, and holds up nobody.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
import trio

LOOK_EVERY_S: Final = 0.25
REST: Final = 20  # times as long as a look took
MOST_FOLLOWERS: Final = 16
SIGN_OF_LIFE_EVERY_S: Final = 5.0
_PASSING: Final = frozenset({"lastReceived", "lastSent"})
"""Of a station's row: what changes with every message, and is no news but to who follows that station alone."""

Row = dict[str, Any]

log = structlog.get_logger()


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
    """The status as it was looked at last, by versions. `spent` tells the processor's time that the thread which asks
    has used, in seconds."""

    def __init__(self, snapshot: Callable[[], Awaitable[Row]], spent: Callable[[], float] = time.thread_time) -> None:
        self._snapshot = snapshot
        self._spent = spent
        self._followers = 0
        self._is_followed = trio.Event()
        self._looked = trio.Event()
        self._version = 0
        self._status: Row = {}
        self._status_version = 0
        self._stations: dict[str, _Station] = {}
        self._whole_version = 0
        self._one_at_a_time = trio.Lock()
        self._spent_s = 0.0  # on looking and telling, lately

    async def run(self) -> None:
        """Look while somebody follows, until cancelled. A boundary of errors: no page ends an agent."""
        while True:
            await self._is_followed.wait()
            began = self._spent()
            try:
                self._take(await self._snapshot())
            except Exception:
                log.exception("status not looked at")
                await trio.sleep(SIGN_OF_LIFE_EVERY_S)
                continue
            looked, self._looked = self._looked, trio.Event()
            looked.set()
            self._spent_s += self._spent() - began
            await trio.sleep(LOOK_EVERY_S)
            spent_s, self._spent_s = self._spent_s, 0.0
            await trio.sleep(max(0.0, REST * spent_s - LOOK_EVERY_S))

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

    async def tell(self, say: Callable[[], bytes]) -> bytes:
        """Return what `say` makes of news, in a thread, and count what that took."""

        def counted() -> tuple[bytes, float]:
            began = self._spent()
            return say(), self._spent() - began

        async with self._one_at_a_time:
            said, spent_s = await trio.to_thread.run_sync(counted)
        self._spent_s += spent_s
        return said

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

    async def tell(self, say: Callable[[], bytes]) -> bytes:
        """Return what `say` makes of news; it is called in a thread."""
        return await self._live.tell(say)

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
