"""The files that a site refers to, read through the tree: certificates and badge lists, by the path that names them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pointsman_compiler.badges import BadgeList, read_badges
from pointsman_compiler.certificates import Certificate, CertificateFault, read_certificates
from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.sources import SourceError, SourceTree


@dataclass(frozen=True)
class Attachments:
    """What the files of one site say, by the path of the value that names the file, and what is wrong with them."""

    certificates: Mapping[Path, tuple[Certificate, ...]] = field(default_factory=dict)
    badge_lists: Mapping[Path, BadgeList] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


class AttachmentReader:
    """Reads the files of many sites; one that several sites name is parsed once."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._certificates: dict[str, tuple[Certificate, ...] | CertificateFault] = {}
        self._badge_lists: dict[str, BadgeList] = {}

    def forget(self) -> None:
        """Let go of all that was parsed."""
        self._certificates.clear()
        self._badge_lists.clear()

    def read(self, site: LayeredSite) -> Attachments:
        """Return what the files that `site` names say."""
        problems: list[Problem] = []
        files = {path: file for path in _references(site) if (file := self._file(site, path, problems)) is not None}
        certificates: dict[Path, tuple[Certificate, ...]] = {}
        badge_lists: dict[Path, BadgeList] = {}
        for path, file in files.items():
            if path[0] == "badges":
                badge_lists[path] = self._badges_in(file)
            elif isinstance(found := self._certificates_in(file), CertificateFault):
                problems.append(site.problem(found.code, f"{file}: {found}", found.help, path))
            else:
                certificates[path] = found
        return Attachments(certificates, badge_lists, frozenset(files.values()), tuple(problems))

    def _file(self, site: LayeredSite, path: Path, problems: list[Problem]) -> str | None:
        """The file that the value at `path` names, relative to the root; a problem is added where it cannot be had."""
        reference = site.text_at(path)
        if reference is None:
            return None
        named_in = (site.origin(path).document or site.document).file
        try:
            file = self._tree.resolve(named_in, reference)
            self._tree.read(file)
        except SourceError as error:
            problems.append(site.problem("PM510", error.message, error.help, path))
            return None
        return file

    def _certificates_in(self, file: str) -> tuple[Certificate, ...] | CertificateFault:
        if file not in self._certificates:
            try:
                self._certificates[file] = read_certificates(self._tree.read(file))
            except CertificateFault as fault:
                self._certificates[file] = fault
        return self._certificates[file]

    def _badges_in(self, file: str) -> BadgeList:
        if file not in self._badge_lists:
            self._badge_lists[file] = read_badges(file, self._tree.read(file))
        return self._badge_lists[file]


def _references(site: LayeredSite) -> Iterator[Path]:
    for name in site.map_at(("supervisions",)):
        yield from _items(site, ("supervisions", name, "trust"))
        yield ("supervisions", name, "clientCertificate", "chain")
    for name in site.map_at(("listeners",)):
        yield ("listeners", name, "certificate", "chain")
        yield from _items(site, ("listeners", name, "stationTrust"))
    for index in range(len(site.list_at(("badges",)))):
        yield ("badges", index, "file")


def _items(site: LayeredSite, path: Path) -> Iterator[Path]:
    for index in range(len(site.list_at(path))):
        yield (*path, index)
