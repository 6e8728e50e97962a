"""A bundle → what the running agent asks of it: which station, which operator, which address. Immutable, no I/O."""

from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from pointsman_schema.badgelist import fold_badge
from pointsman_schema.bundle import LOCAL, Badge, Bundle, Group, Station, Supervision

KNOWN_PROTOCOLS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
LOCAL_PROTOCOLS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
"""What the agent speaks as operator of local groups."""

_PLACEHOLDER: Final = "{station}"
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


class UplinkTarget(msgspec.Struct, frozen=True):
    """Where an uplink goes: `host` as dialled, `authority` as in the Host header, `resource` as in the request line."""

    is_tls: bool
    host: str
    port: int
    authority: str
    resource: str


class Route(msgspec.Struct, frozen=True):
    """A configured station. `supervision` is None where the operator is the agent itself."""

    identity: str
    station: Station
    supervision_name: str | None
    supervision: Supervision | None


class Routing:
    """The look-up tables of one bundle. `badges` holds the bundle's and those of secret lists, by folded number."""

    def __init__(self, bundle: Bundle, secret_badges: dict[str, Badge] | None = None) -> None:
        self.bundle = bundle
        self.config = bundle.config
        self.badges = {**(secret_badges or {}), **bundle.config.badges}
        self._routes = {identity: _route(bundle, identity) for identity in bundle.config.stations}
        self._members = {
            name: frozenset(identity for identity, route in self._routes.items() if route.station.group == name)
            for name in bundle.config.groups
        }
        self._folded: dict[str, list[str]] = {}
        for identity in bundle.config.stations:
            self._folded.setdefault(identity.casefold(), []).append(identity)

    @property
    def routes(self) -> dict[str, Route]:
        """All stations by identity, in the bundle's order."""
        return self._routes

    def find(self, identity: str) -> Route | None:
        """Return the station that a request names: exactly, else by its only case-folded match (rule 3)."""
        exact = self._routes.get(identity)
        if exact is not None:
            return exact
        candidates = self._folded.get(identity.casefold(), [])
        return self._routes[candidates[0]] if len(candidates) == 1 else None

    def group_of(self, route: Route) -> Group:
        """Return the group of a station; only for stations whose operator is local, which all have one."""
        assert route.station.group is not None
        return self.config.groups[route.station.group]

    def stations_of(self, group_name: str) -> frozenset[str]:
        """Return the identities of a group's stations."""
        return self._members.get(group_name, frozenset())

    def badge(self, number: str) -> Badge | None:
        """Return what is known of a badge, without regard to ASCII case (rule 34)."""
        return self.badges.get(fold_badge(number))


def offered_upstream(route: Route, offered: tuple[str, ...]) -> list[str]:
    """Return the subprotocols to agree on, best first (rule 5).

    What the station offered, in its own order, cut to the station's and the operator's protocols; a supervision's own
    list, when set, gives the order. A station that offers none speaks its `assumeProtocol`, if it has one.
    """
    if not offered and route.station.assume_protocol is not None:
        offered = (route.station.assume_protocol,)
    allowed = set(route.station.protocols or KNOWN_PROTOCOLS)
    common: list[str] = [protocol for protocol in dict.fromkeys(offered) if protocol in allowed]
    if route.supervision is None:
        return [protocol for protocol in common if protocol in LOCAL_PROTOCOLS]
    if route.supervision.protocols is None:
        return common
    return [*(protocol for protocol in route.supervision.protocols if protocol in common)]


def uplink_target(url: str, identity: str) -> UplinkTarget:
    """Return where the uplink of `identity` goes (rule 4): path + `/` + identity, or `{station}` replaced by it.

    The identity is percent-encoded with nothing safe; a query stays behind the path; a trailing slash in `url` changes
    nothing. `url` is valid, as the compiler saw to it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = _DEFAULT_PORTS[parts.scheme]
    port = parts.port or default
    encoded = quote(identity, safe="")
    path = parts.path
    path = path.replace(_PLACEHOLDER, encoded) if _PLACEHOLDER in path else f"{path.rstrip('/')}/{encoded}"
    bracketed = f"[{host}]" if ":" in host else host
    return UplinkTarget(
        is_tls=parts.scheme == "wss",
        host=host,
        port=port,
        authority=bracketed if port == default else f"{bracketed}:{port}",
        resource=path + (f"?{parts.query}" if parts.query else ""),
    )


def _route(bundle: Bundle, identity: str) -> Route:
    station = bundle.config.stations[identity]
    if station.operator == LOCAL:
        return Route(identity, station, None, None)
    return Route(identity, station, station.operator, bundle.config.supervisions[station.operator])
