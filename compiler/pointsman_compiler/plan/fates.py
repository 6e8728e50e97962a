"""What becomes of the stations of one site: who drops, who gets another operator, who comes and who goes. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from pointsman_schema.bundle import Config
from pointsman_schema.changes import Changes, StationChange

from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.differences import Path

Kind = Literal["moves", "reconnects", "may reconnect", "leaves", "joins"]

_KINDS: Final[Mapping[str, Kind]] = {
    "moves": "moves",
    "reconnects": "reconnects",
    "disappears": "leaves",
    "appears": "joins",
}
_ORDER: Final[tuple[Kind, ...]] = ("moves", "leaves", "reconnects", "may reconnect", "joins")
"""What a reviewer must see first."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What stations (at least one, sorted) go through together, and the lines that make it so.

    `before` and `after` are their operators; None where they are not in the site. Whoever moves drops and comes back.
    `is_by_listener`: not for what their connections are made from, but since a listener turns its stations out.
    `site` is the other site where they go from one to another: where they come from, or, if they leave, go to.
    """

    kind: Kind
    stations: tuple[str, ...]
    before: str | None
    after: str | None
    causes: tuple[Cause, ...]
    is_by_listener: bool = False
    site: str | None = None

    @property
    def drops(self) -> bool:
        """Whether a connection that is there now is sure to end."""
        return self.kind in ("moves", "reconnects", "leaves")


def fates(
    before: Config, after: Config, found: Changes, cause_of: Callable[[Path], Cause], of_all: Cause | None = None
) -> tuple[Fate, ...]:
    """Return the fates of all stations that are not simply left alone, the gravest first.

    A listener that turns its stations out turns out all of the site's where it is the only one; where there are
    several, nobody but the controller knows who came through it: then they may reconnect. `of_all` is what makes every
    station drop.
    """
    grouped: dict[Fate, list[str]] = {}
    for station, change in found.stations.items():
        causes = tuple(dict.fromkeys(map(cause_of, change.why)))
        fate = Fate(_KINDS[change.kind], (), _before(change), _after(change), causes)
        grouped.setdefault(fate, []).append(station)
    by_listener = tuple(dict.fromkeys(cause_of(("listeners", name)) for name in sorted(found.turned_out)))
    causes = (of_all,) if of_all is not None else by_listener
    if causes:
        kind: Kind = "reconnects" if of_all is not None or len(before.listeners) == 1 else "may reconnect"
        for station in before.stations.keys() & after.stations.keys() - found.stations.keys():
            operator = after.stations[station].operator
            fate = Fate(kind, (), operator, operator, causes, is_by_listener=of_all is None)
            grouped.setdefault(fate, []).append(station)
    return in_order(grouped)


def fates_of_all(config: Config, kind: Literal["leaves", "joins"], cause: Cause) -> tuple[Fate, ...]:
    """Return the fates of all stations of a site that goes, or comes."""
    grouped: dict[Fate, list[str]] = {}
    for station, entry in config.stations.items():
        before, after = (entry.operator, None) if kind == "leaves" else (None, entry.operator)
        grouped.setdefault(Fate(kind, (), before, after, (cause,)), []).append(station)
    return in_order(grouped)


def in_order(grouped: Mapping[Fate, Iterable[str]]) -> tuple[Fate, ...]:
    """Return each fate with its stations, the gravest first."""
    made = (replace(fate, stations=tuple(sorted(stations))) for fate, stations in grouped.items())
    return tuple(sorted(made, key=lambda fate: (_ORDER.index(fate.kind), fate.stations)))


def owners(config: Config) -> dict[str, int]:
    """Return how many stations each operator has."""
    return dict(Counter(station.operator for station in config.stations.values()))


def _before(change: StationChange) -> str | None:
    return change.before.operator if change.before is not None else None


def _after(change: StationChange) -> str | None:
    return change.after.operator if change.after is not None else None
