"""What the agent acts on: the routing with all that was prepared for it. Replaced as a whole, by one assignment.

A station that is to move to another operator and cannot yet is served as before: by an older one (rule 44).
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pointsman_schema.bundle import Listener
from pointsman_schema.changes import StationLink, link_change

from pointsman_agent.ocpp.intercepts import CertificateHash, LinkSettings
from pointsman_agent.ports import SecretValues
from pointsman_agent.routing import Route, Routing, uplink_target


@dataclass(frozen=True, slots=True)
class ReadyListener:
    """A listener with all that was prepared for it; `context` None: no TLS there.

    `certificates` name its own chain as OCPP does; `is_own_certificate` judges a chain for a station, None where
    stations need no certificate.
    """

    listener: Listener
    context: ssl.SSLContext | None
    certificates: frozenset[CertificateHash]
    is_own_certificate: Callable[[str], bool] | None


@dataclass(frozen=True, slots=True)
class InForce:
    """A routing, the secrets it names, TLS contexts by supervision, listeners by name, and what each station's
    connection is made from."""

    routing: Routing
    secrets: SecretValues
    supervision_contexts: Mapping[str, ssl.SSLContext]
    listeners: Mapping[str, ReadyListener]
    links: Mapping[str, StationLink]
    _link_settings: dict[tuple[object, ...], LinkSettings] = field(default_factory=dict, repr=False, compare=False)

    def link_settings(self, ready: ReadyListener, route: Route, protocol: str) -> LinkSettings:
        """Return the settings of a link that came by that listener: one object for all that have the same."""
        supervision = route.supervision
        assert supervision is not None
        key = (ready.certificates, ready.is_own_certificate, route.station.operator, protocol)
        if key not in self._link_settings:
            self._link_settings[key] = LinkSettings(
                message_timeout=supervision.message_timeout,
                forward_security_events=supervision.forward_security_events,
                protocol=protocol,
                condemn_any=supervision.condemn == "any",
                host=uplink_target(supervision.url, route.identity).host,
                listener_certificates=ready.certificates,
                is_own_certificate=ready.is_own_certificate,
            )
        return self._link_settings[key]

    def is_same_link(self, other: "InForce", identity: str) -> bool:
        """Whether a station's connection is made from the same under both, secrets included."""
        changed = {name for name, value in self.secrets.items() if other.secrets.get(name, value) != value}
        return link_change(identity, self.links.get(identity), other.links.get(identity), changed) is None


class Holder:
    """Where tasks look up what is in force, once per event; None until a bundle is.

    `current` is in force for all stations but those in `waiting`, which have yet to move and are served by what is
    there for them. Both are replaced in one go.
    """

    __slots__ = ("_came", "current", "waiting")

    def __init__(self) -> None:
        self.current: InForce | None = None
        self.waiting: Mapping[str, InForce] = {}
        self._came: set[str] = set()

    def put(self, current: InForce | None, waiting: Mapping[str, InForce]) -> None:
        """Put in force; nobody sees a half of it."""
        self.current, self.waiting = current, waiting

    def of(self, identity: str) -> InForce | None:
        """Return what is in force for a station."""
        return self.waiting.get(identity, self.current)

    def find(self, name: str) -> Route | None:
        """Return a station of the current bundle as people name it, in any case; None where there is none."""
        return None if self.current is None else self.current.routing.find(name)

    def coming(self, identity: str) -> InForce | None:
        """As `of`, for a station that is just connecting; of one that waits it is noted that it came."""
        if identity in self.waiting:
            self._came.add(identity)
        return self.of(identity)

    def who_came(self) -> set[str]:
        """Return which of the waiting stations have connected since this was asked last."""
        came, self._came = self._came, set()
        return came
