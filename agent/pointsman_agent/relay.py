"""A relayed station over trio streams: sockets and time into events of the Link, its commands into I/O.

The ordinary path of relayed stations is the data plane (`plane`); this driver of the same Link is for tests with wires
in memory, and for where there is no plane.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import structlog
import trio

from pointsman_agent import liveness
from pointsman_agent.inforce import InForce
from pointsman_agent.liveness import Liveness
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import security_event_of
from pointsman_agent.ocpp.events import (
    Answered,
    Close,
    Closed,
    Command,
    Drop,
    Event,
    Flushed,
    Keep,
    KeepKey,
    Lost,
    Notice,
    Overheard,
    OwnCallEnded,
    Received,
    Send,
    Stored,
    TimePassed,
)
from pointsman_agent.ocpp.frame import Frame, LocalFrameError, payload_of
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.link import Link
from pointsman_agent.ocpp.notices import interest_in
from pointsman_agent.outbox import Outbox, OutputBudget
from pointsman_agent.ports import Journal, JournalFault, Wire, WireClosed
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, Watch, note_end
from pointsman_agent.status import StationStatus, Status
from pointsman_agent.tail import Tail
from pointsman_agent.uplink import Uplinks

GOING_AWAY: Final = 1001
FAREWELL_WITHIN_S: Final = 6.0  # what was queued at the end of a link, its Close frames and the draining

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RelayCase:
    """All that relaying one station needs beside its two connections."""

    session: Session
    route: Route
    settings: LinkSettings
    journal: Journal
    status: Status
    uplinks: Uplinks
    in_force: InForce
    budget: OutputBudget
    tail: Tail
    observer: Observer

    def under(self, in_force: InForce) -> "RelayCase":
        """Return the case of the same link under another bundle, for which it need not be made anew."""
        route = in_force.routing.routes[self.route.identity]
        ready = in_force.listeners.get(self.session.listener)
        settings = self.settings  # of a listener that is gone its stations soon are too
        if ready is not None:
            settings = in_force.link_settings(ready, route, settings.protocol)
        return replace(self, in_force=in_force, route=route, settings=settings)


class Chores(ABC):
    """What of a link's commands is not about its sockets: journal, keys, counters, status. Shared by both drivers."""

    __slots__ = ("case",)

    def __init__(self, case: RelayCase) -> None:
        self.case = case

    @abstractmethod
    def _start(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Begin a task."""

    @abstractmethod
    async def _report(self, event: Event) -> None:
        """Feed the link an event."""

    def carry_out(self, command: Command) -> None:
        """Do what `command` says; `Send` and `Close` are the driver's."""
        match command:
            case Keep(call):
                self._start(self._keep, call)
            case KeepKey(call_id, key):
                self._start(self._keep_key, call_id, key)
            case Overheard(call):
                self.case.observer.hear(self._identity, self.case.settings.protocol, call)
            case Answered(call, round_trip_s, text):
                self._answered(call, round_trip_s, text)
            case OwnCallEnded(call_id, _):
                # Nobody asks a relayed station anything yet; the link is ready for who will.
                log.debug("own call ended", station=self._identity, call=call_id)
            case Notice(side, what, action):
                self._record.count_notice(what)
                log.info("noticed", station=self._identity, side=side.name.lower(), what=what, action=action)
            case Drop(side, why, text):
                self._record.count_drop(why)
                log.info("dropped", station=self._identity, side=side.name.lower(), why=why, characters=len(text))
            case Lost():
                self._note_loss(command)

    @property
    def _identity(self) -> str:
        return self.case.route.identity

    @property
    def _record(self) -> StationStatus:
        return self.case.status.station(self._identity)

    @property
    def _supervision_name(self) -> str:
        assert self.case.route.supervision_name is not None
        return self.case.route.supervision_name

    def _answered(self, call: Frame, round_trip_s: float, text: str) -> None:
        interest = interest_in(call.action)
        if interest.times:
            self.case.uplinks.answered(self.case.route, call.action, round_trip_s, text)
        if interest.learns:
            self.case.observer.hear_answer(self._identity, call, text)

    def _note_loss(self, lost: Lost) -> None:
        last = note_end(self.case.status, self.case.route, lost.error, lost.detail)
        if lost.side is Side.SUPERVISION:
            self.case.status.supervision(self._supervision_name).last_error = last
        gate = self.case.uplinks.gate(self.case.route)
        if gate.lost(self._identity, lost.action, trio.current_time()):
            log.warning("one action loses the link again and again", station=self._identity, action=lost.action)

    async def _keep(self, call: Frame) -> None:
        """Store a security event that the supervision is not to see; what cannot be stored is not answered."""
        try:
            payload = payload_of(call)
        except LocalFrameError:
            payload = {}  # the text itself is kept in any case
        try:
            await self.case.journal.append(security_event_of(self._identity, call, payload))
        except JournalFault as error:
            log.error("security event not stored", station=self._identity, error=str(error))
            return
        log.info("security event kept", station=self._identity, type=str(payload.get("type", ""))[:50])
        await self._report(Stored(call.id))

    async def _keep_key(self, call_id: str, key: bytes) -> None:
        """Store the key that a supervision set for its uplink; one that cannot be stored is refused."""
        try:
            await self.case.uplinks.store_key(self.case.in_force, self.case.route, key)
        except OSError as error:
            log.error("uplink key not stored", station=self._identity, error=str(error))
            await self._report(Stored(call_id, Side.SUPERVISION, is_stored=False))
            return
        log.info("uplink key stored", station=self._identity, supervision=self._supervision_name)
        await self._report(Stored(call_id, Side.SUPERVISION))


class _StreamChores(Chores):
    """Chores in the nursery of a station."""

    def __init__(self, case: RelayCase, nursery: trio.Nursery, report: Callable[[Event], Awaitable[None]]) -> None:
        super().__init__(case)
        self._nursery = nursery
        self._tell = report

    def _start(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        self._nursery.start_soon(work, *args)

    async def _report(self, event: Event) -> None:
        await self._tell(event)


class StreamRelay:
    """A relayed station over two wires: one Link, and the tasks that turn sockets and time into events.

    Every task tells the link through one channel; the loop that receives from it owns the link and never waits for a
    socket, so reading never stops (rule 29).
    """

    def __init__(self, case: RelayCase, station: Wire, supervision: Wire) -> None:
        assert case.route.supervision is not None
        self._case = case
        self._session = case.session
        self._wires = {Side.STATION: station, Side.SUPERVISION: supervision}
        self._outboxes = {side: Outbox(wire, case.budget) for side, wire in self._wires.items()}
        self._status = case.status
        self._record = case.status.station(case.route.identity)
        self._link = Link(case.settings, case.status.tallies.exchanged(case.route.station.operator))
        self._chores: _StreamChores | None = None
        alive = liveness_of(case.route, trio.current_time())
        self._watches = {side: Watch(self._wires[side], alive.get(side)) for side in Side}
        # No buffer: the receiver is always there, and a sender that waits is a reader that pushes back.
        self._tell, self._events = trio.open_memory_channel[Event](0)

    async def run(self) -> None:
        """Relay until either side or the session ends; both wires are closed then."""
        self._session.on_change = self._change
        try:
            await self._run()
        finally:
            for outbox in self._outboxes.values():
                outbox.release()

    async def _run(self) -> None:
        async with trio.open_nursery() as peers:
            self._start_senders_of_events(peers)
            async with trio.open_nursery() as writers:
                for side, outbox in self._outboxes.items():
                    writers.start_soon(outbox.run, partial(self._report, Flushed(side)))
                async with self._events:
                    await self._drive(peers)
                for outbox in self._outboxes.values():
                    outbox.close(GOING_AWAY, "")  # the side that ended the link; the link has closed the other
                writers.cancel_scope.deadline = trio.current_time() + FAREWELL_WITHIN_S
            peers.cancel_scope.cancel()

    def _start_senders_of_events(self, nursery: trio.Nursery) -> None:
        for side in Side:
            nursery.start_soon(self._read, side)
            nursery.start_soon(self._watch, side)
        nursery.start_soon(self._await_end)

    def _change(self, in_force: InForce) -> None:
        self._case = self._case.under(in_force)
        if self._chores is not None:
            self._chores.case = self._case
        self._link.settings = self._case.settings
        alive = liveness_of(self._case.route, trio.current_time())
        for side, watch in self._watches.items():
            watch.change(alive.get(side))

    async def _read(self, side: Side) -> None:
        while True:
            match await self._wires[side].receive():
                case WireClosed(code, reason, error):
                    await self._report(Closed(side, code, reason, error))
                    return
                case text:
                    await self._report(Received(side, text))

    async def _watch(self, side: Side) -> None:
        await self._watches[side].run()
        await self._report(Closed(side, 1006, "no answer to pings", "ping"))

    async def _await_end(self) -> None:
        await self._session.end_asked.wait()
        await self._report(self._session.ending)

    async def _report(self, event: Event) -> None:
        try:
            await self._tell.send(event)
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()  # the link is over: nobody asks any more

    async def _drive(self, nursery: trio.Nursery) -> None:
        chores = self._chores = _StreamChores(self._case, nursery, self._report)
        while not self._link.is_over:
            event: Event = TimePassed()
            with trio.move_on_at(self._link.deadline() or float("inf")):
                event = await self._events.receive()
            if isinstance(event, Received) and event.side is Side.STATION:
                self._record.last_received = self._status.stamp()
            if isinstance(event, Flushed) and not self._outboxes[event.side].is_empty:
                continue  # a text was put meanwhile: it has yet to leave
            for command in self._link.handle(event, trio.current_time()):
                match command:
                    case Send(side, text):
                        self._send(side, text)
                    case Close(side, code, reason):
                        self._outboxes[side].close(code, reason)
                    case _:
                        chores.carry_out(command)
            self._record.queue = self._link.queue

    def _send(self, side: Side, text: str) -> None:
        if side is Side.STATION:
            self._record.last_sent = self._status.stamp()
        if not self._outboxes[side].put(text):
            self._outboxes[side].close(GOING_AWAY, "too slow", discard=True)
            self._session.end(GOING_AWAY, f"the {side.name.lower()} takes no data", "slow")


def liveness_of(route: Route, now: float) -> dict[Side, Liveness]:
    """Return how the two connections of a station are pinged; a station with interval 0 is not (rules 24 and 28)."""
    assert route.supervision is not None
    supervision = route.supervision
    alive = {Side.SUPERVISION: liveness.of_supervision(supervision.ping_interval, supervision.message_timeout, now)}
    if route.station.ping_interval > 0:
        alive[Side.STATION] = liveness.of_station(route.station.ping_interval, now)
    return alive
