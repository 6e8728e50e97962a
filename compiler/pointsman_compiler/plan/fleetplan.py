"""The plans of all sites → the plan of the fleet. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pointsman_compiler.plan.causes import SideName
from pointsman_compiler.plan.consent import Consent
from pointsman_compiler.plan.fates import Kind as FateKind
from pointsman_compiler.plan.fleetfacts import FleetFacts, timer_at
from pointsman_compiler.plan.risks import Risk, is_fleet_wide, risks_of
from pointsman_compiler.plan.siteplan import CausedDowngrade, Change, SitePlan, UnusualTimer
from pointsman_compiler.problems import Problem

NO_CONSENT: Final = Consent()


@dataclass(frozen=True, slots=True)
class FanOut:
    """A line (or a whole file: no line) that changes several sites, and how many of their stations drop by it."""

    file: str
    line: int | None
    side: SideName
    sites: tuple[str, ...]
    stations: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The stations of a fleet by what becomes of them, and the badges."""

    moves: int = 0
    reconnects: int = 0
    may_reconnect: int = 0
    leaves: int = 0
    joins: int = 0
    badges_gained: int = 0
    badges_lost: int = 0
    badges_changed: int = 0

    @property
    def drops(self) -> int:
        """Stations whose connection is sure to end, and comes back."""
        return self.moves + self.reconnects


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change does to a fleet.

    `sites` are those that were compiled, sorted; `untouched` counts the others, of which every input has the same bytes
    on both sides. `broken` are sites that do not compile after the change: `problems` say why, and nothing is known of
    what would become of them. `lock` has the digest of each site that compiles, `files` those of all files where some
    untouched sites' were left out. Numbers of badges stand in it only where it `shows_badges`. `before` and `after` are
    what people call the two sides.
    """

    before: str
    after: str
    sites: tuple[SitePlan, ...]
    untouched: int = 0
    problems: tuple[Problem, ...] = ()
    broken: tuple[str, ...] = ()
    loosened: tuple[CausedDowngrade, ...] = ()
    fan_out: tuple[FanOut, ...] = ()
    consent: Consent = NO_CONSENT
    differing_files: int = 0
    lock: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] | None = None
    shows_badges: bool = False

    @property
    def total(self) -> int:
        """How many sites the fleet has after the change."""
        return sum(site.change != "removed" for site in self.sites) + self.untouched + len(self.broken)

    @property
    def changed(self) -> tuple[SitePlan, ...]:
        """The sites to which something happens."""
        return tuple(site for site in self.sites if site.change != "same")

    def having(self, change: Change) -> int:
        """Return how many sites are `change`."""
        return sum(site.change == change for site in self.sites)

    @property
    def risks(self) -> tuple[Risk, ...]:
        """The labels of the whole; none of a change that does not compile, since nobody knows what it would do."""
        if not self.compiles:
            return ()
        found = {risk for site in self.changed for risk in site.risks}
        return risks_of(
            is_change=bool(self.changed),
            reconnects="risk/reconnect" in found,
            moves="risk/authority-move" in found,
            downgrades="risk/security-downgrade" in found or bool(self.loosened),
            fleet_wide=is_fleet_wide(len(self.changed), max(self.total, len(self.changed))),
        )

    @property
    def missing(self) -> tuple[Risk, ...]:
        """Labels that the policy wants acknowledged, and nobody did."""
        return self.consent.missing(self.risks)

    @property
    def compiles(self) -> bool:
        """Whether the files after the change can be compiled, all of them."""
        return not self.broken and all(one.severity != "error" for one in self.problems)

    @property
    def is_admitted(self) -> bool:
        """Whether the change may be merged, as far as files and policy say."""
        return self.compiles and not self.missing

    @property
    def counts(self) -> Counts:
        """What becomes of stations and badges, over all sites."""
        stations: Counter[FateKind] = Counter()
        for site in self.sites:
            for fate in site.fates:
                if not (fate.kind == "leaves" and fate.site is not None):  # it is told where they go to
                    stations[fate.kind] += len(fate.stations)
        return Counts(
            moves=stations["moves"],
            reconnects=stations["reconnects"],
            may_reconnect=stations["may reconnect"],
            leaves=stations["leaves"],
            joins=stations["joins"],
            badges_gained=sum(site.badges.gained for site in self.sites),
            badges_lost=sum(site.badges.lost for site in self.sites),
            badges_changed=sum(site.badges.changed for site in self.sites),
        )


def judged_by_fleet(site: SitePlan, facts: FleetFacts, seen: Collection[str], *, is_first: bool) -> SitePlan:
    """Return `site` with what only the fleet can say of it: hosts never seen before, and timers that are unusual.

    `seen` are hosts that some site went to, besides those of `facts`. In the first plan of a fleet (`is_first`) every
    host is new, which says nothing.
    """
    new = [
        CausedDowngrade("new-host", one.path, None, one.host, one.cause)
        for one in site.new_hosts
        if not is_first and one.host not in facts.hosts and one.host not in seen
    ]
    if not new and not site.changes:
        return site
    return replace(site, downgrades=(*site.downgrades, *new), unusual=tuple(_unusual(site, facts)))


def fan_outs(sites: Iterable[SitePlan]) -> tuple[FanOut, ...]:
    """Return the lines and files that change more than one site, those with the most sites first."""
    found: dict[tuple[str, int | None, SideName], set[str]] = {}
    dropping: dict[tuple[str, int | None, SideName], int] = {}
    for site in sites:
        causes = [*(change.cause for change in site.changes), *site.badges.causes]
        for cause in causes:
            if cause.file is not None:
                found.setdefault((cause.file, cause.line, cause.side), set()).add(site.site)
        for file, line, side, stations in _drops(site):
            dropping[file, line, side] = dropping.get((file, line, side), 0) + stations
    shared = [
        FanOut(*key, tuple(sorted(names)), dropping.get(key, 0)) for key, names in found.items() if len(names) > 1
    ]
    return tuple(sorted(shared, key=lambda one: (-len(one.sites), one.file, one.line or 0, one.side)))


def _drops(site: SitePlan) -> Iterator[tuple[str, int | None, SideName, int]]:
    """How many stations drop by which line; one that drops by several is counted for each."""
    for fate in site.fates:
        if not fate.drops:
            continue
        for cause in fate.causes:
            if cause.file is not None:
                yield cause.file, cause.line, cause.side, len(fate.stations)


def _unusual(site: SitePlan, facts: FleetFacts) -> Iterator[UnusualTimer]:
    for change in site.changes:
        timer = timer_at(change.path)
        usual = facts.usual(timer) if timer is not None else None
        if usual is not None and isinstance(change.after, int) and not usual[0] <= change.after <= usual[1]:
            yield UnusualTimer(change.path, change.after, usual, change.cause)
