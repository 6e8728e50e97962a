"""What is said of a whole plan: the verdict, who drops and whose they are then, what changes many sites.

Marks nothing up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pointsman_compiler.plan.fates import Kind as FateKind
from pointsman_compiler.plan.fleetplan import FanOut, Plan
from pointsman_compiler.report.plan.words import FATES, counted, do_or_does, is_or_are, listed, owner_of, verb, where_of

OWNER_ROWS: Final = 4
"""With what stands above them in a comment they are its first ten lines, which answer a reviewer's first question."""
FAN_OUT_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """Stations of one fate and one pair of owners, by site; `what` says the fate."""

    what: str
    count: int
    owner: str
    sites: tuple[tuple[str, tuple[str, ...]], ...]


def verdict(plan: Plan) -> str:
    """Return the whole in one or two sentences: numbers and words of ours only."""
    if plan.broken:
        return f"{counted(len(plan.broken), 'site')} {do_or_does(len(plan.broken))} not compile after this change."
    if any(problem.severity == "error" for problem in plan.problems):
        return "The files have errors after this change."
    if not plan.changed and not plan.loosened:
        return _no_change(plan)
    return f"{_changing(plan)} {_stations(plan)}".strip()


def needed(plan: Plan) -> str:
    """Return what the policy still wants, or nothing."""
    if not plan.missing:
        return ""
    trailers = ", ".join(f"`Acknowledge: {risk}`" for risk in plan.missing)
    return f"The policy wants {trailers} in a commit's message."


def owner_rows(plan: Plan) -> list[OwnerRow]:
    """Return which stations drop, and who owns them then: the gravest first, then the most."""
    grouped: dict[tuple[FateKind, str], dict[str, list[str]]] = {}
    for site in plan.changed:
        for fate in site.fates:
            if fate.kind == "leaves" and fate.site is not None:
                continue  # it is told where they go to
            grouped.setdefault((fate.kind, owner_of(fate)), {}).setdefault(site.site, []).extend(fate.stations)
    rows = [
        (
            list(FATES).index(kind),
            OwnerRow(
                FATES[kind],
                sum(map(len, sites.values())),
                owner,
                tuple((site, tuple(sorted(stations))) for site, stations in sites.items()),
            ),
        )
        for (kind, owner), sites in grouped.items()
    ]
    return [row for _, row in sorted(rows, key=lambda one: (one[0], -one[1].count, one[1].owner))]


def stations_of(row: OwnerRow, most: int) -> str:
    """Return the stations of a row with their sites, at most `most` of them by name."""
    parts, left = [], most
    for site, stations in row.sites:
        if left <= 0:
            break
        parts.append(f"{', '.join(stations[:left])}{' …' if len(stations) > left else ''} ({site})")
        left -= len(stations)
    named = sum(len(stations) for _, stations in row.sites[: len(parts)])
    if named < row.count:
        parts.append(f"and {row.count - named} more at {counted(len(row.sites) - len(parts), 'site')}")
    return ", ".join(parts)


def other_consequences(plan: Plan) -> list[str]:
    """Return what else the whole fleet has to know, in words of ours and numbers."""
    return [line for line in (*_site_lines(plan), _badges(plan)) if line]


def _site_lines(plan: Plan) -> Iterator[str]:
    """How many sites each thing happens to."""
    changed = plan.changed
    new, removed = plan.having("added"), plan.having("removed")
    unknown = sum(site.is_unknown_before for site in changed)
    renamed = plan.having("renamed")
    both = [site for site in changed if site.change in ("changed", "renamed")]
    yield _sites(new, f"{is_or_are(new)} new")
    yield _sites(removed, f"{is_or_are(removed)} removed: no bundle is made of it any more")
    yield _sites(renamed, f"{'has' if renamed == 1 else 'have'} another id: the controller must be told")
    yield _sites(unknown, "did not compile before, so nothing is known of what changes there")
    for count, words in (
        (sum(bool(site.downgrades) for site in changed), ("is less protected", "are less protected")),
        (sum(bool(site.gained) for site in both), ("gains an operator", "gain an operator")),
        (sum(bool(site.lost) for site in both), ("loses an operator", "lose an operator")),
        (sum(site.value("mode") is not None for site in both), ("changes its mode", "change their mode")),
        (sum(site.value("timeZone") is not None for site in both), ("changes its time zone", "change their time zone")),
        (sum(bool(site.unusual) for site in both), ("has an unusual timer", "have unusual timers")),
    ):
        yield _sites(count, words[count != 1])


def _sites(count: int, words: str) -> str:
    return f"{counted(count, 'site')} {words}" if count else ""


def _badges(plan: Plan) -> str:
    counts = plan.counts
    if not (counts.badges_gained or counts.badges_lost or counts.badges_changed):
        return ""
    return f"badges: {counts.badges_gained} gained, {counts.badges_lost} lost, {counts.badges_changed} changed"


def fan_out_line(one: FanOut) -> tuple[str, str]:
    """Return the line that changes many sites, and what it does."""
    drops = f"; {counted(one.stations, 'station')} {verb(one.stations, 'drop')}" if one.stations else ""
    return where_of(one.file, one.line, one.side), f"changes {counted(len(one.sites), 'site')}{drops}"


def _no_change(plan: Plan) -> str:
    compared = len(plan.sites)
    if not plan.differing_files:
        return f"No change: no file differs, and there {is_or_are(plan.total)} {counted(plan.total, 'site')}."
    rest = f"; the other {plan.untouched} have the same files" if plan.untouched else ""
    return (
        f"No change: {counted(plan.differing_files, 'file')} {verb(plan.differing_files, 'differ')}, and "
        f"{counted(compared, 'site')} {verb(compared, 'compile')} to the same bytes as before{rest}."
    )


def _changing(plan: Plan) -> str:
    changed = len(plan.changed)
    if not changed:
        return "No site changes, but the fleet's policy demands less than before."
    total = max(plan.total, changed)
    return f"{changed} of {counted(total, 'site')} {verb(changed, 'change')}."


def _stations(plan: Plan) -> str:
    counts = plan.counts
    parts = []
    if counts.drops:
        crosses = any(fate.kind == "moves" and fate.site is not None for site in plan.changed for fate in site.fates)
        another = "another operator or site" if crosses else "another operator"
        some = f", {counts.moves} of them to {another}" if counts.moves else ""
        moving = f" to {another}" if counts.moves == counts.drops else some
        drop, come = verb(counts.drops, "drop"), verb(counts.drops, "come")
        parts.append(f"{counted(counts.drops, 'station')} {drop} and {come} back{moving}")
    if counts.may_reconnect:
        parts.append(f"{counted(counts.may_reconnect, 'station')} may drop")
    if counts.leaves:
        parts.append(f"{counted(counts.leaves, 'station')} {verb(counts.leaves, 'leave')}")
    if counts.joins:
        parts.append(f"{counted(counts.joins, 'station')} {verb(counts.joins, 'join')}")
    if not parts:
        return "No station drops." if plan.changed and not any(one.is_unknown_before for one in plan.changed) else ""
    text = listed(parts)
    return f"{text}."
