"""One file → what is wrong with it, and its site resolved where nothing is.

Every site is judged whatever is wrong with the others; one with errors is not resolved. Where the site's schema and a
rule object to one place, only the rule's problem is shown, because it knows what was meant.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pointsman_compiler.attachments import AttachmentReader, Attachments
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.grouping import Grouping, group_stations
from pointsman_compiler.layers import LayeredSite, lay
from pointsman_compiler.problems import SHOWN_AT_MOST, Place, Problem, until_too_many
from pointsman_compiler.resolve import ResolvedSite, Unbundled, resolve
from pointsman_compiler.rules.badges import find_badge_problems
from pointsman_compiler.rules.certificates import find_certificate_problems
from pointsman_compiler.rules.fleet import RemoteStations, remote_stations
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
class SiteReport:
    """What is left of a judged site: enough for the rules over the fleet, small enough to keep for a whole fleet."""

    file: str
    problems: tuple[Problem, ...] = ()
    files: frozenset[str] = frozenset()
    """The files that the site refers to."""
    remote: tuple[RemoteStations, ...] = ()

    @property
    def site(self) -> str:
        """The site's id."""
        return site_id(self.file)


@dataclass(frozen=True, slots=True)
class Judged:
    """A site after its own check; it is not resolved where it, or the fleet's file, has an error."""

    report: SiteReport
    resolved: ResolvedSite | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A site's file, read: `document` is None where it is no YAML of ours, or holds too many secrets.

    `problems` say why, or which secrets stand in it; `shape` are those of its schema.
    """

    file: str
    document: Document | None
    problems: tuple[Problem, ...]
    shape: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetFile:
    """The fleet's file: `document` is None where there is none, or none that can be read."""

    document: Document | None
    problems: tuple[Problem, ...] = ()
    shape: tuple[Problem, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether sites may be compiled with it."""
        return all(problem.severity == "warning" for problem in (*self.problems, *self.shape))


def site_id(file: str) -> str:
    """Return the id of the site in `file`: its stem."""
    return PurePosixPath(file).stem


class Judge:
    """Judges the sites of one tree, each for itself; what they share is read once."""

    def __init__(self, tree: SourceTree, at: datetime) -> None:
        self.tree = tree
        self.fleet_file = tree.fleet_file()
        self.fleet = self._fleet()
        self._at = at
        self._attachments = AttachmentReader(tree)

    def judge(self, file: str) -> Judged:
        """Return what the site in `file` has come to."""
        return self.judge_opened(self.open(file))

    def open(self, file: str) -> Opened:
        """Return what `file` says, and what is wrong with it whatever else the tree holds."""
        document = self._document(file)
        if isinstance(document, list):
            return Opened(file, None, tuple(document))
        clear = tuple(until_too_many(find_clear_secrets(document)))
        if len(clear) > SHOWN_AT_MOST:  # whatever else is said could show a secret that was not looked for any more
            return Opened(file, None, clear)
        return Opened(file, document, clear, tuple(find_shape_problems(document, "site")))

    def judge_opened(self, opened: Opened) -> Judged:
        """Return what the site has come to that was opened, from this tree or from one that has the same file."""
        file, document, clear = opened.file, opened.document, opened.problems
        if document is None:
            return Judged(SiteReport(file, clear))
        has_all = self.fleet_file is None or self.fleet.document is not None
        if not isinstance(document.data, dict) or not has_all:  # without its catalogue a site would seem to lack much
            return Judged(SiteReport(file, opened.shape))
        site, broken = render_templates(lay(site_id(file), document, self.fleet.document))
        grouping = group_stations(site)
        attachments = self._attachments.read(site)
        problems = [*until_too_many(broken), *self._rules(site, grouping, attachments, clear)]
        problems += where_no_rule_objects(opened.shape, problems)
        resolved = None
        if self.fleet.is_sound and not any(problem.severity == "error" for problem in problems):
            resolved = self._resolved(site, grouping, attachments, problems)
        remote = tuple(remote_stations(site, grouping))
        return Judged(SiteReport(file, tuple(problems), attachments.files, remote), resolved)

    def trim(self) -> None:
        """Between two sites of a fleet that does not fit into memory: let go of files, if they are many."""
        if self.tree.trim():
            self._attachments.forget()

    def _fleet(self) -> FleetFile:
        if self.fleet_file is None:
            return FleetFile(None)
        document = self._document(self.fleet_file)
        if isinstance(document, list):
            return FleetFile(None, tuple(document))
        clear = tuple(until_too_many(find_clear_secrets(document)))
        if len(clear) > SHOWN_AT_MOST:
            return FleetFile(None, clear)
        problems = (*clear, *until_too_many(find_catalogue_problems(document)))
        return FleetFile(document, problems, tuple(find_shape_problems(document, "fleet")))

    def _document(self, file: str) -> Document | list[Problem]:
        try:
            raw = self.tree.read(file)
        except SourceError as error:
            return [Problem("PM590", "error", error.message, error.help, Place(file, 1, 1, 1, 1), "")]
        return read_document(file, raw)

    def _rules(
        self, site: LayeredSite, grouping: Grouping, attachments: Attachments, clear: Sequence[Problem]
    ) -> Iterator[Problem]:
        topics = (
            find_site_problems(site),
            find_url_problems(site),
            find_group_problems(site, grouping),
            find_protocol_problems(site, grouping),
            find_secret_problems(site, grouping),
            find_listener_problems(site),
            find_password_problems(site),
            attachments.problems,
            find_certificate_problems(site, attachments, self._at),
            find_badge_problems(site, grouping, attachments),
        )
        yield from clear
        for topic in topics:
            yield from until_too_many(where_no_rule_objects(topic, clear) if clear else topic)

    def _resolved(
        self, site: LayeredSite, grouping: Grouping, attachments: Attachments, problems: list[Problem]
    ) -> ResolvedSite | None:
        try:
            return resolve(site, grouping, attachments, self.fleet_file)
        except Unbundled as error:
            problems.append(_unbundled(site, error))
            return None


def where_no_rule_objects(problems: Iterable[Problem], rules: Iterable[Problem]) -> Iterator[Problem]:
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


def _unbundled(site: LayeredSite, error: Unbundled) -> Problem:
    return site.problem("PM390", f"the site as a whole cannot be a bundle: {error}", error.help, ())
