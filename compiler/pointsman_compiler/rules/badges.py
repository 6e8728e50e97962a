"""Rules on badges: each once, in local groups only, and no longer than its stations can send."""

from collections.abc import Iterator

from pointsman_schema.badgelist import fold_badge, is_day

from pointsman_compiler.attachments import Attachments
from pointsman_compiler.badges import WrittenBadge, written_badges
from pointsman_compiler.document import Path
from pointsman_compiler.grouping import Grouping
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.rules.groups import is_known_operator
from pointsman_compiler.wording import listing, nearest

LARGEST_16_BADGE = 20
"""Characters of an idTag (OCPP 1.6, CiString20Type)."""


def find_badge_problems(site: LayeredSite, grouping: Grouping, attachments: Attachments) -> Iterator[Problem]:
    """Yield what is wrong with the badges of `site`, those in its lists included."""
    if "badges" not in site.data or site.at(("supervision",)) == "unique":  # where the schema refuses them
        return
    groups = grouping.groups.values()
    are_remote = all(is_known_operator(site, group) and not group.is_local for group in groups)
    if grouping.is_whole and are_remote:
        yield _without_local_group(site)
        return
    yield from _policy(site)
    yield from _twice_the_same_list(site)
    for found in attachments.badge_lists.values():
        yield from found.problems
    first: dict[str, WrittenBadge] = {}
    for badge in written_badges(site, attachments.badge_lists):
        yield from _twice(site, badge, first)
        yield from _groups(site, badge, grouping)
        yield from _length(site, badge, grouping)
        yield from _until(site, badge)


def _without_local_group(site: LayeredSite) -> Problem:
    return site.problem(
        "PM354",
        "no group of this site is operated locally, so the supervisions decide on badges, not the controller",
        "remove `badges`, or give a group `operator: local`",
        ("badges",),
        part="key",
    )


def _policy(site: LayeredSite) -> Iterator[Problem]:
    if site.policy.get("badges") != "secretOnly":
        return
    for index, entry in enumerate(site.list_at(("badges",))):
        if isinstance(entry, dict) and "secret" not in entry:
            yield site.problem(
                "PM357",
                "the fleet's policy admits badges in secret lists only (`badges: secretOnly`)",
                "put the badges into a secret on the controller: `- secret: <name>`",
                ("badges", index),
            )


def _twice_the_same_list(site: LayeredSite) -> Iterator[Problem]:
    first: dict[tuple[str, str], Path] = {}
    for index, _ in enumerate(site.list_at(("badges",))):
        for key in ("file", "secret"):
            path: Path = ("badges", index, key)
            if (name := site.text_at(path)) is None:
                continue
            if (key, name) in first:
                yield site.problem(
                    "PM359",
                    f"the list {name} is named twice",
                    "remove one of the two",
                    path,
                    related=(site.related("first named here", first[(key, name)]),),
                )
            first.setdefault((key, name), path)


def _twice(site: LayeredSite, badge: WrittenBadge, first: dict[str, WrittenBadge]) -> Iterator[Problem]:
    other = first.setdefault(fold_badge(badge.number), badge)
    if other is not badge:
        yield badge.problem(
            site,
            "PM350",
            f"the badge {badge.number} is here twice (upper and lower case are the same badge)",
            "keep one of the two, with the groups of both",
            "badge",
            related=(other.related(site, "first written here"),),
        )


def _groups(site: LayeredSite, badge: WrittenBadge, grouping: Grouping) -> Iterator[Problem]:
    if not badge.groups:
        if "groups" in site.data:
            yield badge.problem(
                site,
                "PM355",
                f"the badge {badge.number} names no group, so it would count nowhere",
                f"add `groups` with some of: {listing(_local_names(grouping))}",
                "badge",
            )
        return
    for name in badge.groups:
        yield from _group(site, badge, name, grouping)


def _group(site: LayeredSite, badge: WrittenBadge, name: str, grouping: Grouping) -> Iterator[Problem]:
    written = grouping.written(name) if name in grouping.expansions else None
    if written is None:
        known = _local_names(grouping)
        yield badge.problem(
            site,
            "PM351",
            f"the badge {badge.number} names the group `{name}`, which this site does not have",
            f"write one of: {listing(known)}{nearest(name, known)}",
            "groups",
        )
    elif is_known_operator(site, written) and written.operator is not None and not written.is_local:
        yield badge.problem(
            site,
            "PM352",
            f"the badge {badge.number} names the group `{name}`, where the supervision `{written.operator}` decides on "
            "badges, not the controller",
            "hand the badge to that supervision's operator, and remove the group here",
            "groups",
            related=(site.related("the operator", (*written.path, "operator")),),
        )


def _local_names(grouping: Grouping) -> list[str]:
    return [name for name in grouping.expansions if (found := grouping.written(name)) is not None and found.is_local]


def _length(site: LayeredSite, badge: WrittenBadge, grouping: Grouping) -> Iterator[Problem]:
    if len(badge.number) <= LARGEST_16_BADGE:
        return
    names = badge.groups or tuple(grouping.groups)
    stations = sorted({station for name in names for station in grouping.stations_of.get(name, ())})
    is_error = bool(stations) and all(_speaks_16_only(site, station) for station in stations)
    who = "its stations speak OCPP 1.6 only, which has" if is_error else "a station that speaks OCPP 1.6 has"
    yield badge.problem(
        site,
        "PM353",
        f"the badge {badge.number} has {len(badge.number)} characters, and {who} {LARGEST_16_BADGE} at most",
        "write the number as the stations send it; OCPP 2.x takes up to 36 characters",
        "badge",
        severity="error" if is_error else "warning",
    )


def _speaks_16_only(site: LayeredSite, station: str) -> bool:
    return list(site.list_at(("stations", station, "protocols"))) == ["ocpp1.6"]


def _until(site: LayeredSite, badge: WrittenBadge) -> Iterator[Problem]:
    if isinstance(badge.until, str) and not is_day(badge.until):
        yield badge.problem(
            site,
            "PM358",
            f"{badge.until} is no day of the calendar",
            "write the last day on which the badge is valid as YYYY-MM-DD",
            "until",
        )
