"""All that is known of a station: its status, and what it says it is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pointsman_agent.inforce import Holder
from pointsman_agent.inventory import inventory_of
from pointsman_agent.observer import Observer
from pointsman_agent.ports import Clock
from pointsman_agent.web.errors import no_such_station

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dossier:
    """Looks stations up; `snapshot` returns the object of `GET /api/status`."""

    holder: Holder
    observer: Observer
    clock: Clock
    snapshot: Callable[[], Awaitable[Row]]

    @property
    def time_zone(self) -> str:
        """The site's; UTC while it is not known."""
        in_force = self.holder.current
        return "UTC" if in_force is None else in_force.routing.config.time_zone

    def identity(self, station: str) -> str:
        """Return a station's identity as the bundle in force spells it. Raises AdminError."""
        route = self.holder.find(station)
        if route is None:
            raise no_such_station(station)
        return route.identity

    async def of(self, station: str) -> Row:
        """Return the row of the status of a station, with its `inventory`. Raises AdminError."""
        identity = self.identity(station)
        status = await self.snapshot()
        row = next((row for row in status["stations"] if row["station"] == identity), None)
        if row is None:  # a bundle without it came meanwhile
            raise no_such_station(station)
        return self.with_inventory(row)

    def with_inventory(self, row: Row) -> Row:
        """Return a row of the status with what the station says it is."""
        return {**row, "inventory": inventory_of(self.observer.of(row["station"]))}

    def inventory(self) -> list[Row]:
        """Return what all stations of the bundle in force say they are."""
        in_force = self.holder.current
        routes = {} if in_force is None else in_force.routing.routes
        return [{"station": name, **inventory_of(self.observer.of(name))} for name in sorted(routes)]
