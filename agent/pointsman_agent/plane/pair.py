"""A relayed station in the reactor: two channels and the Link between them. The driver of the same Link as `relay`."""

from typing import Final, Protocol

import structlog

from pointsman_agent.liveness import Due, Liveness
from pointsman_agent.ocpp.events import Close, Closed, Command, Drop, EndRequested, Event, Send, TimePassed
from pointsman_agent.ocpp.frame import Frame
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.link import Link, Passing
from pointsman_agent.outputbudget import OutputBudget
from pointsman_agent.plane.channel import Channel
from pointsman_agent.plane.reactor import Reactor
from pointsman_agent.tail import Tap
from pointsman_agent.wire import HandedOver

GOING_AWAY: Final = 1001
_STATION: Final = Side.STATION

log = structlog.get_logger()


class Owner(Protocol):
    """Who has a pair."""

    def carry_out(self, command: Command) -> None:
        """Do what of the link's commands is not about the sockets, without waiting."""

    def overheard(self, call: Frame) -> None:
        """As the command `Overheard`: a call is cheaper."""

    def over(self) -> None:
        """Both sockets are gone."""


class Pair:
    """Two joined channels. `tap`, where there is one, is told of every message."""

    __slots__ = (
        "_left", "_owner", "_station", "_station_alive", "_supervision", "_supervision_alive",
        "last_received", "last_sent", "link", "tap",
    )  # fmt: skip

    def __init__(self, link: Link, owner: Owner) -> None:
        self.link = link
        self.tap: Tap | None = None
        self.last_received: float | None = None
        self.last_sent: float | None = None
        self._owner = owner
        self._station_alive: Liveness | None = None
        self._supervision_alive: Liveness | None = None
        self._left = 2

    @property
    def queue(self) -> int:
        """CALLs that wait for a slot."""
        return self.link.queue

    def join(
        self,
        handed: dict[Side, HandedOver],
        alive: dict[Side, Liveness],
        reactor: Reactor,
        budget: OutputBudget,
        now: float,
    ) -> None:
        """Begin to relay. `alive` says how each side is pinged; a side that is not in it is not."""
        self._ping_as(alive)
        self._station, self._supervision = (
            Channel(handed[side], reactor, self, side, budget, now) for side in (Side.STATION, Side.SUPERVISION)
        )
        try:
            self._station.start()
            self._supervision.start()
        except OSError:  # the kernel watches no more descriptors
            self.abort()
            for each in handed.values():
                each.sock.close()
            raise

    def change(self, settings: LinkSettings, alive: dict[Side, Liveness]) -> None:
        """Act by other settings from now on, and ping otherwise."""
        self.link.settings = settings
        self._ping_as(alive)

    def _ping_as(self, alive: dict[Side, Liveness]) -> None:
        """Begin to ping otherwise where that is another way; what is due stays due."""
        station, supervision = alive.get(Side.STATION), alive.get(Side.SUPERVISION)
        if station is None or not station.is_like(self._station_alive):
            self._station_alive = station
        if supervision is None or not supervision.is_like(self._supervision_alive):
            self._supervision_alive = supervision

    def tell(self, event: Event, now: float) -> None:
        """Feed the link an event from outside: something was stored, the session is to end."""
        self._handle(event, now)

    def abort(self) -> None:
        """Close both sockets at once."""
        self.link.is_over = True
        self._station.abort()
        self._supervision.abort()

    def part(self) -> None:
        """Let go of all that points back here, once both sockets are gone: nothing may be asked of a pair after it.

        What a link leaves behind then ends with its last reference. As rings it waited for the collector, which comes
        rarely to objects that lived as long as a link; a busy site grew by some 15 kB a connection until then.
        """
        del self._station, self._supervision, self._owner

    def heard(self, side: Side, text: str, now: float, frame: bytes | None = None) -> None:
        """A message came from `side`, as `frame` where that can go on as it is."""
        is_from_station = side is _STATION
        if is_from_station:
            self.last_received = now
        if self.tap is not None:
            self.tap.received(side, text)
        elif passing := self.link.passes(side, text, now):
            if is_from_station:
                self._supervision.pass_on(text, None)  # to be masked anew
                if passing is Passing.OVERHEARD:
                    self._owner.overheard(self.link.overheard)
            else:
                self.last_sent = now
                self._station.pass_on(text, frame)
            return
        self._do(self.link.received(side, text, now), now)

    def ended(self, side: Side, code: int, reason: str, error: str, now: float) -> None:
        """The connection of `side` ended."""
        self._handle(Closed(side, code, reason, error), now)

    def flushed(self, side: Side, now: float) -> None:
        """All that was written to `side` has left."""
        self.link.flushed(side, now)

    def delayed(self, side: Side, now: float) -> None:
        """What was written to `side` at `now` has not left."""
        self.link.delayed(side, now)

    def overflowed(self, side: Side, now: float) -> None:
        """`side` takes less than it is sent: it would not get a Close frame either."""
        self._handle(EndRequested(GOING_AWAY, f"the {side.name.lower()} takes no data", "slow"), now)
        self._channel(side).abort()

    def closed(self) -> None:
        """One of the two sockets is gone."""
        self._left -= 1
        if self._left == 0:
            self._owner.over()

    def broken(self, error: Exception) -> None:
        """Serving this station raised: it ends, and nobody else, also where what ends it raises again."""
        try:
            if not self.link.is_over:
                self._handle(EndRequested(GOING_AWAY, "internal error", "protocol"), 0.0)
            self._station.flush(0.0)
            self._supervision.flush(0.0)
        except Exception as again:
            log.error("station dropped", error=repr(again), exc_info=again)
        self.abort()

    def swept(self, side: Side, now: float) -> None:
        """Look at the clock for `side`, and once for the link."""
        if side is Side.STATION:
            deadline = self.link.deadline()
            if deadline is not None and deadline <= now and not self.link.is_over:
                self._handle(TimePassed(), now)
        alive = self._station_alive if side is _STATION else self._supervision_alive
        if alive is None or self.link.is_over:
            return
        channel = self._channel(side)
        match alive.due(now, last_heard=channel.last_heard):
            case Due.PING:
                channel.ping()
            case Due.LOST:
                self._handle(Closed(side, 1006, "no answer to pings", "ping"), now)
                channel.abort()
            case Due.NOTHING:
                pass

    def _handle(self, event: Event, now: float) -> None:
        self._do(self.link.handle(event, now), now)

    def _do(self, commands: list[Command], now: float) -> None:
        for command in commands:
            if type(command) is Send:
                side = command.side
                if side is Side.STATION:
                    self.last_sent = now
                    channel = self._station
                else:
                    channel = self._supervision
                if self.tap is not None:
                    self.tap.sent(side, command.text)
                channel.send(command.text)
            elif isinstance(command, Close):
                self._channel(command.side).close(command.code, command.reason, now)
            else:
                if self.tap is not None and isinstance(command, Drop):
                    self.tap.dropped(command.side, command.why, command.text)
                self._owner.carry_out(command)

    def _channel(self, side: Side) -> Channel:
        return self._station if side is Side.STATION else self._supervision
