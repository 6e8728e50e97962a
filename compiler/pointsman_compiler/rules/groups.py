"""Rules on groups, operators and supervisions: every station in exactly one group, every operator known."""

import re
from collections.abc import Iterator
from typing import Final

from pointsman_schema.authoring.parts import IDENTITY
from pointsman_schema.bundle import LOCAL

from pointsman_compiler.document import Path
from pointsman_compiler.grouping import Grouping, Membership, WrittenGroup
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.wording import listing, nearest

OWNED_KEYS: Final = frozenset(
    key.lower()
    for key in (
        # OCPP 1.6: the offline strategy's keys, and those of the security white paper that a password owns
        "AllowOfflineTxForUnknownId",
        "AuthorizationCacheEnabled",
        "AuthorizationKey",
        "LocalAuthListEnabled",
        "LocalAuthorizeOffline",
        "LocalPreAuthorize",
        "SecurityProfile",
        # OCPP 2.x: the same, as Component.Variable
        "AuthCacheCtrlr.Enabled",
        "AuthCtrlr.LocalAuthorizeOffline",
        "AuthCtrlr.LocalPreAuthorize",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled",
        "LocalAuthListCtrlr.Enabled",
        "SecurityCtrlr.BasicAuthPassword",
        "SecurityCtrlr.Identity",
        "SecurityCtrlr.SecurityProfile",
    )
)
"""Keys and variables (lower case) that `authentication` or a station's `password` keep in force."""

_IDENTITY: Final = re.compile(IDENTITY)


def find_group_problems(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    """Yield what is wrong with groups, operators and the names of supervisions."""
    yield from _reserved_name(site)
    for group in grouping.groups.values():
        if group.path:
            yield from _operator(site, group)
            yield from _stations(site, group, grouping)
            yield from _remote(site, group)
            yield from _owned_keys(site, group)
    yield from _two_rests(site, grouping)
    yield from _membership(site, grouping)
    yield from _unused_supervisions(site, grouping)


def is_known_operator(site: LayeredSite, group: WrittenGroup) -> bool:
    """Return whether nothing is wrong with the name of the operator; where its shape is wrong the schema says so."""
    return group.operator is None or group.is_local or group.operator in site.map_at(("supervisions",))


def _reserved_name(site: LayeredSite) -> Iterator[Problem]:
    if LOCAL in site.map_at(("supervisions",)):
        yield site.problem(
            "PM338",
            "a supervision cannot be named `local`: as an operator that word means the controller itself",
            "give the supervision another name",
            ("supervisions", LOCAL),
            part="key",
        )


def _operator(site: LayeredSite, group: WrittenGroup) -> Iterator[Problem]:
    known = site.map_at(("supervisions",))
    if group.operator is None or site.at(("supervision",)) == LOCAL or is_known_operator(site, group):
        return
    choice = listing([*known, LOCAL])
    yield site.problem(
        "PM333",
        f"the operator `{group.operator}` of group `{group.name}` is neither a supervision of this site nor `local`",
        f"write one of: {choice}{nearest(group.operator, [*known, LOCAL])}",
        (*group.path, "operator"),
    )


def _stations(site: LayeredSite, group: WrittenGroup, grouping: Grouping) -> Iterator[Problem]:
    known = site.map_at(("stations",))
    if not known:
        return  # that there are none at all is told once, by the schema
    for index, station in enumerate(site.list_at((*group.path, "stations")) if group.kind == "list" else ()):
        if isinstance(station, str) and station not in known:
            yield site.problem(
                "PM332",
                f"the group `{group.name}` lists {station}, which is not among the site's stations",
                f"add it under `stations`, or correct the name{nearest(station, known)}",
                (*group.path, "stations", index),
            )
    if group.kind != "list" and not grouping.stations_of[group.name]:
        yield site.problem(
            "PM339",
            f"the group `{group.name}` takes the stations that no other group lists, and there are none",
            "remove the group, or take a station out of another one",
            (*group.path, "stations"),
            severity="warning",
        )


def _remote(site: LayeredSite, group: WrittenGroup) -> Iterator[Problem]:
    if group.operator is None or group.is_local:
        return
    for key in ("authentication", "stationKeys"):
        if key in site.map_at(group.path):
            yield site.problem(
                "PM335",
                f"`{key}` is not the controller's to decide in group `{group.name}`: driver authentication and the "
                f"stations' own keys belong to its operator, the supervision `{group.operator}`",
                f"remove `{key}`, or make the group's operator `local`",
                (*group.path, key),
                part="key",
                related=(site.related("the operator", (*group.path, "operator")),),
            )


def _owned_keys(site: LayeredSite, group: WrittenGroup) -> Iterator[Problem]:
    for key in site.map_at((*group.path, "stationKeys")):
        if key.lower() in OWNED_KEYS:
            yield site.problem(
                "PM336",
                f"`{key}` follows from `authentication` or a station's `password`: the controller sets it",
                "remove it, and set `authentication` or `password` instead",
                (*group.path, "stationKeys", key),
                part="key",
            )


def _two_rests(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    rests = [group for group in grouping.groups.values() if group.kind != "list"]
    for group in rests[1:]:
        first = rests[0]
        yield site.problem(
            "PM334",
            f"the groups `{first.name}` and `{group.name}` both take every station that no other group lists",
            "list the stations of one of them",
            (*group.path, "stations"),
            related=(site.related(f"`{first.name}` takes them here", (*first.path, "stations")),),
        )


def _membership(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    if site.at(("supervision",)) == "unique" or not grouping.groups:
        return
    for station, memberships in grouping.memberships.items():
        # One that can be no identity would be no member either: that it is none is told by its shape.
        if not memberships and grouping.is_whole and _IDENTITY.match(station):
            yield _in_none(site, station)
        listed = [membership for membership in memberships if membership.written.kind == "list"]
        for again in listed[1:]:
            yield _in_two(site, listed[0], again)


def _in_none(site: LayeredSite, station: str) -> Problem:
    return site.problem(
        "PM331",
        f"the station {station} is in no group, so nobody would operate it",
        "add it to the `stations` of one group, or let one group take the rest: `stations: all`",
        ("stations", station),
        part="key",
        related=(site.related("the groups", ("groups",), "key"),),
    )


def _in_two(site: LayeredSite, first: Membership, again: Membership) -> Problem:
    two = [f"`{name}`" for name in dict.fromkeys([first.written.name, again.written.name])]
    where = f"in the groups {' and '.join(two)}" if len(two) > 1 else f"twice in the group {two[0]}"
    return site.problem(
        "PM330",
        f"the station {again.station} is {where}; it can be in one group only, once",
        "remove it from all groups but one",
        again.path,
        related=(site.related(f"first listed here, in `{first.written.name}`", first.path),),
    )


def _unused_supervisions(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    if site.at(("supervision",)) != "multiple" or not grouping.groups or not grouping.is_whole:
        return
    if not all(is_known_operator(site, group) for group in grouping.groups.values()):
        return  # the operator that is misspelt may mean the supervision that seems unused
    used = {group.operator for group in grouping.groups.values()}
    for name in site.map_at(("supervisions",)):
        if name not in used and name != LOCAL:
            path: Path = ("supervisions", name)
            yield site.problem(
                "PM337",
                f"no group has the supervision `{name}` as its operator",
                "remove it, or make it some group's `operator`",
                path,
                severity="warning",
                part="key",
            )
