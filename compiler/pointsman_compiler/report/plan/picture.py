"""Owners before and after, as two columns with bands between them: who had how many stations, and who has them then.

Only the geometry: a template draws it. Measures are SVG user units; the picture is WIDTH wide, so that it is readable
on a phone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.report.plan.values import cut

BandKind = Literal["stays", "drops", "may", "moves", "leaves", "joins"]
NOBODY: Final = "nobody"
"""The owner of stations that are not in the site."""

WIDTH: Final = 360
LEFT, RIGHT, BAR = 118, 242, 8
"""Where bands begin and end, and how wide a bar is; names stand outside of the bars."""
_TOP, _GAP, _LEAST = 26, 10, 34
_SCALE_TO: Final = 160
"""Height of all stations together, unless many owners have few."""
_THINNEST: Final = 2.0
LONGEST_NAME: Final = 15
OWNERS_SHOWN: Final = 12
OTHERS: Final = "others"

_BANDS: Final[Mapping[str, BandKind]] = {
    "moves": "moves",
    "reconnects": "drops",
    "may reconnect": "may",
    "leaves": "leaves",
    "joins": "joins",
}
_ORDER: Final[tuple[BandKind, ...]] = ("stays", "may", "drops", "joins", "leaves", "moves")

Flows = Counter[tuple[str, str, BandKind]]
"""How many stations go from one owner to another, and how."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An owner on one side."""

    name: str
    label: str
    stations: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Band:
    """Stations that go from one bar to another: the outline between the two, as an SVG path, and what it means."""

    kind: BandKind
    title: str
    outline: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The drawing, its height, and what it says in words."""

    before: tuple[Bar, ...]
    after: tuple[Bar, ...]
    bands: tuple[Band, ...]
    height: float
    words: str


def draw(sites: Iterable[SitePlan]) -> Picture | None:
    """Return the picture of what becomes of all stations of `sites`; None where there is nothing to compare."""
    flows = _few_owners(_flows(sites))
    if not flows:
        return None
    scale = _SCALE_TO / flows.total()
    before = _bars(dict(_side(flows, 0)), scale)
    after = _bars(dict(_side(flows, 1)), scale)
    height = max(bar.y + bar.height for bar in (*before, *after)) + _GAP
    return Picture(before, after, _drawn(flows, before, after), round(height, 1), _words(flows))


def _flows(sites: Iterable[SitePlan]) -> Flows:
    flows: Flows = Counter()
    sites = list(sites)
    drawn = {site.site for site in sites}
    for site in sites:
        if site.is_unknown_before:
            continue
        staying = Counter(site.owners_before)
        for fate in site.fates:
            if not (fate.kind == "leaves" and fate.site in drawn):  # else it is drawn as coming there
                flows[fate.before or NOBODY, fate.after or NOBODY, _BANDS[fate.kind]] += len(fate.stations)
            if fate.before is not None and (fate.site is None or fate.kind == "leaves"):
                staying[fate.before] -= len(fate.stations)
        for owner, stations in staying.items():
            if stations > 0:
                flows[owner, owner, "stays"] += stations
    return flows


def _few_owners(flows: Flows) -> Flows:
    """Of many owners the smallest are drawn as one."""
    sizes: Counter[str] = Counter()
    for (before, after, _), stations in flows.items():
        sizes[before] += stations
        sizes[after] += stations
    shown = {owner for owner, _ in sizes.most_common(OWNERS_SHOWN)} | {NOBODY}
    if len(sizes) <= len(shown):
        return flows
    few: Flows = Counter()
    for (before, after, kind), stations in flows.items():
        few[before if before in shown else OTHERS, after if after in shown else OTHERS, kind] += stations
    return few


def _side(flows: Flows, side: int) -> list[tuple[str, int]]:
    sizes: Counter[str] = Counter()
    for key, stations in flows.items():
        sizes[str(key[side])] += stations
    return sorted(sizes.items(), key=lambda one: (one[0] == NOBODY, one[0] == OTHERS, one[0]))


def _bars(owners: Mapping[str, int], scale: float) -> tuple[Bar, ...]:
    bars, y = [], float(_TOP)
    for name, stations in owners.items():
        height = max(stations * scale, _LEAST)
        bars.append(Bar(name, cut(name, LONGEST_NAME), stations, round(y, 1), round(height, 1)))
        y += height + _GAP
    return tuple(bars)


def _drawn(flows: Flows, before: tuple[Bar, ...], after: tuple[Bar, ...]) -> tuple[Band, ...]:
    """Bands leave and reach a bar one below the other, in the same order on both sides, and fill it."""
    left, right = ({bar.name: bar for bar in side} for side in (before, after))
    used: dict[tuple[int, str], float] = {}
    bands = []
    for (source, target, kind), stations in sorted(flows.items(), key=lambda one: (one[0][0], _ORDER.index(one[0][2]))):
        start = _slice(used, 0, left[source], stations)
        end = _slice(used, 1, right[target], stations)
        title = f"{stations} of {source} {_said(kind, target)}"
        bands.append(Band(kind, title, _outline(start, end)))
    return tuple(sorted(bands, key=lambda band: _ORDER.index(band.kind)))


def _slice(used: dict[tuple[int, str], float], side: int, bar: Bar, stations: int) -> tuple[float, float]:
    top = bar.y + used.get((side, bar.name), 0.0)
    thickness = max(bar.height * stations / bar.stations, _THINNEST)
    used[side, bar.name] = used.get((side, bar.name), 0.0) + bar.height * stations / bar.stations
    return top, top + thickness


def _outline(start: tuple[float, float], end: tuple[float, float]) -> str:
    middle = (LEFT + RIGHT) / 2
    return (
        f"M{LEFT} {start[0]:.1f}C{middle} {start[0]:.1f} {middle} {end[0]:.1f} {RIGHT} {end[0]:.1f}"
        f"V{end[1]:.1f}C{middle} {end[1]:.1f} {middle} {start[1]:.1f} {LEFT} {start[1]:.1f}Z"
    )


def _words(flows: Flows) -> str:
    parts = [f"{stations} of {key[0]} {_said(key[2], key[1])}" for key, stations in sorted(flows.items())]
    return "; ".join(parts)


def _said(kind: BandKind, target: str) -> str:
    match kind:
        case "stays":
            return "stay connected"
        case "drops":
            return "drop and come back"
        case "may":
            return "may drop and come back"
        case "leaves":
            return "leave"
        case "joins":
            return f"join {target}"
    return f"drop and move to {target}"
