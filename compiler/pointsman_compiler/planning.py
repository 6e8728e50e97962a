"""Two stores of a fleet's files → its plan: what is compared, by how many processes, and what the fleet is asked for.

Sites that are untouched cost nothing, but for some of them: their digests, their hosts and their timers say what is
usual in the fleet.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pointsman_schema.canonical import digest_of

from pointsman_compiler.build import conclude
from pointsman_compiler.comparison import (
    Compared,
    Comparison,
    Pair,
    contents,
    differing_files,
    touched_sites,
)
from pointsman_compiler.crew import run
from pointsman_compiler.document import Document
from pointsman_compiler.judging import Judge, SiteReport, site_id
from pointsman_compiler.plan.consent import consent, loosened
from pointsman_compiler.plan.crossings import renamed_sites, ways_of_stations, with_ways
from pointsman_compiler.plan.fleetfacts import FleetFacts
from pointsman_compiler.plan.fleetplan import Plan, fan_outs, judged_by_fleet
from pointsman_compiler.plan.hosts import catalogue_hosts, may_name
from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.problems import Problem
from pointsman_compiler.report.plan.discretion import discreet
from pointsman_compiler.sources import SourceError, SourceTree
from pointsman_compiler.stores import Store

UNTOUCHED_AT_MOST: Final = 300
"""Untouched sites that are compiled all the same: less than half a second's work."""

NO_CROSSING: Final[Mapping[str, frozenset[str]]] = {}

Watch = Callable[[Iterable[Compared], int], Iterator[Compared]]
"""Passes results on while somebody looks, who is told how many there will be."""


class UnknownSite(LookupError):
    """A site that neither side has; `known` are those that one has."""

    def __init__(self, site: str, known: Collection[str]) -> None:
        super().__init__(site)
        self.site = site
        self.known = known


@dataclass(frozen=True, slots=True)
class Wish:
    """What to plan: `sites` (none: all), at which time for expiry, with which labels acknowledged.

    `locks_all` wants each untouched site locked too, by its digest, or by its files' where there are too many.
    """

    at: datetime
    sites: Sequence[str] = ()
    given: Sequence[str] = ()
    jobs: int = 1
    locks_all: bool = False
    show_badges: bool = False


def make_plan(before: Store, after: Store, names: tuple[str, str], wish: Wish, watch: Watch) -> Plan:
    """Return the plan from `before` to `after`, which people call `names`.

    Raises SourceError where `after` has no root, UnknownSite, and what `crew.run` does.
    """
    return _Planner(before, after, wish, watch).plan(names)


class _Planner:
    """One run: the two trees, and what was found in them so far."""

    def __init__(self, before: Store, after: Store, wish: Wish, watch: Watch) -> None:
        self._wish = wish
        self._watch = watch
        self._before = SourceTree(before)
        self._after = SourceTree(after)
        self._pairs: dict[str, Pair] = {}
        self._asked: frozenset[str] = frozenset()
        self._is_first = False
        self._names: Sequence[Problem] = ()
        self._differing: frozenset[str] = frozenset()
        self._facts = FleetFacts()
        self._reports: list[SiteReport] = []
        self._broken: list[str] = []

    def plan(self, names: tuple[str, str]) -> Plan:
        self._find_pairs()
        compared = self._compared()
        compiled = len(compared) + len(self._broken)
        found = self._with_crossings(compared)
        fleet_before, fleet_after = self._fleet(self._before), Judge(self._after, self._wish.at).fleet
        self._facts.hosts |= catalogue_hosts(fleet_before)
        seen = self._seen(found)
        sites = tuple(judged_by_fleet(site, self._facts, seen, is_first=self._is_first) for site in found)
        verdict = conclude(self._after, fleet_after, self._names, self._reports, self._wish.sites or None)
        return Plan(
            *names,
            sites=sites,
            untouched=len(self._asked) - compiled,
            problems=tuple(self._told(problem) for problem in verdict.problems if problem.severity == "error"),
            shows_badges=self._wish.show_badges,
            broken=tuple(sorted(self._broken)),
            loosened=() if self._is_first else loosened(fleet_before, fleet_after.document),
            fan_out=fan_outs(sites),
            consent=consent(fleet_before, fleet_after.document, self._wish.given),
            differing_files=len(self._differing),
            lock={site.site: site.digest_after for site in sites if site.digest_after is not None},
            files=self._files(compiled),
        )

    def _told(self, problem: Problem) -> Problem:
        return problem if self._wish.show_badges else discreet(problem)

    def _find_pairs(self) -> None:
        files_after, self._names = self._after.site_files()
        before, after = _by_site(_site_files(self._before)), _by_site(files_after)
        known = sorted({*before, *after})
        for site in self._wish.sites:
            if site not in known:
                raise UnknownSite(site, known)
        self._asked = frozenset(self._wish.sites or known)
        self._is_first = not before
        pairs = {site: Pair(before.get(site), after.get(site)) for site in known}
        self._differing = differing_files(self._before.store, self._after.store)
        touched = touched_sites(self._before, self._after, pairs, self._differing)
        self._pairs = {
            site: pair if site in touched else Pair(pair.before, pair.after, is_untouched=True)
            for site, pair in pairs.items()
        }

    def _compared(self) -> list[SitePlan]:
        """The plans of the sites that are asked for; what the others are like is a fact of the fleet."""
        untouched = [site for site, pair in self._pairs.items() if pair.is_untouched]
        touched = self._asked - set(untouched)
        plans = []
        for one in self._run(sorted({*_evenly(untouched, UNTOUCHED_AT_MOST), *touched})):
            if one.facts is not None:
                self._facts.add(one.facts)
            if one.site not in self._asked or (one.plan is None and one.site not in touched):
                continue  # what was wrong before, and is not touched, is not this change's
            if one.report is not None:
                self._reports.append(one.report)
            if one.plan is not None:
                plans.append(one.plan)
            else:
                self._broken.append(one.site)
        return plans

    def _with_crossings(self, plans: list[SitePlan]) -> list[SitePlan]:
        """Sites that have another id now as one site each, and stations that go from site to site as moving there."""
        renamed = renamed_sites(plans)
        pairs = {new: Pair(self._pairs[old].before, self._pairs[new].after) for new, old in renamed.items()}
        told = {one.site: one.plan for one in self._run(sorted(pairs), pairs) if one.plan is not None}
        gone = {renamed[new] for new in told}
        plans = [told.get(plan.site, plan) for plan in plans if plan.site not in gone]
        ways = ways_of_stations(plans)
        keys = {f"{old} to {new}": (old, new) for old, new in ways}
        pairs = {
            key: Pair(self._pairs[renamed.get(old, old)].before, self._pairs[new].after)
            for key, (old, new) in keys.items()
        }
        crossing = {key: ways[way] for key, way in keys.items()}
        found = self._run(sorted(pairs), pairs, crossing)
        return with_ways(plans, ways, {keys[one.site]: one.plan.downgrades for one in found if one.plan is not None})

    def _run(
        self,
        sites: Sequence[str],
        pairs: Mapping[str, Pair] | None = None,
        crossing: Mapping[str, frozenset[str]] = NO_CROSSING,
    ) -> Generator[Compared]:
        if not sites:
            return
        recipe = Comparison(
            self._before.store,
            self._after.store,
            self._wish.at,
            self._pairs if pairs is None else pairs,
            self._differing,
            self._wish.show_badges,
            crossing,
        )
        with closing(run(recipe, sites, self._wish.jobs)) as results:
            yield from self._watch(results, len(sites))

    def _seen(self, plans: Sequence[SitePlan]) -> frozenset[str]:
        """Which of the hosts that are new to their sites some other site went to; only those that may have are read."""
        asked = {one.host for plan in plans for one in plan.new_hosts} - self._facts.hosts
        compiled = {plan.site for plan in plans}.union(self._broken)
        rest = [site for site, pair in self._pairs.items() if site not in compiled and pair.before is not None]
        if not asked or not rest:
            return frozenset()
        if not may_name(_text(self._before, self._before.fleet_file()), asked):
            rest = [site for site in rest if may_name(_text(self._before, self._pairs[site].before), asked)]
        found = (one.facts.hosts for one in self._run(rest) if one.facts is not None)
        return frozenset[str]().union(*found) & asked

    def _fleet(self, tree: SourceTree) -> Document | None:
        return Judge(tree, self._wish.at).fleet.document

    def _files(self, compiled: int) -> Mapping[str, str] | None:
        """The digests of all files, where some untouched sites are locked by nothing else."""
        if not self._wish.locks_all or compiled == len(self._asked):
            return None
        return {name: digest_of(content) for name, content in contents(self._after.store)}


def _site_files(tree: SourceTree) -> list[str]:
    try:
        return tree.site_files()[0]
    except SourceError as error:
        if error.reason == "missing":  # the first change of a fleet
            return []
        raise


def _by_site(files: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        found.setdefault(site_id(file), file)
    return found


def _evenly(sites: Sequence[str], most: int) -> list[str]:
    """At most `most` of `sites`, spread over all of them, the same at each call."""
    if len(sites) <= most:
        return list(sites)
    return [sites[number * len(sites) // most] for number in range(most)]


def _text(tree: SourceTree, file: str | None) -> str:
    """What `file` says, for a search; nothing where it cannot be read."""
    try:
        return tree.store.read(file).decode(errors="replace") if file is not None else ""
    except SourceError:
        return ""
