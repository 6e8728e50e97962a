"""What is said of one site in a plan, consequence by consequence; all forms but JSON go by it. Marks nothing up."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman_schema.changes import ListenerKind

from pointsman_compiler.plan.causes import Cause
from pointsman_compiler.plan.differences import Path
from pointsman_compiler.plan.downgrades import DOWNGRADES
from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fleetfacts import timer_at
from pointsman_compiler.plan.siteplan import CausedDowngrade, Change, SitePlan, ValueChange
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.report.plan.values import shown_pair
from pointsman_compiler.report.plan.words import FATES, counted, owner_of, where_of

LISTENERS: Final[dict[ListenerKind, str]] = {
    "opens": "opens",
    "closes": "closes; stations that came through it have to come through another one",
    "reopens": "is on another address or port; stations that are connected stay, and need it when they come again",
    "readmits": "admits stations by other rules; those that came through it have to come again",
    "renews": "shows another certificate, or other versions of TLS, to stations that come from then on",
}
"""What becomes of a listener."""

DOWNGRADED_SHOWN: Final = 8
"""Stations that are named at what is less protected."""
_WORDS: Final[dict[Path, str]] = {("mode",): "mode", ("timeZone",): "time zone"}
"""Values that have a word of their own."""
_GRAVE_VALUES: Final = frozenset(_WORDS.values())
_CHANGES: Final[dict[Change, str]] = {
    "added": "new",
    "removed": "removed",
    "renamed": "renamed",
    "changed": "changed",
    "same": "no change",
}


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


def site_title(site: SitePlan) -> str:
    """Return what a site's part is headed by, after its name."""
    return _CHANGES[site.change]


def rows(site: SitePlan, *, stations: int = 20) -> Iterator[Row]:
    """Yield what the change does to a site, the gravest first; of a fate at most `stations` are named."""
    if site.is_unknown_before:
        yield Row("unknown", "", note="it did not compile before the change, so nothing can be compared")
    if site.renamed_from is not None:
        note = "a bundle is for the controller of its site: this one must be told the new id"
        yield Row("renamed", "", site.renamed_from, site.site, note, site.file)
    for fate in site.fates:
        yield _fate_row(fate, stations)
    for operator in site.gained:
        yield Row("gains", operator, note=f"{counted(site.owners_after[operator], 'station')} of this site")
    for operator in site.lost:
        yield Row("loses", operator, note=f"had {counted(site.owners_before[operator], 'station')} of this site")
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
    stations = f" ({_named(one.stations, DOWNGRADED_SHOWN)})" if one.stations else ""
    subject = f"{pointer_of(one.path)}{stations}"
    return Row("less protected", subject, before, after, DOWNGRADES[one.kind], _where(one.cause))


def fate_sentence(site: str, fate: Fate, most: int = 8) -> str:
    """Return a fate in one line."""
    return f"{FATES[fate.kind]}: {_named(fate.stations, most)} ({site}), {owner_of(fate)}"


def _named(stations: Sequence[str], most: int) -> str:
    left = len(stations) - most
    return ", ".join(stations[:most]) + (f" and {left} more" if left > 0 else "")


def _fate_row(fate: Fate, most: int) -> Row:
    note = "by a listener, see below" if fate.is_by_listener else ""
    if fate.kind == "may reconnect":
        note = "those that came through the listener below; which ones, only the controller knows"
    before, after = fate.before or "", fate.after or ""
    if fate.site is not None and fate.kind == "leaves":
        after = f"site {fate.site}"
    elif fate.site is not None:
        before = f"{before} at site {fate.site}"
    return Row(
        FATES[fate.kind],
        _named(fate.stations, most),
        before,
        after,
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


def _wheres(causes: Iterable[Cause]) -> str:
    return ", ".join(dict.fromkeys(filter(None, map(_where, causes))))


def _where(cause: Cause) -> str:
    return where_of(cause.file, cause.line, cause.side)
