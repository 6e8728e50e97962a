"""What is shown of a plan, in which order and in which words; all forms but JSON go by it. Marks nothing up."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman_schema.changes import ListenerKind

from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.differences import Path
from pointsman_compiler.plan.downgrades import DOWNGRADES
from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fates import Kind as FateKind
from pointsman_compiler.plan.fleetfacts import timer_at
from pointsman_compiler.plan.fleetplan import FanOut, Plan
from pointsman_compiler.plan.siteplan import CausedDowngrade, SitePlan, ValueChange
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.report.plan.values import shown_pair

OWNER_ROWS: Final = 4
"""With what stands above them in a comment they are its first ten lines, which answer a reviewer's first question."""
FAN_OUT_ROWS: Final = 10

LISTENERS: Final[dict[ListenerKind, str]] = {
    "opens": "opens",
    "closes": "closes; stations that came through it have to come through another one",
    "reopens": "is on another address or port; stations that are connected stay, and need it when they come again",
    "readmits": "admits stations by other rules; those that came through it have to come again",
    "renews": "shows another certificate, or other versions of TLS, to stations that come from then on",
}
"""What becomes of a listener."""

_FATES: Final[dict[FateKind, str]] = {
    "moves": "drop and move",
    "leaves": "leave",
    "reconnects": "drop",
    "may reconnect": "may drop",
    "joins": "join",
}
_WORDS: Final[dict[Path, str]] = {("mode",): "mode", ("timeZone",): "time zone"}
"""Values that have a word of their own."""
_GRAVE_VALUES: Final = frozenset(_WORDS.values())
_CHANGES: Final = {"added": "new", "removed": "removed", "changed": "changed", "same": "no change"}


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """Stations of one fate and one pair of owners, by site; `what` says the fate."""

    what: str
    count: int
    owner: str
    sites: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One consequence in one site: `what` it is, `subject` (whose), as it was and as it is, `note`, `where` written.

    `what` and `note` are words of ours; people wrote the rest.
    """

    what: str
    subject: str
    before: str = ""
    after: str = ""
    note: str = ""
    where: str = ""


def verdict(plan: Plan) -> str:
    """Return the whole in one or two sentences: numbers and words of ours only."""
    if plan.broken:
        return f"{_count(len(plan.broken), 'site')} {_do(len(plan.broken))} not compile after this change."
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
            grouped.setdefault((fate.kind, _owner(fate)), {}).setdefault(site.site, []).extend(fate.stations)
    rows = [
        (
            list(_FATES).index(kind),
            OwnerRow(
                _FATES[kind],
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
        parts.append(f"and {row.count - named} more at {_count(len(row.sites) - len(parts), 'site')}")
    return ", ".join(parts)


def other_consequences(plan: Plan) -> list[str]:
    """Return what else the whole fleet has to know, in words of ours and numbers: sites, operators, badges."""
    lines = []
    for change, words in (("added", "new"), ("removed", "removed: no bundle is made of it any more")):
        count = plan.having(change)  # type: ignore[arg-type]  # both are
        if count:
            lines.append(f"{_count(count, 'site')} {_is(count)} {words}")
    unknown = sum(site.is_unknown_before for site in plan.sites)
    if unknown:
        lines.append(f"{_count(unknown, 'site')} did not compile before, so nothing is known of what changes there")
    counts = plan.counts
    if counts.badges_gained or counts.badges_lost or counts.badges_changed:
        lines.append(
            f"badges: {counts.badges_gained} gained, {counts.badges_lost} lost, {counts.badges_changed} changed"
        )
    return lines


def fan_out_line(one: FanOut) -> tuple[str, str]:
    """Return the line that changes many sites, and what it does."""
    drops = f"; {_count(one.stations, 'station')} {_verb(one.stations, 'drop')}" if one.stations else ""
    return where_of(one.file, one.line, one.side), f"changes {_count(len(one.sites), 'site')}{drops}"


def site_title(site: SitePlan) -> str:
    """Return what a site's part is headed by, after its name."""
    return _CHANGES[site.change]


def rows(site: SitePlan, *, stations: int = 20) -> Iterator[Row]:
    """Yield what the change does to a site, the gravest first; of a fate at most `stations` are named."""
    if site.is_unknown_before:
        yield Row("unknown", "", note="it did not compile before the change, so nothing can be compared")
    for fate in site.fates:
        yield _fate_row(fate, stations)
    for operator in site.gained:
        yield Row("gains", operator, note=f"{_count(site.owners_after[operator], 'station')} of this site")
    for operator in site.lost:
        yield Row("loses", operator, note=f"had {_count(site.owners_before[operator], 'station')} of this site")
    for downgrade in site.downgrades:
        yield downgrade_row(downgrade)
    for timer in site.unusual:
        usual = f"usual in this fleet: {' to '.join(map(str, dict.fromkeys(timer.usual)))} s"
        yield Row("unusual", pointer_of(timer.path), "", f"{timer.value} s", usual, _where(timer.cause))
    for name, kind in sorted(site.listeners.items()):
        yield Row("listener", name, note=LISTENERS[kind])
    yield from _badge_rows(site)
    told = (change for change in site.changes if not _is_a_move(change))
    yield from sorted(map(_value_row, told), key=lambda row: row.what not in _GRAVE_VALUES)


def downgrade_row(one: CausedDowngrade) -> Row:
    """Return what is less protected."""
    before, after = shown_pair(one.before, one.after, one.path)
    before = "" if one.kind == "new-host" else before
    return Row("less protected", pointer_of(one.path), before, after, DOWNGRADES[one.kind], _where(one.cause))


def where_of(file: str | None, line: int | None, side: str) -> str:
    """Return a place in words; nothing for what is built in."""
    if file is None:
        return ""
    return f"{file}{f':{line}' if line is not None else ''}{' (before)' if side == 'before' else ''}"


def fate_sentence(site: str, fate: Fate, most: int = 8) -> str:
    """Return a fate in one line."""
    return f"{_FATES[fate.kind]}: {_named(fate, most)} ({site}), {_owner(fate)}"


def _named(fate: Fate, most: int) -> str:
    left = len(fate.stations) - most
    return ", ".join(fate.stations[:most]) + (f" and {left} more" if left > 0 else "")


def _fate_row(fate: Fate, most: int) -> Row:
    note = "by a listener, see below" if fate.is_by_listener else ""
    if fate.kind == "may reconnect":
        note = "those that came through the listener below; which ones, only the controller knows"
    return Row(
        _FATES[fate.kind],
        _named(fate, most),
        fate.before or "",
        fate.after or "",
        note,
        _wheres(fate.causes),
    )


def _badge_rows(site: SitePlan) -> Iterator[Row]:
    badges = site.badges
    if badges:
        counted = f"{badges.gained} gained, {badges.lost} lost, {badges.changed} changed"
        yield Row("badges", "", str(badges.before), str(badges.after), counted, _wheres(badges.causes))
    for word, numbers in (
        ("gained", badges.gained_numbers),
        ("lost", badges.lost_numbers),
        ("changed", badges.changed_numbers),
    ):
        if numbers:
            yield Row(f"badges {word}", ", ".join(numbers))


def _is_a_move(change: ValueChange) -> bool:
    """Whether it says only what a station's fate says."""
    return change.path[0] == "stations" and change.path[2:] == ("operator",)


def _value_row(change: ValueChange) -> Row:
    before, after = shown_pair(change.before, change.after, change.path)
    if change.kind == "added":
        before = ""
    if change.kind == "removed":
        after = ""
    if change.path in _WORDS:
        what = _WORDS[change.path]
    else:
        what = "timer" if timer_at(change.path) is not None else change.kind
    return Row(what, pointer_of(change.path), before, after, "", _where(change.cause))


def _owner(fate: Fate) -> str:
    if fate.kind == "leaves":
        return f"{fate.before} → nobody"
    if fate.before is None or fate.before == fate.after:
        return f"{fate.after}"
    return f"{fate.before} → {fate.after}"


def _wheres(causes: Iterable[Cause]) -> str:
    return ", ".join(dict.fromkeys(filter(None, map(_where, causes))))


def _where(cause: Cause) -> str:
    return where_of(cause.file, cause.line, cause.side)


def _no_change(plan: Plan) -> str:
    compared = len(plan.sites)
    if not plan.differing_files:
        return f"No change: no file differs, and there {_is(plan.total)} {_count(plan.total, 'site')}."
    rest = f"; the other {plan.untouched} have the same files" if plan.untouched else ""
    return (
        f"No change: {_count(plan.differing_files, 'file')} {_verb(plan.differing_files, 'differ')}, and "
        f"{_count(compared, 'site')} {_verb(compared, 'compile')} to the same bytes as before{rest}."
    )


def _changing(plan: Plan) -> str:
    changed = len(plan.changed)
    if not changed:
        return "No site changes, but the fleet's policy demands less than before."
    total = max(plan.total, changed)
    return f"{changed} of {_count(total, 'site')} {_verb(changed, 'change')}."


def _stations(plan: Plan) -> str:
    counts = plan.counts
    parts = []
    if counts.drops:
        some = f", {counts.moves} of them to another operator" if counts.moves else ""
        moving = " to another operator" if counts.moves == counts.drops else some
        verb = _verb(counts.drops, "drop"), _verb(counts.drops, "come")
        parts.append(f"{_count(counts.drops, 'station')} {verb[0]} and {verb[1]} back{moving}")
    if counts.may_reconnect:
        parts.append(f"{_count(counts.may_reconnect, 'station')} may drop")
    if counts.leaves:
        parts.append(f"{_count(counts.leaves, 'station')} {_verb(counts.leaves, 'leave')}")
    if counts.joins:
        parts.append(f"{_count(counts.joins, 'station')} {_verb(counts.joins, 'join')}")
    if not parts:
        return "No station drops." if plan.changed and not any(one.is_unknown_before for one in plan.changed) else ""
    text = _listed(parts)
    return f"{text}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _verb(number: int, verb: str) -> str:
    return f"{verb}s" if number == 1 else verb


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _do(number: int) -> str:
    return "does" if number == 1 else "do"
