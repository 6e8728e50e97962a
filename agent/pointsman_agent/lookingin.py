"""What people are shown of messages and of the security log over the admin interface, redacted (rules 50 and 52)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import trio

from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.entries import BundleEvent, SecurityEvent
from pointsman_agent.inforce import Holder
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import JournalFault
from pointsman_agent.redaction import Redactor
from pointsman_agent.tail import Passed, Tail, TooManyWatchers, Watcher
from pointsman_agent.web.diagnosis import Row
from pointsman_agent.web.errors import AdminError, no_such_station
from pointsman_agent.web.streaming import NextChunk

MOST_IN_A_BATCH: Final = 64
MOST_IN_A_REPORT: Final = 100_000  # events; a report is one answer of the admin interface
SIGN_OF_LIFE_EVERY_S: Final = 5.0  # an empty line: who watches knows that the agent lives, and the agent who watches

Event = TypeVar("Event")

ReadSecurityLog = Callable[[str, int], Awaitable[list[tuple[str, SecurityEvent]]]]
"""From which moment on (RFC 3339, UTC) and how many at most, the newest → times of receipt and events, oldest first.
Raises JournalFault."""


@dataclass(frozen=True, slots=True)
class Watching:
    """Lets people watch messages as they pass."""

    holder: Holder
    tail: Tail
    redactor: Redactor

    @asynccontextmanager
    async def watch(self, station: str | None) -> AsyncIterator[NextChunk]:
        """Yield what returns the next lines, for `station` or all, each an object of the API. Raises AdminError."""
        identity = None if station is None else self._identity(station)
        with ExitStack() as stack:
            try:
                watcher = stack.enter_context(self.tail.watch(identity))
            except TooManyWatchers as error:
                raise AdminError(503, str(error)) from error
            yield partial(_next_lines, watcher, self.redactor)

    def _identity(self, station: str) -> str:
        route = self.holder.find(station)
        if route is None:
            raise no_such_station(station)
        return route.identity


ReadBundleLog = Callable[[str, int], Awaitable[list[tuple[str, BundleEvent]]]]
"""As `ReadSecurityLog`."""


@dataclass(frozen=True, slots=True)
class SecurityLog:
    """Shows the security log, at most `most` of it: events of stations, and the agent's own."""

    read: ReadSecurityLog
    redactor: Redactor
    most: int = MOST_IN_A_REPORT

    async def rows(self, since: str | None) -> tuple[Iterator[Row], bool]:
        """Return the newest events received from `since` on (RFC 3339; None: all), oldest first, and whether older ones
        were left out. Redacts while one iterates: for a thread. Raises AdminError."""
        events, is_cut = await _read_log(self.read, since, self.most)
        return (self._row(received, event) for received, event in events), is_cut

    def _row(self, received: str, event: SecurityEvent) -> Row:
        return {
            "at": received,
            "station": event.station,
            "type": event.kind,
            "detail": self.redactor.words(event.detail),
            "stationTime": event.timestamp or None,
        }


@dataclass(frozen=True, slots=True)
class BundleLog:
    """Shows what became of bundles, at most `most` events of it."""

    read: ReadBundleLog
    most: int = MOST_IN_A_REPORT

    async def rows(self, since: str | None) -> tuple[Iterator[Row], bool]:
        """As `SecurityLog.rows`."""
        events, is_cut = await _read_log(self.read, since, self.most)
        return (_bundle_row(received, event) for received, event in events), is_cut


def _bundle_row(received: str, event: BundleEvent) -> Row:
    return {
        "at": received,
        "what": event.what,
        "digest": event.digest or None,
        "sequence": event.sequence,
        "source": event.origin or None,
        "station": event.station or None,
        "detail": event.detail,
    }


async def _read_log(
    read: Callable[[str, int], Awaitable[list[tuple[str, Event]]]], since: str | None, most: int
) -> tuple[list[tuple[str, Event]], bool]:
    """The newest events received from `since` on, and whether older ones were left out; raises AdminError."""
    moment = None if since is None else read_rfc3339(since)
    if since is not None and moment is None:
        raise AdminError(400, f"{since!r} is no time such as 2026-11-22T12:00:00Z")
    try:
        events = await read("" if moment is None else rfc3339(moment), most + 1)
    except JournalFault as error:
        raise AdminError(503, f"the journal does not answer: {error}") from error
    return events[-most:], len(events) > most


async def _next_lines(watcher: Watcher, redactor: Redactor) -> bytes:
    """Return JSON lines of what passed, an empty one when nothing did for a while."""
    batch: list[Passed] = []
    missed = 0
    with trio.move_on_after(SIGN_OF_LIFE_EVERY_S):
        batch, missed = await watcher.take(MOST_IN_A_BATCH)
    # In a thread: a long message takes milliseconds to look through.
    rows = await trio.to_thread.run_sync(passed_rows, batch, missed, redactor)
    return "".join(json.dumps(row) + "\n" for row in rows).encode() or b"\n"


def passed_rows(batch: list[Passed], missed: int, redactor: Redactor) -> list[Row]:
    """Return messages as objects of the API, and how many were missed. For a thread: a long one takes milliseconds."""
    rows = [_passed_row(passed, redactor) for passed in batch]
    return [*rows, {"missed": missed}] if missed else rows


def _passed_row(passed: Passed, redactor: Redactor) -> Row:
    row: Row = {
        "at": passed.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "station": passed.station,
        "direction": passed.direction,
        "text": redactor.message(passed.text),
    }
    return row if passed.dropped is None else {**row, "dropped": passed.dropped}
