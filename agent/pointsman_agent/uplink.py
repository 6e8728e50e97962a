"""A station's connection to its supervision: dial, handshake, agree on the protocol; one back-off a supervision."""

import random
from typing import Final
from urllib.parse import urlsplit

import trio
from pointsman_schema.bundle import Proxy, Supervision

from pointsman_agent.backoff import Backoff
from pointsman_agent.handshake import basic_header, key_bytes
from pointsman_agent.inforce import InForce
from pointsman_agent.ports import SecretValues, Wire
from pointsman_agent.routing import Route, UplinkTarget, uplink_target
from pointsman_agent.status import Status
from pointsman_agent.streams import DialError, OwnedStream, ProxyAddress, detect_silence, dial, raw_socket_stream
from pointsman_agent.upgrade import HandshakeFailed, open_client
from pointsman_agent.wire import client_wire

GOING_AWAY: Final = 1001


class UplinkRefused(Exception):
    """No uplink. `status` is what the station is told, `error` the reason class of rule 50.

    `is_down`: it says something of the supervision and so holds back all its stations, not of this station alone
    (rule 27). `retry_after` is in seconds.
    """

    def __init__(
        self, status: int, error: str, detail: str, *, is_down: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.is_down = is_down
        self.retry_after = retry_after


class Uplinks:
    """Makes uplinks and remembers, per supervision, whether one may try."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._backoffs: dict[str, Backoff] = {}

    def forget(self) -> None:
        """Start afresh, as a new bundle does: what failed before says nothing of it."""
        self._backoffs.clear()

    async def connect(self, nursery: trio.Nursery, in_force: InForce, route: Route, protocols: list[str]) -> Wire:
        """Return the connection of `route` to its supervision, to be closed by the caller; its tasks live in `nursery`.

        Raises UplinkRefused within the supervision's `connectTimeout`.
        """
        assert route.supervision is not None
        assert route.supervision_name is not None
        name, supervision = route.supervision_name, route.supervision
        backoff = self._backoffs.setdefault(name, Backoff(random.random))
        wait = backoff.remaining(trio.current_time())
        if wait > 0:
            detail = f"{name} could not be reached, next try in {wait:.0f} s"
            raise UplinkRefused(503, "closed", detail, retry_after=wait)
        target = uplink_target(supervision.url, route.identity)
        try:
            with trio.fail_after(supervision.connect_timeout):
                wire = await _open(nursery, in_force, route, target, protocols)
        except (trio.TooSlowError, DialError, HandshakeFailed) as error:
            refusal = _refusal(error, supervision.connect_timeout)
            self._failed(name, backoff, refusal)
            raise refusal from error
        self._succeeded(name, backoff)
        if wire.protocol not in protocols:
            await wire.close(GOING_AWAY, "no common subprotocol")
            detail = f"{name} chose {wire.protocol!r} of {', '.join(protocols)}"
            refusal = UplinkRefused(502, "subprotocol", detail, is_down=False)
            self._failed(name, backoff, refusal)
            raise refusal
        return wire

    def _failed(self, name: str, backoff: Backoff, refusal: UplinkRefused) -> None:
        record = self._status.supervision(name)
        record.last_error = self._status.error(refusal.error, str(refusal))
        if refusal.is_down:
            record.is_reachable = False
            backoff.failed(trio.current_time(), retry_after=refusal.retry_after)

    def _succeeded(self, name: str, backoff: Backoff) -> None:
        self._status.supervision(name).is_reachable = True
        backoff.succeeded()


async def _open(
    nursery: trio.Nursery, in_force: InForce, route: Route, target: UplinkTarget, protocols: list[str]
) -> Wire:
    supervision = route.supervision
    assert supervision is not None
    assert route.supervision_name is not None
    stream = await dial(
        target.host,
        target.port,
        proxy=_proxy_address(supervision.proxy, in_force.secrets),
        tls=in_force.supervision_contexts[route.supervision_name] if target.is_tls else None,
    )
    detect_silence(raw_socket_stream(stream), user_timeout_s=supervision.ping_interval + supervision.message_timeout)
    owned = OwnedStream(stream)
    is_open = False
    try:
        opened = await open_client(
            nursery,
            owned,
            authority=target.authority,
            resource=target.resource,
            protocols=protocols,
            headers=_headers(supervision, route.identity, in_force.secrets),
        )
        is_open = True
        return client_wire(opened)
    finally:
        if not is_open:
            await owned.finish()


def _headers(supervision: Supervision, identity: str, secrets: SecretValues) -> list[tuple[bytes, bytes]]:
    password = supervision.password
    if password is None:
        return []
    key = key_bytes(secrets[password.secret.replace("{station}", identity)], password.format)
    return [(b"Authorization", basic_header(identity, key))]


def _proxy_address(proxy: Proxy | None, secrets: SecretValues) -> ProxyAddress | None:
    if proxy is None:
        return None
    parts = urlsplit(proxy.url)
    password = None if proxy.password is None else secrets[proxy.password]
    return ProxyAddress.with_password(parts.hostname or "", parts.port or 3128, parts.username, password)


def _refusal(error: trio.TooSlowError | DialError | HandshakeFailed, within_s: float) -> UplinkRefused:
    match error:
        case trio.TooSlowError():
            return UplinkRefused(504, "handshake-timeout", f"no connection within {within_s:g} s")
        case DialError():
            return UplinkRefused(502, error.error, str(error))
        case HandshakeFailed(status=None):
            return UplinkRefused(502, "protocol", str(error))
        case HandshakeFailed(status=(401 | 404) as status):
            return UplinkRefused(502, f"http-{status}", str(error), is_down=False)
        case HandshakeFailed(status=status, retry_after=retry_after):
            is_down = status is not None and status >= 500
            return UplinkRefused(502, "http-other", str(error), is_down=is_down, retry_after=_seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in its form of seconds (RFC 9110 section 10.2.3); dates are left out, the back-off has its own."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
