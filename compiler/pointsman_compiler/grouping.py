"""Which station is in which authentication group: `stations: all` and `each` expanded, faults left in for the rules.

The rules and the resolver share it, so that what is judged is what is compiled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from pointsman_schema.bundle import LOCAL

from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite

GLOBAL_GROUP: Final = "all"
"""The group of a `local` site that writes none."""

Kind = Literal["list", "all", "each"]


@dataclass(frozen=True, slots=True)
class WrittenGroup:
    """A group as it is written: `path` is its place in the site (the root's, for the global group)."""

    name: str
    path: Path
    operator: str | None
    kind: Kind

    @property
    def is_local(self) -> bool:
        """Whether the controller itself operates it."""
        return self.operator == LOCAL


@dataclass(frozen=True, slots=True)
class Membership:
    """A station's place in a group: `group` is the name in the bundle (`staff/LYO-01` where expanded by `each`)."""

    station: str
    group: str
    written: WrittenGroup
    path: Path


@dataclass(frozen=True)
class Grouping:
    """The groups of a site as written, and each station's memberships (exactly one, in a site without faults).

    `is_whole` is false where some group is of the wrong shape: then nothing can be said of what is missing.
    """

    groups: Mapping[str, WrittenGroup]
    memberships: Mapping[str, tuple[Membership, ...]]
    is_whole: bool

    def of(self, station: str) -> Membership | None:
        """Return the first group that lists `station`, or None."""
        found = self.memberships.get(station, ())
        return found[0] if found else None

    @cached_property
    def stations_of(self) -> Mapping[str, Sequence[str]]:
        """The stations of each group, by its written name (all of an `each`) and by its name in the bundle."""
        found: dict[str, list[str]] = {name: [] for name in self.groups}
        for station, memberships in self.memberships.items():
            for membership in memberships:
                for name in {membership.group, membership.written.name}:
                    found.setdefault(name, []).append(station)
        return found

    @cached_property
    def stations_of_operator(self) -> Mapping[str, Sequence[str]]:
        """The stations of each operator, each once, in the order of the site."""
        found: dict[str, list[str]] = {}
        for station, memberships in self.memberships.items():
            operators = [one.written.operator for one in memberships if one.written.operator is not None]
            for operator in operators if len(operators) < 2 else dict.fromkeys(operators):
                found.setdefault(operator, []).append(station)
        return found

    @cached_property
    def expansions(self) -> Mapping[str, Sequence[str]]:
        """Every name by which a badge may name a group, as written or expanded → the bundle's names of these groups."""
        found: dict[str, set[str]] = {
            name: set() if group.kind == "each" else {name} for name, group in self.groups.items()
        }
        for memberships in self.memberships.values():
            for membership in memberships:
                for name in (membership.group, membership.written.name):
                    found.setdefault(name, set()).add(membership.group)
        return {name: sorted(groups) for name, groups in sorted(found.items())}

    def written(self, name: str) -> WrittenGroup | None:
        """Return the written group that `name` stands for, be it expanded or not."""
        return self.groups.get(name) or self.groups.get(name.partition("/")[0])


def group_stations(site: LayeredSite) -> Grouping:
    """Return the grouping of `site`; in `unique` there is no group, in `local` without `groups` one named `all`."""
    groups = {group.name: group for group in _written_groups(site)}
    memberships: dict[str, list[Membership]] = {station: [] for station in site.map_at(("stations",))}
    for member in _listed(site, groups):
        memberships.setdefault(member.station, []).append(member)
    rest = [station for station, found in memberships.items() if not found]
    for group in groups.values():
        if group.kind != "list":
            for station in rest:
                memberships[station].append(_of_rest(group, station))
    return Grouping(groups, {station: tuple(found) for station, found in memberships.items()}, _is_whole(site, groups))


def _written_groups(site: LayeredSite) -> Iterator[WrittenGroup]:
    is_local = site.at(("supervision",)) == LOCAL
    if is_local and "groups" not in site.data:
        yield WrittenGroup(GLOBAL_GROUP, (), LOCAL, "all")
    for name in site.map_at(("groups",)):
        path: Path = ("groups", name)
        operator = site.at((*path, "operator"), LOCAL if is_local else None)
        yield WrittenGroup(name, path, operator if isinstance(operator, str) else None, _kind(site, path))


def _is_whole(site: LayeredSite, groups: Mapping[str, WrittenGroup]) -> bool:
    if "groups" in site.data and not isinstance(site.at(("groups",)), Mapping):
        return False
    written = [group for group in groups.values() if group.path]
    return all(
        group.operator is not None and (group.kind != "list" or site.list_at((*group.path, "stations")))
        for group in written
    )


def _kind(site: LayeredSite, path: Path) -> Kind:
    match site.at((*path, "stations")):
        case "all":
            return "all"
        case "each":
            return "each"
        case _:
            return "list"


def _listed(site: LayeredSite, groups: Mapping[str, WrittenGroup]) -> Iterator[Membership]:
    for group in groups.values():
        path = (*group.path, "stations")
        if group.kind == "list":
            for index, station in enumerate(site.list_at(path)):
                if isinstance(station, str):
                    yield Membership(station, group.name, group, (*path, index))


def _of_rest(group: WrittenGroup, station: str) -> Membership:
    name = f"{group.name}/{station}" if group.kind == "each" else group.name
    return Membership(station, name, group, (*group.path, "stations"))
