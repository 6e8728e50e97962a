"""The composition: a tree of files → what is wrong with it, and its resolved sites.

`check` keeps everything, for trees that fit into memory and for whoever wants to look at the sites; `conclude` needs
only what is left of judged sites, wherever and whenever they were judged.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from pointsman_compiler.document import Document, Path, read_document
from pointsman_compiler.judging import FleetFile, Judge, SiteReport, site_id, where_no_rule_objects
from pointsman_compiler.problems import Place, Problem, sort_problems
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.rules.fleet import find_fleet_problems
from pointsman_compiler.rules.rollout import find_rollout_problems
from pointsman_compiler.sources import SourceError, SourceTree

__all__ = ["CheckResult", "Verdict", "check", "conclude", "site_id"]

DOCUMENTS_AT_HAND: Final = 64
"""Documents kept for the places in them; two sites that share one station often share many."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found over all chosen sites: the problems in their order, the ids of the sites, those free of errors."""

    problems: tuple[Problem, ...]
    sites: tuple[str, ...]
    sound: frozenset[str]

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many of the problems are warnings."""
        return len(self.problems) - self.errors


@dataclass(frozen=True, slots=True)
class CheckResult(Verdict):
    """A verdict with the sites themselves: those without errors resolved, by site."""

    resolved: tuple[ResolvedSite, ...]


def check(tree: SourceTree, at: datetime, sites: Collection[str] | None = None) -> CheckResult:
    """Return what is wrong with the sites of `tree` at the aware time `at`, which only expiry dates are held against.

    With `sites` only problems of these are shown; all are read, for a station may stand on two sites. Raises
    SourceError when the root itself cannot be read.
    """
    files, names = tree.site_files()
    judge = Judge(tree, at)
    judged = [judge.judge(file) for file in files]
    verdict = conclude(tree, judge.fleet, names, [one.report for one in judged], sites)
    found = [one.resolved for one in judged if one.resolved is not None and one.report.file in verdict.sound]
    resolved = tuple(sorted(found, key=lambda site: site.site))
    return CheckResult(verdict.problems, verdict.sites, verdict.sound, resolved)


def conclude(
    tree: SourceTree,
    fleet: FleetFile,
    names: Iterable[Problem],
    reports: Sequence[SiteReport],
    sites: Collection[str] | None = None,
) -> Verdict:
    """Return the verdict over `reports`, in which the rules over the fleet have their say.

    `names` are the problems of names in the tree; with `sites` only problems of these are shown. `tree` is read again
    where two sites clash, to show both places.
    """
    found = [*names, *fleet.problems, *(problem for report in reports for problem in report.problems)]
    found += find_fleet_problems((one for report in reports for one in report.remote), _place_of_key(tree))
    found += where_no_rule_objects(fleet.shape, found)
    found += find_rollout_problems(tree, {report.site for report in reports})
    chosen = [report for report in reports if sites is None or report.site in sites]
    problems = _without_doubles(found)
    if sites is not None:
        shown = {tree.fleet_file()}.union(*({report.file} | report.files for report in chosen))
        problems = [problem for problem in problems if problem.place.file in shown]
    return Verdict(
        tuple(sort_problems(problems)),
        tuple(sorted({report.site for report in chosen})),
        frozenset(report.file for report in chosen) - _wrong(problems),
    )


def _wrong(problems: Iterable[Problem]) -> frozenset[str]:
    return frozenset(problem.place.file for problem in problems if problem.severity == "error")


def _place_of_key(tree: SourceTree) -> Callable[[str, Path], Place]:
    """Clashes are rare, so a site's file is read again for its places; one that vanished meanwhile has a name only."""

    @lru_cache(maxsize=DOCUMENTS_AT_HAND)
    def document(file: str) -> Document | None:
        try:
            found = read_document(file, tree.read(file))
        except SourceError:
            return None
        return found if isinstance(found, Document) else None

    def place(file: str, path: Path) -> Place:
        found = document(file)
        return found.place_of(path, "key") if found is not None else Place(file, 1, 1, 1, 1)

    return place


def _without_doubles(problems: Iterable[Problem]) -> list[Problem]:
    """Several sites may find the same fault in the fleet's file or in a list that they share."""
    return list({(one.code, one.severity, one.place, one.path, one.message): one for one in problems}.values())
