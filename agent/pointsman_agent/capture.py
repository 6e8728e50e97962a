"""The last messages of a station that somebody looks at: kept from the first look on, until a while after the last.

Keeping messages of every station would cost memory and time for what nobody reads, and their texts are nobody's
business unless somebody asks (rule 52): looking is asking, and it ends by itself.
"""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import structlog
import trio

from pointsman_agent.lookingin import MOST_IN_A_BATCH, passed_rows
from pointsman_agent.redaction import Redactor
from pointsman_agent.tail import Tail, TooManyWatchers, Watcher
from pointsman_agent.web.diagnosis import Row

KEPT: Final = 50
KEPT_FOR_S: Final = 600.0  # after the last look
MOST_STATIONS: Final = 4  # at the same time; half of those who may watch

log = structlog.get_logger()


class Capture:
    """The last messages of a station, redacted, oldest first. `count` is how many there ever were."""

    def __init__(self, since: str) -> None:
        self.since = since
        self.rows: deque[Row] = deque(maxlen=KEPT)
        self.count = 0

    @property
    def newest_first(self) -> list[Row]:
        """Return all that is kept."""
        return list(reversed(self.rows))

    def add(self, rows: list[Row]) -> None:
        """Keep messages."""
        self.rows.extend(rows)
        self.count += len(rows)


class Captures:
    """Which stations are looked at. Tasks live in `nursery`; `now` returns RFC 3339."""

    def __init__(self, tail: Tail, redactor: Redactor, nursery: trio.Nursery, now: Callable[[], str]) -> None:
        self._tail = tail
        self._redactor = redactor
        self._nursery = nursery
        self._now = now
        self._captures: dict[str, Capture] = {}
        self._scopes: dict[str, trio.CancelScope] = {}

    def look(self, station: str) -> Capture | None:
        """Return what is kept of a station, and keep it for longer; None where too many are looked at already."""
        if station not in self._captures:
            if len(self._captures) >= MOST_STATIONS:
                return None
            place = ExitStack()
            try:
                watcher = place.enter_context(self._tail.watch(station))
            except TooManyWatchers:  # people at their command lines have the places
                return None
            self._captures[station] = Capture(self._now())
            self._scopes[station] = trio.CancelScope()
            self._nursery.start_soon(self._keep, station, watcher, place)
        self._scopes[station].deadline = trio.current_time() + KEPT_FOR_S
        return self._captures[station]

    async def _keep(self, station: str, watcher: Watcher, place: ExitStack) -> None:
        capture = self._captures[station]
        try:
            with place, self._scopes[station]:
                while True:
                    batch, missed = await watcher.take(MOST_IN_A_BATCH)
                    capture.add(await trio.to_thread.run_sync(passed_rows, batch, missed, self._redactor))
        except Exception:  # the boundary: a page must not end an agent
            log.exception("messages not kept", station=station)
        finally:
            del self._captures[station], self._scopes[station]
