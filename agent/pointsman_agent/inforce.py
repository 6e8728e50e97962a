"""What the agent acts on: the routing with all that was prepared for it. Replaced as a whole, by one assignment."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pointsman_schema.bundle import Listener

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
    """A routing, the secrets it names, TLS contexts by supervision, and listeners by name."""

    routing: Routing
    secrets: SecretValues
    supervision_contexts: Mapping[str, ssl.SSLContext]
    listeners: Mapping[str, ReadyListener]
    _link_settings: dict[tuple[str, str, str], LinkSettings] = field(default_factory=dict, repr=False, compare=False)

    def link_settings(self, listener_name: str, route: Route, protocol: str) -> LinkSettings:
        """Return the settings of a link that came by that listener: one object for all that have the same."""
        supervision = route.supervision
        assert supervision is not None
        key = (listener_name, route.station.operator, protocol)
        if key not in self._link_settings:
            ready = self.listeners[listener_name]
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


class Holder:
    """Where tasks look up what is in force, once per event; None until a bundle is."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: InForce | None = None
