"""A charging station on a real socket: connects, answers what it is asked, and plays a scenario."""

import base64
import dataclasses
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import trio

from pointsman_simulator.background import background
from pointsman_simulator.clock import Clock, stamp, utc_now
from pointsman_simulator.errors import LinkClosed, NoAnswer
from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.handshakes import CONNECT_WITHIN_S, Headers, dialed
from pointsman_simulator.memory import Reaction, Reboot, SendReport, StartSession, StationMemory, StopSession, Trigger
from pointsman_simulator.peer import ANSWER_WITHIN_S, Answerer, Closed, Peer
from pointsman_simulator.scenario import (
    STOPPED,
    Heard,
    Outcome,
    Pause,
    Say,
    Script,
    StationProfile,
    Wording,
    boot_only,
    security_event,
    session,
    wording_of,
)
from pointsman_simulator.sockets import SocketLink

QUICK = StationProfile(meter_interval_s=0.0)
"""A session without waits: the default where a test runs one."""

FOLLOW_UP_WITHIN_S = 5.0  # until the answer to a call has left, before what the call asked for is done

Password = str | bytes


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What came of a scenario at one station; `reason` says why it did not complete."""

    station: str
    protocol: str | None
    boot_status: str | None
    authorization_status: str | None
    transaction_id: str | None
    energy_wh: int
    completed: bool
    reason: str | None
    faults: tuple[str, ...]
    sent: tuple[str, ...]
    received: tuple[str, ...]
    closed: Closed | None


class Station(Peer):
    """A connected station; `memory` holds its keys and lists, `protocol` what the handshake agreed on."""

    def __init__(self, link: SocketLink, identity: str, *, clock: Clock, memory: StationMemory) -> None:
        super().__init__(link, identity, clock=clock, answerer=self._react, spaced=True)
        self.identity = identity
        self.memory = memory
        self.profile = QUICK
        self.remote_sessions: list[SessionResult] = []
        self._to_do, self._follow_ups = trio.open_memory_channel[Reaction](float("inf"))
        self._stop = trio.Event()

    def now(self) -> str:
        """Return the time as this station writes it."""
        return stamp(self._clock())

    def wording(self, profile: StationProfile) -> Wording:
        """Return how this station's protocol says things; raises LinkClosed where none was agreed on."""
        if self.protocol is None:
            raise LinkClosed(1002, "no subprotocol was agreed on")
        return wording_of(self.protocol, profile, self.now, str(uuid.uuid4()))

    async def play(self, script: Script, answer_within_s: float = ANSWER_WITHIN_S) -> Outcome:
        """Run `script` to its end; a lost link or a missing answer ends it with that failure."""
        boot_status: str | None = None
        heard = Heard({})
        try:
            step = next(script)
            while True:
                match step:
                    case Say():
                        heard = await self._say(step, answer_within_s)
                        if step.action == "BootNotification":
                            boot_status = heard.error or heard.payload.get("status")
                    case Pause():
                        heard = await self._pause(step)
                step = script.send(heard)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        except (LinkClosed, NoAnswer) as error:
            script.close()
            return Outcome(boot_status, failure=str(error))

    async def follow_up(self) -> None:
        """Do what answered calls asked for, one after the other, until cancelled."""
        async for reaction in self._follow_ups:
            if await self._has_left(reaction.answer):
                await self._do(reaction)

    async def _has_left(self, answer: CallResult | CallError) -> bool:
        try:
            await self.sent.wait_for(lambda entry: _answers(entry.frame, answer.id), FOLLOW_UP_WITHIN_S)
        except trio.TooSlowError:
            return False
        return True

    async def _react(self, call: Call) -> CallResult | CallError | None:
        if self.protocol is None:
            return None
        reaction = self.memory.react(self.protocol, call)
        if isinstance(reaction.then, StopSession):
            self._stop.set()
        elif reaction.then is not None:
            self._to_do.send_nowait(reaction)
        return reaction.answer

    async def _do(self, reaction: Reaction) -> None:
        match reaction.then:
            case Trigger(message=message):
                await self.play(_one(self._triggered(message)))
            case SendReport(payload=payload):
                await self.play(_one(Say("NotifyReport", payload)))
            case StartSession(badge=badge):
                profile = dataclasses.replace(self.profile, badge=badge, boots=False)
                self.remote_sessions.append(await run_session(self, profile=profile))
            case Reboot():
                await self.close(1001, "reset")

    def _triggered(self, message: str) -> Say:
        wording = self.wording(self.profile)
        if message == "BootNotification":
            return wording.boot()
        if message == "StatusNotification":
            return wording.status("Available" if self.memory.badge_in_use is None else "Charging")
        return Say("Heartbeat", {})

    async def _say(self, say: Say, within_s: float) -> Heard:
        answer = await self.call(say.action, say.payload, within_s)
        return Heard(answer.payload, answer.error.code if answer.error else None)

    async def _pause(self, pause: Pause) -> Heard:
        with trio.move_on_after(pause.seconds):
            await self._stop.wait()
        if self.closed is not None:
            raise LinkClosed(self.closed.code, self.closed.reason)
        return Heard({}, STOPPED if self._stop.is_set() else None)

    def _end(self) -> None:
        super()._end()
        self._stop.set()  # nobody waits on a dead link

    def occupy(self, badge: str) -> None:
        """A session begins: what asked the last one to stop is forgotten."""
        self.memory.badge_in_use = badge
        if self.closed is None:
            self._stop = trio.Event()

    def release(self) -> None:
        """The session is over."""
        self.memory.badge_in_use = None


async def no_answer(_: Call) -> None:
    """Give no answer: the `handler` of a station that leaves every call of the other side open."""


@asynccontextmanager
async def connect_station(
    url: str,
    *,
    protocols: Sequence[str] = ("ocpp1.6",),
    password: Password | None = None,
    ssl_context: ssl.SSLContext | None = None,
    headers: Headers = (),
    handler: Answerer | None = None,
    memory: StationMemory | None = None,
    assume_protocol: str | None = None,
    clock: Clock = utc_now,
    within_s: float = CONNECT_WITHIN_S,
) -> AsyncIterator[Station]:
    """Connect a station to `url`, whose last segment is its identity; it is closed where the block ends.

    `protocols` are offered in this order; the one agreed on is `Station.protocol`, None where the other side chose
    none. A station that offers none (`protocols=()`) speaks `assume_protocol`. Calls of the other side are answered
    from `memory`, or by `handler` (`no_answer` leaves them open).
    Raises HandshakeRefused with the HTTP status, or HandshakeFailed, within `within_s` seconds.
    """
    identity = identity_in(url)
    credentials = basic_credentials(identity, password) if password is not None else ()
    every_header = [*headers, *credentials]
    opened = dialed(url, protocols=protocols, headers=every_header, ssl_context=ssl_context, within_s=within_s)
    async with opened as link, background() as nursery:
        station = Station(link, identity, clock=clock, memory=memory or StationMemory())
        station.protocol = station.protocol or assume_protocol
        station.answerer = handler or station.answerer
        nursery.start_soon(station.run)
        nursery.start_soon(station.follow_up)
        yield station
        await station.close()


async def run_session(
    station: Station,
    badge: str | None = None,
    *,
    profile: StationProfile = QUICK,
    answer_within_s: float = ANSWER_WITHIN_S,
) -> SessionResult:
    """Play a whole charging session with `badge` (default: the profile's); never raises for what the peer does."""
    profile = profile if badge is None else dataclasses.replace(profile, badge=badge)
    station.occupy(profile.badge)
    try:
        return await _run(station, session, profile, answer_within_s)
    finally:
        station.release()


async def run_boot(
    station: Station, *, profile: StationProfile = QUICK, answer_within_s: float = ANSWER_WITHIN_S
) -> SessionResult:
    """Boot, report the connector and, where the profile says so, a security event; nobody charges."""
    return await _run(station, boot_only, profile, answer_within_s)


async def report_security_event(station: Station, within_s: float = ANSWER_WITHIN_S) -> Outcome:
    """Send a security event; the outcome's failure is None when it was answered."""
    return await station.play(_one(security_event(station.now)), within_s)


async def stay(station: Station, heartbeat_interval_s: float, for_s: float = float("inf")) -> None:
    """Send a Heartbeat at each interval until the link ends, or `for_s` seconds have passed."""
    with trio.move_on_after(for_s):
        while station.closed is None:
            with trio.move_on_after(heartbeat_interval_s):
                await station.wait_closed(float("inf"))
            if station.closed is None:
                await station.play(_one(Say("Heartbeat", {})))


def identity_in(url: str) -> str:
    """Return the identity that a station's URL ends with, percent-decoded."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def basic_credentials(identity: str, password: Password) -> list[tuple[str, str]]:
    """Return the header of HTTP Basic; the password's bytes are taken as they are (security white paper 2.3)."""
    raw = password.encode() if isinstance(password, str) else password
    token = base64.b64encode(identity.encode() + b":" + raw).decode()
    return [("Authorization", f"Basic {token}")]


_MakeScript = Callable[[Wording, StationProfile, Callable[[], str]], Script]


async def _run(station: Station, make: _MakeScript, profile: StationProfile, answer_within_s: float) -> SessionResult:
    if station.protocol is None:
        outcome = Outcome(failure="the other side chose no subprotocol")
    else:
        outcome = await station.play(make(station.wording(profile), profile, station.now), answer_within_s)
    return SessionResult(
        station=station.identity,
        protocol=station.protocol,
        boot_status=outcome.boot_status,
        authorization_status=outcome.authorization_status,
        transaction_id=outcome.transaction_id,
        energy_wh=outcome.energy_wh,
        completed=outcome.is_completed,
        reason=outcome.failure,
        faults=tuple(station.faults),
        sent=tuple(station.sent.texts),
        received=tuple(station.received.texts),
        closed=station.closed,
    )


def _one(say: Say) -> Script:
    heard = yield say
    return Outcome(failure=heard.error and f"{say.action}: {heard.error}")


def _answers(frame: object, message_id: str) -> bool:
    return isinstance(frame, CallResult | CallError) and frame.id == message_id


__all__ = [
    "QUICK",
    "Payload",
    "SessionResult",
    "Station",
    "StationMemory",
    "StationProfile",
    "connect_station",
    "no_answer",
    "report_security_event",
    "run_boot",
    "run_session",
    "stay",
]
