"""The badges of a site, from its YAML and from its lists, in one form that the rules and the resolver share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_schema.badgelist import DEFAULT_TOKEN_TYPE, read_badge_list

from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite, Origin
from pointsman_compiler.problems import Place, Problem, Related, Severity


@dataclass(frozen=True, slots=True)
class WrittenBadge:
    """A badge as written: `groups` is None where none are named; `where` is its path in the site, or its row."""

    number: str
    groups: tuple[str, ...] | None
    type: str
    authorized: bool
    vip: bool
    until: str | None
    comment: str
    where: Path | Place

    def problem(
        self,
        site: LayeredSite,
        code: str,
        message: str,
        help: str,
        key: str,
        *,
        severity: Severity = "error",
        related: tuple[Related, ...] = (),
    ) -> Problem:
        """Return a problem at the badge's field `key` (its row, in a list)."""
        if isinstance(self.where, Place):
            return Problem(code, severity, message, help, self.where, "", related)
        path = (*self.where, key) if key in site.map_at(self.where) else self.where
        return site.problem(code, message, help, path, severity=severity, related=related)

    def related(self, site: LayeredSite, message: str) -> Related:
        """Return a pointer to the badge's number."""
        if isinstance(self.where, Place):
            return Related(message, self.where)
        return site.related(message, (*self.where, "badge"))

    def origin(self, site: LayeredSite) -> Origin:
        """Return where the badge was written."""
        if isinstance(self.where, Place):
            return Origin("site", file=self.where.file, line=self.where.line)
        return site.origin(self.where)


@dataclass(frozen=True, slots=True)
class BadgeList:
    """What a file of badges says, and what is wrong with it."""

    badges: tuple[WrittenBadge, ...]
    problems: tuple[Problem, ...]


def written_badges(site: LayeredSite, lists: Mapping[Path, BadgeList]) -> Iterator[WrittenBadge]:
    """Yield every badge of `site` that is not secret, in the order written; entries of the wrong shape are left out."""
    for index, entry in enumerate(site.list_at(("badges",))):
        path: Path = ("badges", index)
        if (*path, "file") in lists:
            yield from lists[(*path, "file")].badges
        elif isinstance(entry, dict) and isinstance(entry.get("badge"), str):
            yield _inline(entry, path)


def read_badges(file: str, raw: bytes) -> BadgeList:
    """Return what the CSV file says; `file` is its name relative to the root."""
    found = read_badge_list(raw)
    badges = tuple(
        WrittenBadge(
            number=entry.badge,
            groups=entry.groups or None,
            type=entry.type,
            authorized=entry.authorized,
            vip=entry.vip,
            until=entry.until,
            comment=entry.comment,
            where=Place(file, entry.line, 1, entry.line, 1 + len(entry.badge)),
        )
        for entry in found.entries
    )
    problems = tuple(
        Problem("PM520", "error", fault.message, fault.help, _spot(file, fault.line, fault.column), "")
        for fault in found.faults
    )
    return BadgeList(badges, problems)


def _spot(file: str, line: int, column: int) -> Place:
    return Place(file, line, column, line, column + 1)


def _inline(entry: dict[str, Any], path: Path) -> WrittenBadge:
    groups = entry.get("groups")
    return WrittenBadge(
        number=entry["badge"],
        groups=tuple(str(name) for name in groups) if isinstance(groups, list) else None,
        type=entry.get("type", DEFAULT_TOKEN_TYPE),
        authorized=entry.get("authorized", False),
        vip=entry.get("vip", False),
        until=entry.get("until"),
        comment=entry.get("comment", ""),
        where=path,
    )
