"""Who is connected: one session a station, and how its end is asked for and told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from pointsman_agent.liveness import Due, Liveness
from pointsman_agent.ocpp.events import EndRequested
from pointsman_agent.ports import Wire, WireLost
from pointsman_agent.replacements import Newcomer, Replacements
from pointsman_agent.routing import Route
from pointsman_agent.status import LastError, Status

REPLACED_WITHIN_S: Final = 2.0  # rule 7: by then the old uplink is closed; its station, if it is mute, goes later
_NORMAL: Final = 1000

log = structlog.get_logger()


class ClonedIdentity(Exception):
    """Two devices of one identity evict each other; the newest stays for a while, and this is not it."""


class Session:
    """The connection of one station. `end` asks it to end; `ended` tells when it has.

    `connecting` holds the protocols offered upstream while its uplink is being made. A newcomer that offers the same
    takes that uplink over: it is the `heir`, and gets it by `bequeath`. `is_clone`: two devices seem to share the
    identity.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.ended = trio.Event()
        self.end_asked = trio.Event()
        self.ending = EndRequested(_NORMAL, "", "closed")
        self.is_clone = False
        self.connecting: tuple[str, ...] | None = None
        self.heir: Session | None = None
        self.predecessor: Session | None = None
        self._inherited: Wire | Exception | None = None
        self._bequeathed = trio.Event()

    def end(self, code: int, reason: str, error: str) -> None:
        """Ask for the end with a close code towards the station; only the first call counts."""
        if not self.end_asked.is_set():
            self.ending = EndRequested(code, reason, error)
            self.end_asked.set()

    def bequeath(self, uplink: Wire | Exception | None) -> None:
        """Hand what came of the predecessor's uplink to this session; None: nothing, it has to make its own."""
        self._inherited = uplink
        self._bequeathed.set()

    async def inherit(self) -> Wire | None:
        """Wait for the predecessor's uplink, which its `connectTimeout` bounds; raises what that raised."""
        await self._bequeathed.wait()
        if isinstance(self._inherited, Exception):
            raise self._inherited
        return self._inherited


class Sessions:
    """The sessions that live, one a station: the newest authenticated connection wins (rule 7)."""

    def __init__(self) -> None:
        self._live: dict[str, Session] = {}
        self._replacements: dict[str, Replacements] = {}

    def __len__(self) -> int:
        return len(self._live)

    def is_connected(self, identity: str) -> bool:
        """Whether `identity` has a session."""
        return identity in self._live

    @asynccontextmanager
    async def claim(
        self, identity: str, *, protocols: tuple[str, ...] = (), address: str = ""
    ) -> AsyncIterator[Session]:
        """Yield the session of `identity`, once an older one has ended or its time for that is over.

        An older one that is still making its uplink over the same `protocols` is not ended: the new one inherits.
        Raises ClonedIdentity for a newcomer that has to wait.
        """
        old = self._live.get(identity)
        session = Session(identity)
        if old is not None:
            session.is_clone = self._is_clone(identity, address)
        self._live[identity] = session
        try:
            if old is not None:
                await self._succeed(old, session, protocols)
            yield session
        finally:
            session.ended.set()
            if session.heir is not None:
                session.heir.bequeath(None)
            if self._live.get(identity) is session:
                del self._live[identity]

    def _is_clone(self, identity: str, address: str) -> bool:
        newcomer = self._replacements.setdefault(identity, Replacements()).judge(address, trio.current_time())
        if newcomer is Newcomer.WAITS:
            raise ClonedIdentity("another device of this identity is connected and stays for a while")
        return newcomer is Newcomer.IS_CLONE

    async def _succeed(self, old: Session, session: Session, protocols: tuple[str, ...]) -> None:
        if old.connecting is not None and old.connecting == protocols and old.heir is None:
            old.heir, session.predecessor = session, old
            return
        old.end(_NORMAL, "replaced by a newer connection", "replaced")
        with trio.move_on_after(REPLACED_WITHIN_S):
            await old.ended.wait()

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
                try:
                    await wire.ping()
                except WireLost:
                    await trio.sleep_forever()  # the wire's reader tells how it ended, and ends us
            case Due.LOST:
                return
            case Due.NOTHING:
                pass


def note_end(status: Status, route: Route, error: str, detail: str) -> LastError:
    """Write down why a station's link ended, and return it; peers chose words of `detail`, so it is redacted."""
    detail = status.redact(detail)
    last = status.error(error, detail)
    status.station(route.identity).last_error = last
    log.info("link ended", station=route.identity, operator=route.station.operator, error=error, detail=detail)
    return last
