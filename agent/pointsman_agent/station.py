"""One incoming connection: handshake, admission, and the session that follows. The error boundary of a station."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog
import trio

from pointsman_agent.doorkeeper import Doorkeeper
from pointsman_agent.entries import SecurityEvent
from pointsman_agent.handshake import Refused, admit
from pointsman_agent.inforce import Holder, InForce, ReadyListener
from pointsman_agent.keeper import has_traces
from pointsman_agent.local import LocalOperator, LocalStations
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.outputbudget import OutputBudget
from pointsman_agent.plane.driver import Plane
from pointsman_agent.ports import Clock, Journal, JournalFault, WireLost
from pointsman_agent.relay import RelayCase
from pointsman_agent.routing import Route, offered_upstream
from pointsman_agent.session import ClonedIdentity, Session, Sessions
from pointsman_agent.status import Status
from pointsman_agent.streams import (
    DialError,
    OwnedStream,
    RawStream,
    certificate_name,
    detect_silence,
    peer_address,
)
from pointsman_agent.tail import Tail, WatchedWire
from pointsman_agent.upgrade import HandshakeFailed, StationRequest, read_request
from pointsman_agent.uplink import UplinkRefused, Uplinks
from pointsman_agent.wire import StreamWire, server_wire

HANDSHAKE_WITHIN_S: Final = 10.0  # TLS and the opening request of a station; ours to choose
SILENT_TCP_S: Final = 120.0  # data towards a station that stays unacknowledged so long ends its link
_PROTOCOL_ERROR: Final = 1002
_CHALLENGE: Final = [(b"WWW-Authenticate", b'Basic realm="OCPP"')]
_GOING_AWAY: Final = 1001

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class House:
    """What serving a station needs of the rest of the agent."""

    holder: Holder
    journal: Journal
    status: Status
    sessions: Sessions
    uplinks: Uplinks
    clock: Clock
    tail: Tail
    observer: Observer
    plane: Plane
    doorkeeper: Doorkeeper = field(default_factory=Doorkeeper)
    budget: OutputBudget = field(default_factory=OutputBudget)
    local: LocalStations = field(default_factory=LocalStations)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An admitted station: what is in force for it, and the protocols to agree on, best first (maybe none)."""

    in_force: InForce
    route: Route
    offered: tuple[str, ...]
    protocols: list[str]

    @classmethod
    def of(cls, identity: str, in_force: InForce, offered: tuple[str, ...]) -> "Candidate":
        """Return the station as `in_force` knows it; `offered` are its own protocols."""
        route = in_force.routing.routes[identity]
        return cls(in_force, route, offered, offered_upstream(route, offered))

    @property
    def identity(self) -> str:
        """The station's."""
        return self.route.identity

    def still(self, holder: Holder) -> "Candidate | None":
        """Return it under what is in force for it now; None where its connection would be made otherwise (rule 46)."""
        now = holder.of(self.identity)
        if now is self.in_force:
            return self
        if now is None or not self.in_force.is_same_link(now, self.identity):
            return None
        return Candidate.of(self.identity, now, self.offered)


async def serve_connection(house: House, listener_name: str, stream: RawStream, shaken: Callable[[], None]) -> None:
    """Serve one connection to its end. Whatever happens in here stays in here; `stream` is closed at the end.

    `shaken` is called once the station's own part of the handshake is over, well or not.
    """
    connection = _Connection(house, listener_name, stream, shaken)
    try:
        async with trio.open_nursery() as nursery:
            await connection.serve(nursery)
            nursery.cancel_scope.cancel()
    except* (DialError, HandshakeFailed, trio.TooSlowError) as group:
        log.info("no handshake", listener=listener_name, why=_words(group))
    except* WireLost:
        log.info("station left", listener=listener_name)
    except* Exception:
        # The one place where any error is caught: a station that makes us fail must not end the others (rule 30).
        log.exception("station dropped", listener=listener_name)
    finally:
        await connection.finish()


class _Connection:
    """The way of one connection: TLS, request, admission, session."""

    def __init__(self, house: House, listener_name: str, stream: RawStream, shaken: Callable[[], None]) -> None:
        self._house = house
        self._listener_name = listener_name
        self._stream = stream
        self._shaken = shaken
        self._owned: OwnedStream | None = None
        self._address = peer_address(self._stream)

    async def serve(self, nursery: trio.Nursery) -> None:
        """Serve to the end; tasks of both wires live in `nursery`."""
        ready = self._ready()
        if ready is None:
            return  # accepted in the moment in which the listener went
        with trio.fail_after(HANDSHAKE_WITHIN_S):
            request, peer_name = await self._read_request(nursery, ready)
        current, ready = self._house.holder.current, self._ready()
        if current is None or ready is None:
            return
        opening = request.opening(peer_name)
        profile = ready.listener.security_profile
        match admit(opening, current.routing, current.secrets, security_profile=profile):
            case Refused() as refused:
                await self._refuse(request, refused)  # still a handshake: strangers must not pile up behind the bound
            case Route() as route:
                self._shaken()
                in_force = self._house.holder.coming(route.identity)
                assert in_force is not None
                await self._claim(nursery, request, Candidate.of(route.identity, in_force, opening.offered))

    def _ready(self) -> ReadyListener | None:
        current = self._house.holder.current
        return None if current is None else current.listeners.get(self._listener_name)

    async def _claim(self, nursery: trio.Nursery, request: StationRequest, candidate: "Candidate") -> None:
        identity = candidate.identity
        try:
            claim = self._house.sessions.claim(
                identity, protocols=tuple(candidate.protocols), address=self._address, listener=self._listener_name
            )
            async with claim as session:
                if session.is_clone:
                    log.warning("cloned identity", station=identity, address=self._address)
                    await self._keep_security_event(identity, "ClonedIdentity", f"replaced from {self._address}")
                await self._serve_admitted(nursery, request, candidate, session)
        except ClonedIdentity as error:
            status = self._house.status
            status.station(identity).last_error = status.error("replaced", str(error))
            status.tallies.refused["replaced"] += 1
            await request.refuse(503, [(b"Retry-After", b"60")])

    async def finish(self) -> None:
        """Close the connection, drained."""
        if self._owned is not None:
            await self._owned.finish()
        self._stream.close()

    async def _read_request(self, nursery: trio.Nursery, ready: ReadyListener) -> tuple[StationRequest, str | None]:
        detect_silence(self._stream, user_timeout_s=SILENT_TCP_S)
        if ready.context is not None:
            await self._stream.secure(ready.context)
        self._owned = OwnedStream(self._stream)
        return await read_request(nursery, self._owned), certificate_name(self._stream)

    async def _refuse(self, request: StationRequest, refused: Refused) -> None:
        """Answer an unknown or unauthenticated station (rule 2): later and later to an address that goes on failing."""
        doorkeeper = self._house.doorkeeper
        self._house.status.tallies.refused[refused.error] += 1
        delay = doorkeeper.delay(self._address, trio.current_time())
        silent = doorkeeper.is_told(self._address, trio.current_time())
        if silent is not None:
            log.warning(
                "station refused",
                listener=self._listener_name,
                station=refused.identity,
                status=refused.status,
                why=refused.why,
                address=self._address,
                silent=silent,
            )
        if refused.status == 401 and refused.identity is not None:
            status = self._house.status
            status.station(refused.identity).last_error = status.error(refused.error, refused.why)
            if silent is not None:
                await self._keep_security_event(refused.identity, "FailedToAuthenticate", refused.why)
        with doorkeeper.waiting() as has_place:
            await trio.sleep(delay if has_place else 0.0)
        await request.refuse(refused.status, _CHALLENGE if refused.status == 401 else [])

    async def _keep_security_event(self, identity: str, kind: str, detail: str) -> None:
        event = SecurityEvent(identity, kind, detail, rfc3339(self._house.clock.now()))
        try:
            await self._house.journal.append(event)
        except JournalFault as error:
            log.error("security event not stored", station=identity, error=str(error))

    async def _serve_admitted(
        self, nursery: trio.Nursery, request: StationRequest, admitted: "Candidate", session: Session
    ) -> None:
        candidate = admitted.still(self._house.holder)
        if candidate is None:  # the bundle changed while an older session ended (rule 46)
            await request.refuse(503, [(b"Retry-After", b"1")])
        elif not candidate.protocols:
            await self._close_without_protocol(request, candidate)
        elif candidate.route.supervision is None or has_traces(self._house.journal, candidate.identity):
            await self._serve_locally(request, candidate, session)
        else:
            await self._relay(nursery, request, candidate, session)

    async def _close_without_protocol(self, request: StationRequest, candidate: "Candidate") -> None:
        """OCPP-J 1.6 section 3.2: complete the handshake without a subprotocol, then close at once."""
        status = self._house.status
        identity = candidate.identity
        status.station(identity).last_error = status.error("subprotocol", "none that the configuration allows")
        status.tallies.refused["subprotocol"] += 1
        log.warning("no common subprotocol", station=identity)
        wire = server_wire(await request.accept(None))
        await wire.close(_PROTOCOL_ERROR, "no common OCPP subprotocol")

    async def _serve_locally(self, request: StationRequest, candidate: "Candidate", session: Session) -> None:
        """Serve a station of a local group; of one that now belongs to a supervision, clear what the agent wrote to it
        before its uplink opens (rule 39)."""
        house, route = self._house, candidate.route
        wire = WatchedWire(server_wire(await request.accept(_answered(request, candidate.protocols[0]))))
        protocol = wire.protocol or route.station.assume_protocol or candidate.protocols[0]
        operator = LocalOperator(
            session,
            route,
            wire,
            protocol,
            house.holder,
            house.local,
            journal=house.journal,
            status=house.status,
            clock=house.clock,
            observer=house.observer,
            is_leaving=route.supervision is not None,
        )
        _log_connected(route, protocol)
        with _connected(house.status, route, protocol), house.tail.joined(route.identity, wire):
            await operator.run()

    async def _relay(
        self, nursery: trio.Nursery, request: StationRequest, admitted: "Candidate", session: Session
    ) -> None:
        house = self._house
        try:
            uplink = await self._connect(nursery, admitted, session)
        except UplinkRefused as error:
            await self._refuse_for_uplink(request, admitted.route, error)
            return
        candidate, ready = admitted.still(house.holder), self._ready()
        if uplink is None or candidate is None or ready is None:
            if uplink is not None:
                await uplink.close(_GOING_AWAY, "")
            await request.refuse(503, [(b"Retry-After", b"1")])
            return
        try:
            station = server_wire(await request.accept(_answered(request, uplink.protocol)))
            _log_connected(candidate.route, uplink.protocol)
            case = self._case(candidate, ready, session, uplink.protocol or "")
            house.plane.take(case, station, uplink)
        finally:
            await uplink.close(_GOING_AWAY, "")

    def _case(self, candidate: "Candidate", ready: ReadyListener, session: Session, protocol: str) -> RelayCase:
        house = self._house
        return RelayCase(
            session=session,
            route=candidate.route,
            settings=candidate.in_force.link_settings(ready, candidate.route, protocol),
            journal=house.journal,
            status=house.status,
            uplinks=house.uplinks,
            in_force=candidate.in_force,
            budget=house.budget,
            tail=house.tail,
            observer=house.observer,
        )

    async def _connect(self, nursery: trio.Nursery, candidate: "Candidate", session: Session) -> StreamWire | None:
        """Make the uplink, or take over the one that is being made; None when an heir took ours. Who ends the session
        meanwhile ends the attempt."""
        with trio.CancelScope() as attempt, session.ending_calls(attempt.cancel):
            session.connecting = tuple(candidate.protocols)
            try:
                uplink = await self._inherit_or_make(nursery, candidate, session)
            except UplinkRefused as error:
                if session.heir is not None:
                    session.heir.bequeath(error)
                    session.heir = None
                raise
            finally:
                session.connecting = None
            if session.heir is None:
                return uplink
            session.heir.bequeath(uplink)
            session.heir = None
            return None
        raise UplinkRefused(503, session.ending.error, session.ending.reason, retry_after=1.0)

    async def _inherit_or_make(self, nursery: trio.Nursery, candidate: "Candidate", session: Session) -> StreamWire:
        if session.predecessor is not None:
            inherited = await session.inherit()
            if isinstance(inherited, StreamWire):
                return inherited
        return await self._house.uplinks.connect(nursery, candidate.in_force, candidate.route, candidate.protocols)

    async def _refuse_for_uplink(self, request: StationRequest, route: Route, error: UplinkRefused) -> None:
        """The supervision fails, so the station's handshake fails too, never 101 first (rule 6)."""
        status = self._house.status
        status.station(route.identity).last_error = status.error(error.error, str(error))
        status.tallies.refused[error.error] += 1
        log.warning(
            "no uplink",
            station=route.identity,
            operator=route.station.operator,
            error=error.error,
            why=str(error),
        )
        headers = []
        if error.status == 503:
            headers = [(b"Retry-After", b"%d" % max(1, math.ceil(error.retry_after or 1.0)))]
        await request.refuse(error.status, headers)


def _log_connected(route: Route, protocol: str | None) -> None:
    log.info("station connected", station=route.identity, operator=route.station.operator, protocol=protocol)


@contextmanager
def _connected(status: Status, route: Route, protocol: str | None) -> Iterator[None]:
    """Show a station that the agent serves as connected while its session lasts."""
    status.connected(route, protocol, None)
    try:
        yield
    finally:
        status.disconnected(route)


def _answered(request: StationRequest, protocol: str | None) -> str | None:
    """What the 101 says: nothing to a station that offered nothing, for a client must fail on what it did not offer
    (RFC 6455 section 4.1)."""
    return protocol if request.has_offered else None


def _words(group: BaseExceptionGroup[BaseException]) -> str:
    """The messages of all errors of a group, however nested."""
    words = []
    for error in group.exceptions:
        words.append(_words(error) if isinstance(error, BaseExceptionGroup) else str(error) or type(error).__name__)
    return "; ".join(words)
