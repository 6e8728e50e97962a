"""What relaying one station is beside its two sockets: what is in force for it, and those commands of its link that are
not about them. The plane carries out the rest."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
import trio

from pointsman_agent import liveness
from pointsman_agent.bootreplay import Outcome, is_due, replay
from pointsman_agent.inforce import InForce
from pointsman_agent.liveness import Liveness
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import security_event_of
from pointsman_agent.ocpp.events import (
    Answered,
    Command,
    Drop,
    Event,
    Keep,
    KeepKey,
    Lost,
    Notice,
    Overheard,
    OwnCallEnded,
    Stored,
)
from pointsman_agent.ocpp.frame import Frame, LocalFrameError, payload_of
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.link import SERVICE_RESTART
from pointsman_agent.ocpp.notices import interest_in
from pointsman_agent.outputbudget import OutputBudget
from pointsman_agent.ports import Journal, JournalFault
from pointsman_agent.replay import RunningReplay
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, note_end
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
    """What of a link's commands is not about its sockets: journal, keys, counters, status."""

    __slots__ = ("_replay", "case")

    def __init__(self, case: RelayCase) -> None:
        self.case = case
        self._replay: RunningReplay | None = None

    def begin(self) -> list[Event]:
        """Return what the link is to be told before anything else."""
        known = self.case.observer.of(self._identity).kept()
        if not is_due(known, self._operator):
            return []
        self._replay = RunningReplay(replay(known, self.case.settings.protocol))
        self._start(self._tell_boot, self._replay)
        return [self._replay.first]

    def end_replay(self) -> None:
        """The link is over."""
        if self._replay is not None:
            self._replay.over()

    @abstractmethod
    def _start(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Begin a task."""

    @abstractmethod
    def _tell(self, event: Event) -> None:
        """Feed the link an event, if it is not over."""

    def carry_out(self, command: Command) -> None:
        """Do what `command` says; `Send` and `Close` are the plane's."""
        match command:
            case Keep(call):
                self._start(self._keep, call)
            case KeepKey(call_id, key):
                self._start(self._keep_key, call_id, key)
            case Overheard(call):
                self.overheard(call)
            case Answered(call, round_trip_s, text):
                self._answered(call, round_trip_s, text)
            case OwnCallEnded(call_id, text):
                if self._replay is not None:
                    self._replay.answered(call_id, text)
            case Notice(side, what, action):
                self._record.count_notice(what)
                log.info("noticed", station=self._identity, side=side.name.lower(), what=what, action=action)
            case Drop(side, why, text):
                self._record.count_drop(why)
                log.info("dropped", station=self._identity, side=side.name.lower(), why=why, characters=len(text))
            case Lost():
                self._note_loss(command)

    def overheard(self, call: Frame) -> None:
        """A CALL of the station tells something of it."""
        self.case.observer.hear(self.case.route.identity, self.case.settings.protocol, call)

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

    @property
    def _operator(self) -> str:
        """Who answers the station's messages, as the observer knows it: another URL may well be another system."""
        assert self.case.route.supervision is not None
        return self.case.route.supervision.url

    def _answered(self, call: Frame, round_trip_s: float | None, text: str) -> None:
        interest = interest_in(call.action)
        if interest.times and round_trip_s is not None:
            self.case.uplinks.answered(self.case.route, call.action, round_trip_s, text)
        if interest.learns:
            self.case.observer.hear_answer(self._identity, call, text, self._operator)
        if self._replay is not None and call.action == "BootNotification":
            self._replay.booted(text)

    async def _tell_boot(self, replay: RunningReplay) -> None:
        """Tell a new operator of the boot that another one accepted (rule 45)."""
        told = await replay.run(self._tell)
        self._replay = None
        if told is None:
            return
        log.info("boot told", station=self._identity, outcome=told.outcome.value, answer=told.words)
        self._record.count_notice(f"boot-{told.outcome.value}")
        if told.outcome is Outcome.ACCEPTED:
            self.case.observer.accepted(self._identity, self._operator, told.interval)
        elif told.outcome is Outcome.REFUSED:
            why = f"{self._supervision_name} does not accept its boot: {told.words}"
            self.case.session.end(SERVICE_RESTART, why, "closed")

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
        self._tell(Stored(call.id))

    async def _keep_key(self, call_id: str, key: bytes) -> None:
        """Store the key that a supervision set for its uplink; one that cannot be stored is refused."""
        try:
            await self.case.uplinks.store_key(self.case.in_force, self.case.route, key)
        except OSError as error:
            log.error("uplink key not stored", station=self._identity, error=str(error))
            self._tell(Stored(call_id, Side.SUPERVISION, is_stored=False))
            return
        log.info("uplink key stored", station=self._identity, supervision=self._supervision_name)
        self._tell(Stored(call_id, Side.SUPERVISION))


def liveness_of(route: Route, now: float) -> dict[Side, Liveness]:
    """Return how the two connections of a station are pinged; a station with interval 0 is not (rules 24 and 28)."""
    assert route.supervision is not None
    supervision = route.supervision
    alive = {Side.SUPERVISION: liveness.of_supervision(supervision.ping_interval, supervision.message_timeout, now)}
    if route.station.ping_interval > 0:
        alive[Side.STATION] = liveness.of_station(route.station.ping_interval, now)
    return alive
