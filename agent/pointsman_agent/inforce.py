"""What the agent acts on: the routing with all that was prepared for it. Replaced as a whole, by one assignment."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pointsman_schema.bundle import Listener

from pointsman_agent.ocpp.intercepts import CertificateHash
from pointsman_agent.ports import SecretValues
from pointsman_agent.routing import Routing


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


class Holder:
    """Where tasks look up what is in force, once per event; None until a bundle is."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: InForce | None = None
