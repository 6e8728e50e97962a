"""The composition: a tree of files → what is wrong with it, and its resolved sites.

Every site is checked whatever is wrong with the others; one with errors is not resolved. Where the site's schema and a
rule object to one place, only the rule's problem is shown, because it knows what was meant.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pointsman_compiler.attachments import AttachmentReader, Attachments
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.grouping import Grouping, group_stations
from pointsman_compiler.layers import LayeredSite, lay
from pointsman_compiler.problems import Place, Problem, sort_problems
from pointsman_compiler.resolve import ModelError, ResolvedSite, resolve
from pointsman_compiler.rules.badges import find_badge_problems
from pointsman_compiler.rules.certificates import find_certificate_problems
from pointsman_compiler.rules.fleet import find_fleet_problems
from pointsman_compiler.rules.groups import find_group_problems
from pointsman_compiler.rules.listeners import find_listener_problems, find_password_problems
from pointsman_compiler.rules.protocols import find_protocol_problems
from pointsman_compiler.rules.secrets import CLEAR_SECRET, find_clear_secrets, find_secret_problems
from pointsman_compiler.rules.site import find_site_problems
from pointsman_compiler.rules.urls import find_catalogue_problems, find_url_problems
from pointsman_compiler.shape import find_shape_problems
from pointsman_compiler.sources import SourceError, SourceTree
from pointsman_compiler.templates import render_templates


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: problems in their order, the sites looked at, those without errors resolved (by site)."""

    problems: tuple[Problem, ...]
    sites: tuple[str, ...]
    resolved: tuple[ResolvedSite, ...]

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many of the problems are warnings."""
        return len(self.problems) - self.errors


def check(tree: SourceTree, at: datetime, sites: Collection[str] | None = None) -> CheckResult:
    """Return what is wrong with the sites of `tree` at the aware time `at`, which only expiry dates are held against.

    With `sites` only problems of these are shown; all are read, for a station may stand on two sites. Raises
    SourceError when the root itself cannot be read.
    """
    files, problems = tree.site_files()
    return _Check(tree, at).run(files, problems, sites)


def site_id(file: str) -> str:
    """Return the id of the site in `file`: its stem."""
    return PurePosixPath(file).stem


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The fleet's file: `document` is None where there is none, or none that can be read."""

    document: Document | None
    problems: tuple[Problem, ...] = ()
    shape: tuple[Problem, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether sites may be compiled with it."""
        return all(problem.severity == "warning" for problem in (*self.problems, *self.shape))


@dataclass(frozen=True, slots=True)
class _Judged:
    """A site after its own check; `layered` is None where there is nothing that rules could judge."""

    file: str
    layered: LayeredSite | None
    problems: tuple[Problem, ...]
    resolved: ResolvedSite | None = None
    files: frozenset[str] = frozenset()


class _Check:
    """One run over a tree."""

    def __init__(self, tree: SourceTree, at: datetime) -> None:
        self.tree = tree
        self.at = at
        self.attachments = AttachmentReader(tree)
        self.fleet_file = tree.fleet_file()

    def run(self, files: list[str], problems: list[Problem], only: Collection[str] | None) -> CheckResult:
        fleet = self._fleet()
        judged = [self._site(file, fleet) for file in files]
        found = [*problems, *fleet.problems, *(problem for one in judged for problem in one.problems)]
        found += find_fleet_problems(one.layered for one in judged if one.layered is not None)
        found += _where_no_rule_objects(fleet.shape, found)
        return _result(_without_doubles(found), judged, only, self.fleet_file)

    def _fleet(self) -> _Fleet:
        if self.fleet_file is None:
            return _Fleet(None)
        document = self._document(self.fleet_file)
        if isinstance(document, list):
            return _Fleet(None, tuple(document))
        problems = (*find_clear_secrets(document), *find_catalogue_problems(document))
        return _Fleet(document, problems, tuple(find_shape_problems(document, "fleet")))

    def _document(self, file: str) -> Document | list[Problem]:
        try:
            raw = self.tree.read(file)
        except SourceError as error:
            return [Problem("PM590", "error", error.message, error.help, Place(file, 1, 1, 1, 1), "")]
        return read_document(file, raw)

    def _site(self, file: str, fleet: _Fleet) -> _Judged:
        document = self._document(file)
        if isinstance(document, list):
            return _Judged(file, None, tuple(document))
        shape = find_shape_problems(document, "site")
        has_all = self.fleet_file is None or fleet.document is not None
        if not isinstance(document.data, dict) or not has_all:  # without its catalogue a site would seem to lack much
            return _Judged(file, None, tuple(shape))
        site, problems = render_templates(lay(site_id(file), document, fleet.document))
        grouping = group_stations(site)
        attachments = self.attachments.read(site)
        problems += self._rules(site, grouping, attachments)
        problems += _where_no_rule_objects(shape, problems)
        resolved = None
        if fleet.is_sound and not any(problem.severity == "error" for problem in problems):
            resolved = self._resolved(site, grouping, attachments, problems)
        return _Judged(file, site, tuple(problems), resolved, attachments.files)

    def _rules(self, site: LayeredSite, grouping: Grouping, attachments: Attachments) -> Iterator[Problem]:
        clear = list(find_clear_secrets(site.document))
        rules = (
            find_site_problems(site),
            find_url_problems(site),
            find_group_problems(site, grouping),
            find_protocol_problems(site, grouping),
            find_secret_problems(site, grouping),
            find_listener_problems(site),
            find_password_problems(site),
            attachments.problems,
            find_certificate_problems(site, attachments, self.at),
            find_badge_problems(site, grouping, attachments),
        )
        yield from clear
        for topic in rules:
            yield from _where_no_rule_objects(topic, clear)

    def _resolved(
        self, site: LayeredSite, grouping: Grouping, attachments: Attachments, problems: list[Problem]
    ) -> ResolvedSite | None:
        try:
            return resolve(site, grouping, attachments, self.fleet_file)
        except ModelError as error:
            problems.append(_breaks_model(site, error))
            return None


def _breaks_model(site: LayeredSite, error: ModelError) -> Problem:
    return site.problem(
        "PM390", f"the site as a whole breaks the bundle's model: {error}", "correct the value that is named", ()
    )


def _where_no_rule_objects(problems: Iterable[Problem], rules: Iterable[Problem]) -> Iterator[Problem]:
    """Yield those of `problems` that stand at no place where one of `rules` is an error.

    A secret in clear takes all below it as well: what shape it has does not matter any more.
    """
    errors = [problem for problem in rules if problem.severity == "error" and problem.path]
    taken = {(problem.place.file, problem.path) for problem in errors}
    secret = tuple(f"{one.place.file}#{one.path}/" for one in errors if one.code == CLEAR_SECRET)
    for problem in problems:
        file = problem.place.file
        if (file, problem.path) not in taken and not f"{file}#{problem.path}".startswith(secret):
            yield problem


def _without_doubles(problems: Iterable[Problem]) -> list[Problem]:
    """Several sites may find the same fault in the fleet's file or in a list that they share."""
    return list({(one.code, one.severity, one.place, one.path, one.message): one for one in problems}.values())


def _result(
    problems: list[Problem], judged: list[_Judged], only: Collection[str] | None, fleet_file: str | None
) -> CheckResult:
    chosen = [one for one in judged if only is None or site_id(one.file) in only]
    if only is not None:
        shown = {fleet_file}.union(*({one.file} | one.files for one in chosen))
        problems = [problem for problem in problems if problem.place.file in shown]
    wrong = {problem.place.file for problem in problems if problem.severity == "error"}
    resolved = [one.resolved for one in chosen if one.resolved is not None and one.file not in wrong]
    return CheckResult(
        tuple(sort_problems(problems)),
        tuple(sorted({site_id(one.file) for one in chosen})),
        tuple(sorted(resolved, key=lambda site: site.site)),
    )
