"""The connection test of a supervision (rule 51): works without a station; with one, the whole handshake it would make.

A station that connects while its handshake is tested wins at once: the test gives way.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import trio

from pointsman_agent import advice
from pointsman_agent.handshake import basic_header
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.names import CachedNames
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.probing import Findings, Place, ShownCertificate, connect, look_at
from pointsman_agent.routing import KNOWN_PROTOCOLS, Route, offered_upstream, uplink_target
from pointsman_agent.session import Sessions
from pointsman_agent.streams import OwnedStream
from pointsman_agent.upgrade import HandshakeFailed, Opened, open_client
from pointsman_agent.uplink import configured_key, proxy_address
from pointsman_agent.uplinkkeys import UplinkKeys
from pointsman_agent.web.errors import AdminError
from pointsman_agent.wire import client_wire

IDENTITY_OF_NOBODY: Final = "pointsman-connection-test"
MOST_TESTS: Final = 4  # at once; more wait
_NORMAL: Final = 1000
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class ConnectionTests:
    """Tests supervisions of the bundle in force."""

    holder: Holder
    sessions: Sessions
    keys: UplinkKeys
    names: CachedNames
    limiter: trio.CapacityLimiter

    async def run(self, supervision: str, station: str | None) -> dict[str, object]:
        """Return the report of a test, as the API has it. Raises AdminError when there is nothing to test.

        Bounded by three times the supervision's `connectTimeout`, once a place is free.
        """
        in_force = self.holder.current
        if in_force is None:
            raise AdminError(503, "no bundle is in force")
        if supervision not in in_force.routing.config.supervisions:
            known = ", ".join(sorted(in_force.routing.config.supervisions)) or "none"
            raise AdminError(404, f"no supervision {supervision!r} in the bundle; there is: {known}")
        route = None if station is None else self._route(in_force, supervision, station)
        async with self.limiter:
            place = place_of(in_force, supervision, IDENTITY_OF_NOBODY if route is None else route.identity)
            self.names.forget(place.proxy.host if place.proxy else place.target.host)
            if route is None:
                findings = await look_at(place, list(KNOWN_PROTOCOLS))
            else:
                findings = await self._shake_hands(in_force, place, route)
        return report(supervision, in_force.routing.config.supervisions[supervision].url, station, findings)

    def _route(self, in_force: InForce, supervision: str, station: str) -> Route:
        route = in_force.routing.find(station)
        if route is None or route.supervision_name != supervision:
            raise AdminError(404, f"{supervision!r} has no station {station!r} in the bundle")
        return route

    async def _shake_hands(self, in_force: InForce, place: Place, route: Route) -> Findings:
        if self.sessions.is_connected(route.identity):
            raise AdminError(409, f"station {route.identity!r} is connected: its link is the proof")
        async with self.sessions.claim(route.identity) as session, trio.open_nursery() as nursery:
            with session.ending_calls(nursery.cancel_scope.cancel):
                findings = await self._try_keys(nursery, in_force, place, route)
            nursery.cancel_scope.cancel()
            return findings
        raise AdminError(409, f"station {route.identity!r} connected meanwhile: its link is the proof")

    async def _try_keys(self, nursery: trio.Nursery, in_force: InForce, place: Place, route: Route) -> Findings:
        """As an uplink does it: a key that the supervision set first, and after a 401 the one before it (rule 21)."""
        assert route.supervision is not None
        assert route.supervision_name is not None
        configured = configured_key(route.supervision, route.identity, in_force.secrets)
        candidates = self.keys.candidates
        keys = await trio.to_thread.run_sync(
            candidates, route.supervision_name, place.target.host, route.identity, configured
        )
        for key in keys:
            findings = Findings()
            headers = [] if key is None else [(b"Authorization", basic_header(route.identity, key))]
            status = await _try_handshake(nursery, place, route, headers, findings)
            if status != _UNAUTHORIZED:
                break
        return findings


def place_of(in_force: InForce, name: str, identity: str) -> Place:
    """Return where the uplink of `identity` to the supervision `name` would go, and how."""
    supervision = in_force.routing.config.supervisions[name]
    target = uplink_target(supervision.url, identity)
    return Place(
        target,
        proxy_address(supervision.proxy, in_force.secrets),
        in_force.supervision_contexts[name] if target.is_tls else None,
        supervision.connect_timeout,
    )


def report(supervision: str, url: str, station: str | None, findings: Findings) -> dict[str, object]:
    """Return the object of the API; of the URL without its query, which may hold a credential."""
    return {
        "supervision": supervision,
        "url": urlsplit(url)._replace(query="").geturl(),
        "station": station,
        "ok": findings.is_good,
        "steps": [step.as_json() for step in findings.steps],
        "certificate": None if findings.certificate is None else certificate_row(findings.certificate),
    }


def certificate_row(certificate: ShownCertificate) -> dict[str, str]:
    """Return a certificate as the API has it."""
    return {"subject": certificate.subject, "issuer": certificate.issuer, "expires": rfc3339(certificate.expires)}


async def _try_handshake(
    nursery: trio.Nursery, place: Place, route: Route, headers: list[tuple[bytes, bytes]], findings: Findings
) -> int | None:
    """Make one whole handshake and close it; returns the HTTP status where it was refused with one."""
    stream = await connect(place, findings)
    if stream is None:
        return None
    owned = OwnedStream(stream)
    protocols = offered_upstream(route, KNOWN_PROTOCOLS)
    try:
        with trio.fail_after(place.within_s):
            target = place.target
            opened = await open_client(
                nursery,
                owned,
                authority=target.authority,
                resource=target.resource,
                protocols=protocols,
                headers=headers,
            )
        await _note_protocol(opened, protocols, findings)
    except HandshakeFailed as error:
        findings.note("handshake", "fail", str(error), advice.of_handshake(error.status))
        return error.status
    except trio.TooSlowError:
        findings.note("handshake", "fail", f"no answer within {place.within_s:g} s", advice.of_silence())
    finally:
        await owned.finish(drain=False)
    return None


async def _note_protocol(opened: Opened, protocols: list[str], findings: Findings) -> None:
    if opened.protocol in protocols:
        findings.note("handshake", "ok", f"accepted, {opened.protocol}")
    else:
        remedy = "compare `protocols` of station and supervision with what the supervision speaks"
        findings.note("handshake", "fail", f"chose {opened.protocol!r} of {', '.join(protocols)}", remedy)
    await client_wire(opened).close(_NORMAL, "connection test")
