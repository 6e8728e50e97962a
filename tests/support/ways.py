"""The ways in which the agent relays: plain, and both legs under TLS."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pointsman_schema.bundle import Config
from pointsman_simulator.station import Station, connect_station
from pointsman_simulator.supervision import Supervision, open_supervision
from support.agents import RunningAgent, running_agent
from support.legs import certificates
from support.sites import LISTENER, a_listener, free_port


@dataclass(frozen=True, slots=True)
class Way:
    """Opens supervisions, agents and stations so that they meet that way."""

    is_tls: bool = False

    @property
    def scheme(self) -> str:
        """Of the URLs of a supervision."""
        return "wss" if self.is_tls else "ws"

    def open_supervision(self, **options: Any) -> AbstractAsyncContextManager[Supervision]:
        """As the simulator's."""
        return open_supervision(ssl_context=certificates().server if self.is_tls else None, **options)

    def running_agent(self, folder: Path, config: Config) -> AbstractAsyncContextManager[RunningAgent]:
        """Run an agent on `config`, whose one listener and whose supervisions get what TLS needs."""
        if not self.is_tls:
            return running_agent(folder, config)
        port, trust = free_port(), [certificates().root]
        listener = a_listener(port, security_profile=2, certificate=certificates().pair)
        supervisions = {name: msgspec.structs.replace(each, trust=trust) for name, each in config.supervisions.items()}
        secured = msgspec.structs.replace(config, supervisions=supervisions, listeners={LISTENER: listener})
        return running_agent(folder, secured, port=port, secrets=certificates().secrets)

    def connect_station(
        self, agent: RunningAgent, identity: str, **options: Any
    ) -> AbstractAsyncContextManager[Station]:
        """As the simulator's."""
        context = certificates().client if self.is_tls else None
        return connect_station(agent.url(identity, self.scheme), ssl_context=context, **options)
