"""Uplinks: a station's connection to its supervision, admitted by the supervision's gate; and the probe that watches a
supervision that cannot be reached (rules 4, 6, 9, 21, 27, 56)."""

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import msgspec
import structlog
import trio
from pointsman_schema.bundle import Proxy, Supervision

from pointsman_agent.clockoffset import SLOW_SHARE, WARN_FROM_S, ClockOffset
from pointsman_agent.gate import Gate
from pointsman_agent.handshake import basic_header, key_bytes
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.names import CachedNames
from pointsman_agent.ocpp.notices import result_time
from pointsman_agent.ports import SecretValues
from pointsman_agent.routing import Route, UplinkTarget, uplink_target
from pointsman_agent.status import Status, SupervisionStatus
from pointsman_agent.streams import (
    DialError,
    OwnedStream,
    ProxyAddress,
    RawStream,
    certificate_expiry,
    detect_silence,
    dial,
)
from pointsman_agent.upgrade import HandshakeFailed, Opened, open_client
from pointsman_agent.uplinkkeys import UplinkKeys
from pointsman_agent.wire import StreamWire, client_wire

GOING_AWAY: Final = 1001
PROBE_WHILE_DOWN_S: Final = 3.0  # at most; one connection, so that the return is seen sooner than stations would try
LONGEST_TOLD_S: Final = 4.0
"""Retry-After at most, for who waits at the gate: stations add chance to it, some by a factor, and came back up to
twice as late as their turn was. Who comes early keeps its turn."""
PROBE_EVERY_S: Final = 60.0  # a supervision that no station reaches at the moment
RESOLVES_WITHIN_S: Final = 5.0
_LEAST_PROBE_WAIT_S: Final = 0.5
_UNAUTHORIZED: Final = 401
_HANDSHAKE: Final = frozenset({"http-other", "protocol", "handshake-timeout"})
"""Failures that a probe, which stops before the WebSocket handshake, would not see."""

log = structlog.get_logger()


class UplinkRefused(Exception):
    """No uplink. `status` is what the station is told, `error` the reason class of rule 50.

    `is_down`: it says something of the supervision and so holds back all its stations, not of this station alone
    (rule 27). `retry_after` is in seconds. `failure` is why no uplink can be made, in words that name no station: empty
    where this is only not its turn.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        is_down: bool = True,
        retry_after: float | None = None,
        failure: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.is_down = is_down
        self.retry_after = retry_after
        self.failure = f"{error} ({detail})" if failure is None else failure


Outcome = Callable[[InForce, Route, str | None], None]
"""How a try went: None well, else why not; called for each, also for those that the gate held."""


class Uplinks:
    """Makes uplinks. Remembers, per supervision, who may try, and how its clock goes.

    A supervision may have two addresses for a while: one that is in force, and another for stations that are about to
    leave it. Each has a gate of its own; people are shown the first.
    """

    def __init__(self, status: Status, keys: UplinkKeys, names: CachedNames, holder: Holder) -> None:
        self._status = status
        self._keys = keys
        self._names = names
        self._holder = holder
        self._gates: dict[tuple[str, str], _Door] = {}
        self.clocks: dict[str, ClockOffset] = {}
        self.on_outcome: Outcome = lambda in_force, route, failure: None

    def renew(self, names: Collection[str]) -> None:
        """Start afresh with these supervisions: what failed before says nothing of what is in force for them now."""
        self._gates = {key: door for key, door in self._gates.items() if key[0] not in names}
        for name in names:
            self.clocks.pop(name, None)
            record = self._status.supervision(name)
            record.is_reachable = record.last_error = None

    def gate(self, route: Route) -> Gate:
        """Return the gate of a station's supervision."""
        return self._door(route).gate

    def _door(self, route: Route) -> "_Door":
        assert route.supervision is not None
        assert route.supervision_name is not None
        return self._door_of(route.supervision_name, route.supervision)

    def _door_of(self, name: str, supervision: Supervision) -> "_Door":
        key = (name, supervision.url)
        door = self._gates.get(key)
        if door is None:
            door = self._gates[key] = _Door(Gate(random.random))
        return door

    def _record(self, name: str, supervision: Supervision) -> SupervisionStatus:
        """Where to note what is heard of a supervision: of one that stations are about to leave nobody is shown it."""
        current = self._holder.current
        shown = None if current is None else current.routing.config.supervisions.get(name)
        if shown is not None and shown.url != supervision.url:
            return SupervisionStatus()
        return self._status.supervision(name)

    async def connect(self, nursery: trio.Nursery, in_force: InForce, route: Route, protocols: list[str]) -> StreamWire:
        """Return the connection of `route` to its supervision, to be closed by the caller; its tasks live in `nursery`.

        Raises UplinkRefused within the supervision's `connectTimeout`.
        """
        assert route.supervision is not None
        assert route.supervision_name is not None
        try:
            with self._admitted(route), self._failures_noted(route):
                with trio.move_on_after(route.supervision.connect_timeout):
                    wire = await self._connect(nursery, in_force, route, protocols)
                    self.on_outcome(in_force, route, None)
                    return wire
                detail = f"no connection within {route.supervision.connect_timeout} s"
                raise UplinkRefused(504, "handshake-timeout", detail)
        except UplinkRefused as error:
            if error.failure:
                self.on_outcome(in_force, route, error.failure)
            raise

    async def store_key(self, in_force: InForce, route: Route, key: bytes) -> None:
        """Store a key that the supervision of `route` set; raises OSError."""
        await trio.to_thread.run_sync(self._keys.store, *_key_place(in_force, route), key)

    def answered(self, route: Route, action: str, round_trip_s: float, text: str) -> None:
        """Note how long an answer of a supervision took and what its clock said (rules 41 and 58)."""
        assert route.supervision is not None
        assert route.supervision_name is not None
        name = route.supervision_name
        if round_trip_s > route.supervision.message_timeout * SLOW_SHARE:
            log.warning("slow supervision", supervision=name, action=action, seconds=round(round_trip_s, 1))
        record = self._record(name, route.supervision)
        record.slowest_round_trip_s = max(record.slowest_round_trip_s, round_trip_s)
        said = result_time(text)
        clock = self.clocks.setdefault(name, ClockOffset())
        if said is None or not clock.measure(said, received=self._status.stamp(), round_trip_s=round_trip_s):
            return
        was_off = abs(record.clock_offset_s or 0) >= WARN_FROM_S
        record.clock_offset_s = clock.seconds
        if not was_off and abs(clock.seconds or 0) >= WARN_FROM_S:
            log.warning("a supervision's clock differs from ours", supervision=name, seconds=clock.seconds)

    async def watch(self, in_force: InForce, name: str) -> None:
        """Probe a supervision (TCP, TLS) at first, while it is down, and while no station has an uplink. Never ends."""
        supervision = in_force.routing.config.supervisions[name]
        while True:
            gate, record = self._door_of(name, supervision).gate, self._status.supervision(name)
            if gate.wants_probe and (gate.is_down or record.stations_up == 0):
                await self._probe(in_force, name, supervision)
            wait = min(gate.next_try(trio.current_time()), PROBE_WHILE_DOWN_S) if gate.is_down else PROBE_EVERY_S
            await trio.sleep(max(wait, _LEAST_PROBE_WAIT_S))

    @contextmanager
    def _admitted(self, route: Route) -> Iterator[None]:
        door = self._door(route)
        held = door.gate.ask(route.identity, trio.current_time())
        if held is not None:
            detail = f"{route.supervision_name}: {held.why}, next try in {held.wait_s:.0f} s"
            last = door.last
            told = min(held.wait_s, LONGEST_TOLD_S)
            raise UplinkRefused(
                503,
                last.error if last else "closed",
                detail + (f" ({last.words})" if last else ""),
                retry_after=told,
                failure=last.failure if last and held.is_failing else "",
            )
        try:
            yield
        finally:
            door.gate.done()

    @contextmanager
    def _failures_noted(self, route: Route) -> Iterator[None]:
        assert route.supervision is not None
        assert route.supervision_name is not None
        door, record = self._door(route), self._record(route.supervision_name, route.supervision)
        try:
            yield
        except UplinkRefused as error:
            door.last = Failed(error.error, str(error), error.failure)
            record.last_error = self._status.error(error.error, f"{route.identity}: {error}")
            if error.is_down:
                record.is_reachable = False
                is_handshake = error.error in _HANDSHAKE
                door.gate.failed(trio.current_time(), is_handshake=is_handshake, retry_after=error.retry_after)
                self._names.forget(_dialled_host(route.supervision, route.identity))
            else:
                record.is_reachable = True
                door.gate.refused(route.identity, trio.current_time())
            raise
        record.is_reachable = True
        door.gate.connected(route.identity, trio.current_time())

    async def _connect(
        self, nursery: trio.Nursery, in_force: InForce, route: Route, protocols: list[str]
    ) -> StreamWire:
        """Try the keys there are, a new one first and the one before it after a 401 (rule 21)."""
        assert route.supervision is not None
        assert route.supervision_name is not None
        place = _key_place(in_force, route)
        configured = place[-1]
        for key in (keys := await self._candidates(*place)):
            try:
                opened = await self._open(nursery, in_force, route, protocols, key)
            except HandshakeFailed as error:
                if error.status == _UNAUTHORIZED and key is not keys[-1]:
                    continue
                raise _refusal(error) from error
            except DialError as error:
                raise UplinkRefused(502, error.error, str(error)) from error
            if key is not None and len(keys) > 1:
                await trio.to_thread.run_sync(self._keys.prove, *place, key)
            self._status.station(route.identity).key_differs = key is not configured
            return await _agreed(client_wire(opened), route, protocols)
        raise AssertionError("the last key returns or raises")

    async def _candidates(
        self, supervision: str, host: str, station: str, configured: bytes | None
    ) -> list[bytes | None]:
        if self._keys.is_unset(supervision, host, station):
            return [configured]
        # Abandoned when late: `connectTimeout` holds.
        look = self._keys.candidates
        return await trio.to_thread.run_sync(look, supervision, host, station, configured, abandon_on_cancel=True)

    async def _open(
        self, nursery: trio.Nursery, in_force: InForce, route: Route, protocols: list[str], key: bytes | None
    ) -> Opened:
        assert route.supervision is not None
        assert route.supervision_name is not None
        target = uplink_target(route.supervision.url, route.identity)
        stream = await _dial(in_force, route.supervision_name, target)
        self._record(route.supervision_name, route.supervision).certificate_expires = certificate_expiry(stream)
        silence = route.supervision.ping_interval + route.supervision.message_timeout
        detect_silence(stream, user_timeout_s=silence)
        owned = OwnedStream(stream)
        headers = [] if key is None else [(b"Authorization", basic_header(route.identity, key))]
        is_open = False
        try:
            opened = await open_client(
                nursery,
                owned,
                authority=target.authority,
                resource=target.resource,
                protocols=protocols,
                headers=headers,
            )
            is_open = True
            return opened
        finally:
            if not is_open:
                await owned.finish(drain=False)

    async def _probe(self, in_force: InForce, name: str, supervision: Supervision) -> None:
        record, door = self._status.supervision(name), self._door_of(name, supervision)
        try:
            with trio.fail_after(supervision.connect_timeout):
                stream = await _dial(in_force, name, uplink_target(supervision.url, "probe"))
        except (DialError, trio.TooSlowError) as error:
            reason = error.error if isinstance(error, DialError) else "handshake-timeout"
            record.is_reachable = False
            why = str(error) or "no answer"
            record.last_error = self._status.error(reason, f"probe: {why}")
            door.last = Failed(reason, why, f"{reason} ({why})")
            door.gate.failed(trio.current_time())
            self._names.forget(_dialled_host(supervision, "probe"))
            log.info("supervision not reachable", supervision=name, error=reason, why=str(error))
            return
        record.certificate_expires = certificate_expiry(stream)
        stream.close()
        record.is_reachable = True
        door.gate.reached(trio.current_time())


class Failed(msgspec.Struct, frozen=True):
    """What failed: reason class, words, and both as in `UplinkRefused.failure`."""

    error: str
    words: str
    failure: str


class _Door:
    """The gate of one address of a supervision, and what failed there last."""

    __slots__ = ("gate", "last")

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.last: Failed | None = None


def _key_place(in_force: InForce, route: Route) -> tuple[str, str, str, bytes | None]:
    """What a stored key belongs to: supervision, host, station, and the configured key that it replaces."""
    assert route.supervision is not None
    assert route.supervision_name is not None
    host = uplink_target(route.supervision.url, route.identity).host
    configured = configured_key(route.supervision, route.identity, in_force.secrets)
    return route.supervision_name, host, route.identity, configured


def configured_key(supervision: Supervision, identity: str, secrets: SecretValues) -> bytes | None:
    """Return the key that the bundle gives a station's uplink; None where it gives none."""
    password = supervision.password
    if password is None:
        return None
    return key_bytes(secrets[password.secret.replace("{station}", identity)], password.format)


def proxy_address(proxy: Proxy | None, secrets: SecretValues) -> ProxyAddress | None:
    """Return where a CONNECT proxy is, with the credentials that it wants."""
    if proxy is None:
        return None
    parts = urlsplit(proxy.url)
    password = None if proxy.password is None else secrets[proxy.password]
    return ProxyAddress.with_password(parts.hostname or "", parts.port or 3128, parts.username, password)


async def _dial(in_force: InForce, name: str, target: UplinkTarget) -> RawStream:
    supervision = in_force.routing.config.supervisions[name]
    connect = partial(dial, target.host, target.port, proxy=proxy_address(supervision.proxy, in_force.secrets))
    return await connect(tls=in_force.supervision_contexts[name] if target.is_tls else None)


async def unresolved_host(current: InForce, prepared: InForce) -> str | None:
    """Return why a host has no address that only uplinks of `prepared` go to; None where all have. Bounded."""
    known = _hosts(current)
    for host in sorted(_hosts(prepared) - known):
        try:
            with trio.fail_after(RESOLVES_WITHIN_S):
                await trio.socket.getaddrinfo(host, None)
        except OSError as error:
            return f"{host} has no address: {error.strerror or error}"
        except trio.TooSlowError:
            return f"{host} has no address: no answer within {RESOLVES_WITHIN_S:g} s"
    return None


def _hosts(in_force: InForce) -> set[str]:
    config = in_force.routing.config
    operators = {link.operator for link in in_force.links.values() if link.uplink is not None}
    return {_dialled_host(config.supervisions[name], "any") for name in operators}


def _dialled_host(supervision: Supervision, identity: str) -> str:
    if supervision.proxy is not None:
        return urlsplit(supervision.proxy.url).hostname or ""
    return uplink_target(supervision.url, identity).host


async def _agreed(wire: StreamWire, route: Route, protocols: list[str]) -> StreamWire:
    """The library takes an answer without a subprotocol in silence (rule 5)."""
    if wire.protocol in protocols:
        return wire
    await wire.close(GOING_AWAY, "no common subprotocol")
    detail = f"{route.supervision_name} chose {wire.protocol!r} of {', '.join(protocols)}"
    raise UplinkRefused(502, "subprotocol", detail, is_down=False)


def _refusal(error: HandshakeFailed) -> UplinkRefused:
    match error.status:
        case None:
            return UplinkRefused(502, "protocol", str(error))
        case 401 | 404:
            return UplinkRefused(502, f"http-{error.status}", str(error), is_down=False)
        case status:
            is_down = status >= 500
            retry_after = _seconds(error.retry_after)
            return UplinkRefused(502, "http-other", str(error), is_down=is_down, retry_after=retry_after)


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in its form of seconds (RFC 9110 section 10.2.3); dates are left out, the back-off has its own."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
