"""Who is connected: one session a station, and how its end is asked for and told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from pointsman_agent.liveness import Due, Liveness
from pointsman_agent.ocpp.events import EndRequested
from pointsman_agent.ports import Wire
from pointsman_agent.routing import Route
from pointsman_agent.status import LastError, Status

REPLACED_WITHIN_S: Final = 4.0  # rule 7 gives the old uplink 2 s to close; its socket 2 s to drain
_NORMAL: Final = 1000

log = structlog.get_logger()


class Session:
    """The connection of one station. `end` asks it to end; `ended` tells when it has."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.ended = trio.Event()
        self.end_asked = trio.Event()
        self.ending = EndRequested(_NORMAL, "", "closed")

    def end(self, code: int, reason: str, error: str) -> None:
        """Ask for the end with a close code towards the station; only the first call counts."""
        if not self.end_asked.is_set():
            self.ending = EndRequested(code, reason, error)
            self.end_asked.set()


class Sessions:
    """The sessions that live, one a station: the newest authenticated connection wins (rule 7)."""

    def __init__(self) -> None:
        self._live: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._live)

    @asynccontextmanager
    async def claim(self, identity: str) -> AsyncIterator[Session]:
        """Yield the session of `identity`, once an older one has ended or its time for that is over."""
        session = Session(identity)
        old = self._live.get(identity)
        self._live[identity] = session
        try:
            if old is not None:
                old.end(_NORMAL, "replaced by a newer connection", "replaced")
                with trio.move_on_after(REPLACED_WITHIN_S):
                    await old.ended.wait()
            yield session
        finally:
            session.ended.set()
            if self._live.get(identity) is session:
                del self._live[identity]

    async def all_ended(self) -> None:
        """Wait until no session lives; the caller bounds the time."""
        while self._live:
            await next(iter(self._live.values())).ended.wait()

    def end_all(self, code: int, reason: str, error: str) -> None:
        """Ask every session to end."""
        for session in list(self._live.values()):
            session.end(code, reason, error)


async def keep_alive(wire: Wire, alive: Liveness) -> None:
    """Ping the peer; returns when it is lost."""
    while True:
        await trio.sleep_until(alive.moment())
        match alive.due(trio.current_time(), last_heard=wire.last_heard):
            case Due.PING:
                await wire.ping()
            case Due.LOST:
                return
            case Due.NOTHING:
                pass


def note_end(status: Status, route: Route, error: str, detail: str) -> LastError:
    """Write down why a station's link ended, and return it."""
    last = status.error(error, detail)
    status.station(route.identity).last_error = last
    log.info("link ended", station=route.identity, operator=route.station.operator, error=error, detail=detail)
    return last
