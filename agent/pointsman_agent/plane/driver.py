"""Relayed stations on the data plane: each is a pair in the reactor from its handshakes on, and has no task of its own.

A task, its nursery and the coroutines in it would take ten times the memory that a relayed station needs, and thousands
of them would stand there waiting for its end. So what is to be done then is a call (`_Relayed.over`), and what is slow
(the journal, a key to be stored) is a task for as long as it takes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio

from pointsman_agent.inforce import InForce
from pointsman_agent.ocpp.events import EndRequested, Event
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.ocpp.link import Link
from pointsman_agent.plane.pair import Pair
from pointsman_agent.plane.reactor import Reactor
from pointsman_agent.relay import Chores, RelayCase, liveness_of
from pointsman_agent.session import Sessions
from pointsman_agent.wire import StreamWire

log = structlog.get_logger()


class Plane:
    """Where relayed stations live. Slow work for them runs in `nursery`, behind an error boundary of each station."""

    def __init__(self, reactor: Reactor, nursery: trio.Nursery, sessions: Sessions) -> None:
        self._reactor = reactor
        self._sessions = sessions
        self.nursery = nursery

    def take(self, case: RelayCase, station: StreamWire, supervision: StreamWire) -> None:
        """Relay between two connections, which are the plane's from now on, as is the session: it is released, and
        both are closed, when either side has ended or the session was asked to."""
        relayed = _Relayed(self, case)
        exchanged = case.status.tallies.exchanged(case.route.station.operator)
        pair = relayed.pair = Pair(Link(case.settings, exchanged), relayed)
        now = trio.current_time()
        handed = {Side.STATION: station.hand_over(), Side.SUPERVISION: supervision.hand_over()}
        pair.join(handed, liveness_of(case.route, now), self._reactor, case.budget, now)
        case.status.connected(case.route, supervision.protocol, supervision.protocol)
        case.status.station(case.route.identity).traffic = pair
        case.tail.join(case.route.identity, pair)
        for event in relayed.begin():
            pair.tell(event, now)
        case.session.live_on(relayed.end, relayed.change)

    def release(self, case: RelayCase, pair: Pair) -> None:
        """Take note that a station is not relayed any more."""
        record = case.status.station(case.route.identity)
        if record.traffic is pair:
            case.status.settle(record)
            record.traffic = None
        case.tail.leave(pair)
        case.status.disconnected(case.route)
        self._sessions.release(case.session)


class _Relayed(Chores):
    """What a relayed station has beside its pair; `pair` is None once it is over."""

    __slots__ = ("_plane", "pair")

    def __init__(self, plane: Plane, case: RelayCase) -> None:
        super().__init__(case)
        self._plane = plane
        self.pair: Pair | None = None

    def end(self, ending: EndRequested) -> None:
        """The session is to end."""
        self._tell(ending)

    def change(self, in_force: InForce) -> None:
        """Another bundle is in force, for which the link need not be made anew."""
        case = self.case = self.case.under(in_force)
        if self.pair is not None:
            now = trio.current_time()
            self.pair.change(case.settings, liveness_of(case.route, now))

    def over(self) -> None:
        """Both sockets are gone."""
        self.end_replay()
        pair, self.pair = self.pair, None
        if pair is not None:
            pair.part()
            self._plane.release(self.case, pair)

    def _start(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        self._plane.nursery.start_soon(self._guarded, work, args)

    def _tell(self, event: Event) -> None:
        if self.pair is not None:
            self.pair.tell(event, trio.current_time())

    async def _guarded(self, work: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        try:
            await work(*args)
        except Exception as error:  # the error boundary of a station (rule 30)
            log.exception("station dropped", station=self.case.route.identity)
            if self.pair is not None:
                self.pair.broken(error)
