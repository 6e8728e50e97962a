"""The object of `GET /api/status`, put together from all who know a part of it."""

from dataclasses import dataclass
from typing import Any

from pointsman_agent.inforce import Holder
from pointsman_agent.observer import Observer
from pointsman_agent.ports import Journal, JournalFault
from pointsman_agent.status import Status


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Takes snapshots of the whole."""

    status: Status
    holder: Holder
    observer: Observer
    journal: Journal

    async def take(self) -> dict[str, Any]:
        """Return the whole as it is now; without open transactions of local stations while the journal is at fault."""
        current, waiting = self.holder.current, self.holder.waiting
        if current is None:
            return self.status.snapshot(None, {})
        try:
            open_transactions = await self.journal.open_transactions()
        except JournalFault:
            open_transactions = {}
        routes = {identity: in_force.routing.routes[identity] for identity, in_force in waiting.items()}
        shown = current.routing.routes | routes
        relayed = [identity for identity, route in shown.items() if route.supervision is not None]
        observed = self.observer.open_transactions(relayed)
        return self.status.snapshot(current.routing, open_transactions | observed, routes)
