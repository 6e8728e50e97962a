"""Who is connected: one session a station, and how its end is asked for and told."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import structlog
import trio

from pointsman_agent.inforce import InForce
from pointsman_agent.liveness import Due, Liveness
from pointsman_agent.ocpp.events import EndRequested
from pointsman_agent.ports import Wire, WireLost
from pointsman_agent.replacements import Newcomer, Replacements
from pointsman_agent.routing import Route
from pointsman_agent.status import LastError, Status

REPLACED_WITHIN_S: Final = 2.0  # rule 7: by then the old uplink is closed; its station, if it is mute, goes later
_NORMAL: Final = 1000
_NO_END: Final = EndRequested(_NORMAL, "", "closed")

log = structlog.get_logger()


class ClonedIdentity(Exception):
    """Two devices of one identity evict each other; the newest stays for a while, and this is not it."""


class Session:
    """The connection of one station. `end` asks it to end; `ended` tells when it has.

    `connecting` holds the protocols offered upstream while its uplink is being made. A newcomer that offers the same
    takes that uplink over: it is the `heir`, and gets it by `bequeath`. `is_clone`: two devices seem to share the
    identity. `lives_on`: it outlives the task that claimed it, and whoever has it releases it; `on_end` is called when
    its end is asked for, `on_change` with what is in force for the station from then on, as long as its connection need
    not be made anew for it. `listener` is by which it came.

    A site has thousands of sessions that nobody waits for, so events are made for who waits.
    """

    __slots__ = (
        "_bequeathed", "_end_asked", "_ended", "_inherited", "_is_ended", "_is_ending", "connecting", "ending", "heir",
        "identity", "is_clone", "listener", "lives_on", "on_change", "on_end", "predecessor",
    )  # fmt: skip

    def __init__(self, identity: str, listener: str = "") -> None:
        self.identity = identity
        self.listener = listener
        self.ending = _NO_END
        self.is_clone = False
        self.lives_on = False
        self.on_end: Callable[[EndRequested], None] | None = None
        self.on_change: Callable[[InForce], None] | None = None
        self.connecting: tuple[str, ...] | None = None
        self.heir: Session | None = None
        self.predecessor: Session | None = None
        self._is_ending = False
        self._is_ended = False
        self._end_asked: trio.Event | None = None
        self._ended: trio.Event | None = None
        self._inherited: Wire | Exception | None = None
        self._bequeathed: trio.Event | None = None

    @property
    def end_asked(self) -> trio.Event:
        """Set once its end was asked for; `ending` says how."""
        if self._end_asked is None:
            self._end_asked = _event(is_set=self._is_ending)
        return self._end_asked

    @property
    def ended(self) -> trio.Event:
        """Set once it has ended."""
        if self._ended is None:
            self._ended = _event(is_set=self._is_ended)
        return self._ended

    def end(self, code: int, reason: str, error: str) -> None:
        """Ask for the end with a close code towards the station; only the first call counts."""
        if self._is_ending:
            return
        self._is_ending = True
        self.ending = EndRequested(code, reason, error)
        if self._end_asked is not None:
            self._end_asked.set()
        if self.on_end is not None:
            self.on_end(self.ending)

    @contextmanager
    def ending_calls(self, do: Callable[[], None]) -> Iterator[None]:
        """Call `do` when the end is asked for within the block, or was before it."""
        self.on_end = lambda _: do()
        if self._is_ending:
            do()
        try:
            yield
        finally:
            self.on_end = None

    def live_on(self, on_end: Callable[[EndRequested], None], on_change: Callable[[InForce], None]) -> None:
        """Outlive the task that claimed it, until it is released; `on_end` may be called at once."""
        self.lives_on = True
        self.on_change = on_change
        self._end_asked = self.predecessor = None
        if self._is_ending:
            on_end(self.ending)
        else:
            self.on_end = on_end

    def note_end(self) -> None:
        """It has ended."""
        self._is_ended = True
        self.on_end = self.on_change = None
        if self._ended is not None:
            self._ended.set()

    def bequeath(self, uplink: Wire | Exception | None) -> None:
        """Hand what came of the predecessor's uplink to this session; None: nothing, it has to make its own."""
        self._inherited = uplink
        self._told.set()

    async def inherit(self) -> Wire | None:
        """Wait for the predecessor's uplink, which its `connectTimeout` bounds; raises what that raised."""
        await self._told.wait()
        inherited, self._inherited = self._inherited, None
        if isinstance(inherited, Exception):
            raise inherited
        return inherited

    @property
    def _told(self) -> trio.Event:
        if self._bequeathed is None:
            self._bequeathed = trio.Event()
        return self._bequeathed


def _event(*, is_set: bool) -> trio.Event:
    event = trio.Event()
    if is_set:
        event.set()
    return event


class Sessions:
    """The sessions that live, one a station: the newest authenticated connection wins (rule 7)."""

    def __init__(self) -> None:
        self._live: dict[str, Session] = {}
        self._replacements: dict[str, Replacements] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._live.values()))

    def find(self, identity: str) -> Session | None:
        """Return the session of `identity`, the newest one."""
        return self._live.get(identity)

    def is_connected(self, identity: str) -> bool:
        """Whether `identity` has a session."""
        return identity in self._live

    @asynccontextmanager
    async def claim(
        self, identity: str, *, protocols: tuple[str, ...] = (), address: str = "", listener: str = ""
    ) -> AsyncIterator[Session]:
        """Yield the session of `identity`, once an older one has ended or its time for that is over.

        An older one that is still making its uplink over the same `protocols` is not ended: the new one inherits.
        Raises ClonedIdentity for a newcomer that has to wait.
        """
        old = self._live.get(identity)
        session = Session(identity, listener)
        if old is not None:
            session.is_clone = self._is_clone(identity, address)
        self._live[identity] = session
        try:
            if old is not None:
                await self._succeed(old, session, protocols)
            yield session
        finally:
            if not session.lives_on:
                self.release(session)

    def release(self, session: Session) -> None:
        """Note that `session` has ended: the identity is free, unless a newer one has it."""
        session.note_end()
        if session.heir is not None:
            session.heir.bequeath(None)
        if self._live.get(session.identity) is session:
            del self._live[session.identity]

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


class Watch:
    """Pings the peer of a wire, as long as it lives; how often may change."""

    def __init__(self, wire: Wire, alive: Liveness | None) -> None:
        self._wire = wire
        self._alive = alive
        self._changed = trio.CancelScope()

    def change(self, alive: Liveness | None) -> None:
        """Ping as `alive` says from now on; None: not at all."""
        if alive is not None and alive.is_like(self._alive):
            return
        self._alive = alive
        self._changed.cancel()

    async def run(self) -> None:
        """Return when the peer is lost."""
        while True:
            self._changed = trio.CancelScope()
            with self._changed:
                if self._alive is None:
                    await trio.sleep_forever()
                else:
                    await keep_alive(self._wire, self._alive)
                return


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
    status.tallies.ended[route.station.operator, error] += 1
    log.info("link ended", station=route.identity, operator=route.station.operator, error=error, detail=detail)
    return last
