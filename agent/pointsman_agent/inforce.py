"""What the agent acts on: the routing with all that was prepared for it. Replaced as a whole, by one assignment."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from pointsman_agent.ports import SecretValues
from pointsman_agent.routing import Routing


@dataclass(frozen=True, slots=True)
class InForce:
    """A routing, the secrets it names, and TLS contexts by supervision and by listener (None: no TLS there)."""

    routing: Routing
    secrets: SecretValues
    supervision_contexts: Mapping[str, ssl.SSLContext]
    listener_contexts: Mapping[str, ssl.SSLContext | None]


class Holder:
    """Where tasks look up what is in force, once per event; None until a bundle is."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: InForce | None = None
