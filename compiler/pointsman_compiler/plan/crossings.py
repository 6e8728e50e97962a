"""What goes on between sites: a site that has another id now, stations that leave one site and join another. Pure.

A site on its own only sees stations leave and join. That a station is the same is told by its identity, that a site is
the same by its stations: one that goes and one that comes are one if they share more than half of them.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Final

from pointsman_compiler.plan.fates import Fate, in_order
from pointsman_compiler.plan.siteplan import CausedDowngrade, SitePlan

MOST_PAIRS: Final = 10_000
"""An identity of which there are more pairs of a site that loses it and one that gains it tells nobody apart."""

Way = tuple[str, str]
"""The ids of two sites: from, to. Before the change, and after it."""


def renamed_sites(plans: Iterable[SitePlan]) -> dict[str, str]:
    """Return the sites that come in the place of one that goes, with the id that this one had."""
    gone = {plan.site: plan for plan in plans if plan.change == "removed" and plan.fates}
    come = {plan.site: plan for plan in plans if plan.change == "added"}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for old, new in [*_equals(gone.values(), come.values()), *_alike(gone, come)]:
        if new not in found and old not in taken:
            found[new] = old
            taken.add(old)
    return found


def ways_of_stations(plans: Collection[SitePlan]) -> dict[Way, frozenset[str]]:
    """Return the stations that leave a site and join another, by where they go from and to."""
    leaving, joining = _sites_of(plans, "leaves"), _sites_of(plans, "joins")
    shared = _shared(leaving, joining)
    found: dict[Way, set[str]] = defaultdict(set)
    for station in leaving.keys() & joining.keys():
        sources = sorted(leaving[station])
        tells_apart = len(sources) * len(joining[station]) <= MOST_PAIRS
        for to in joining[station]:
            others = [site for site in (sources if tells_apart else sources[:2]) if site != to]
            if others:
                source = min(others, key=lambda site: (-shared[site, to], site))
                found[source, to].add(station)
    return {way: frozenset(stations) for way, stations in found.items()}


def with_ways(
    plans: Iterable[SitePlan],
    ways: Mapping[Way, Collection[str]],
    downgrades: Mapping[Way, tuple[CausedDowngrade, ...]],
) -> list[SitePlan]:
    """Return `plans` in which the stations of `ways` move from site to site, with what is less protected for them."""
    plans = list(plans)
    if not ways:
        return plans
    goes_to = {(way[0], station): way[1] for way in sorted(ways, reverse=True) for station in ways[way]}
    comes_from = {(way[1], station): way[0] for way in ways for station in ways[way]}
    owners = {(plan.site, station): fate.before for plan, fate, station in _each(plans) if fate.kind == "leaves"}
    less: dict[str, tuple[CausedDowngrade, ...]] = {}
    for way in sorted(downgrades):
        less[way[1]] = less.get(way[1], ()) + downgrades[way]
    crossing = {site for way in ways for site in way}
    found = []
    for plan in plans:
        if plan.site not in crossing:
            found.append(plan)
            continue
        grouped: dict[Fate, list[str]] = {}
        for _, fate, station in _each([plan]):
            one = replace(fate, stations=())
            if fate.kind == "leaves":
                one = replace(one, site=goes_to.get((plan.site, station)))
            elif fate.kind == "joins" and (source := comes_from.get((plan.site, station))) is not None:
                one = replace(one, kind="moves", before=owners[source, station], site=source)
            grouped.setdefault(one, []).append(station)
        found.append(replace(plan, fates=in_order(grouped), downgrades=(*plan.downgrades, *less.get(plan.site, ()))))
    return found


def _each(plans: Iterable[SitePlan]) -> Iterable[tuple[SitePlan, Fate, str]]:
    return ((plan, fate, station) for plan in plans for fate in plan.fates for station in fate.stations)


def _sites_of(plans: Iterable[SitePlan], kind: str) -> dict[str, list[str]]:
    """The sites in which a station has that fate, by station."""
    found: dict[str, list[str]] = defaultdict(list)
    for plan, fate, station in _each(plans):
        if fate.kind == kind:
            found[station].append(plan.site)
    return found


def _equals(gone: Iterable[SitePlan], come: Iterable[SitePlan]) -> list[Way]:
    """Sites that compile to the same."""
    by_digest: dict[str | None, list[str]] = defaultdict(list)
    for plan in sorted(gone, key=lambda plan: plan.site, reverse=True):
        by_digest[plan.digest_before].append(plan.site)
    ordered = sorted(come, key=lambda plan: plan.site)
    return [(by_digest[plan.digest_after].pop(), plan.site) for plan in ordered if by_digest[plan.digest_after]]


def _alike(gone: Mapping[str, SitePlan], come: Mapping[str, SitePlan]) -> list[Way]:
    """Sites with more than half of their stations in common, those with the most first; then by their names."""
    shared = _shared(_sites_of(gone.values(), "leaves"), _sites_of(come.values(), "joins"))
    ranked = []
    for (old, new), count in shared.items():
        most = max(_size(gone[old]), _size(come[new]))
        if 2 * count > most:
            ranked.append((-count / most, -_likeness(old, new), old, new))
    return [(old, new) for _, _, old, new in sorted(ranked)]


def _shared(leaving: Mapping[str, Collection[str]], joining: Mapping[str, Collection[str]]) -> Counter[Way]:
    """How many stations of a site that loses them and of one that gains them have the same identity."""
    found: Counter[Way] = Counter()
    for station in leaving.keys() & joining.keys():
        if len(leaving[station]) * len(joining[station]) <= MOST_PAIRS:
            found.update((old, new) for old in leaving[station] for new in joining[station])
    return found


def _likeness(one: str, other: str) -> int:
    """How many characters two names begin and end with together."""
    return _in_common(one, other) + _in_common(one[::-1], other[::-1])


def _in_common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _size(plan: SitePlan) -> int:
    return sum(len(fate.stations) for fate in plan.fates)
