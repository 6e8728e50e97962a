"""The map of the site: stations, their groups, who operates these, and which links are broken. Pure: rows of the status
go in, places on a drawing come out.

A group of few stations shows each by name, one of many as a field of marks, one of very many as a number. Lengths are
units of the drawing, which is `WIDTH` wide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Literal

from pointsman_schema.bundle import LOCAL

Row = Mapping[str, Any]
State = Literal["good", "broken", "idle"]

WIDTH: Final = 460
MOST_NAMED: Final = 12  # stations of a group
MOST_MARKED: Final = 240
MOST_TOLD: Final = 6  # broken links, in words
LONGEST_NAME: Final = 17  # characters of a station's that are shown; its title has all

_LINE: Final = 20
_MARK: Final = 14
_MARKS_A_LINE: Final = 9
_GAP: Final = 16
_NODE: Final = 40
_STATIONS_END: Final = 138
_NAMES_END: Final = _STATIONS_END - 12
_CHARACTER: Final = 7.5  # how wide one is, at most but for a few
_GROUP: Final = (190, 286)
_OPERATOR: Final = (344, 458)


@dataclass(frozen=True, slots=True)
class Mark:
    """A station: where its mark is, and how it is."""

    x: float
    y: float
    state: State
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Node:
    """A group or an operator, as a box."""

    x: float
    y: float
    width: float
    height: float
    name: str
    below: str
    state: State


@dataclass(frozen=True, slots=True)
class Link:
    """A line from left to right, with a cross at its middle where it is broken."""

    x1: float
    y1: float
    x2: float
    y2: float
    state: State
    words: str

    @property
    def path(self) -> str:
        """As SVG draws it."""
        middle, _ = self.middle
        return f"M{self.x1:g} {self.y1:g}C{middle:g} {self.y1:g} {middle:g} {self.y2:g} {self.x2:g} {self.y2:g}"

    @property
    def middle(self) -> tuple[float, float]:
        """Where the cross is."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


@dataclass(slots=True)
class Drawing:
    """The whole map. `broken` names what is broken, in words."""

    left: float = 0
    height: float = 0
    marks: list[Mark] = field(default_factory=list)
    names: list[Mark] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """What is broken, for those who do not see it."""
        if not self.broken:
            return "No link is broken."
        told = "; ".join(self.broken[:MOST_TOLD])
        rest = len(self.broken) - MOST_TOLD
        return f"Broken: {told}{f'; and {rest} more' if rest > 0 else ''}."


def is_whole(row: Row) -> bool:
    """Whether a station is connected, through to its operator."""
    return row["connected"] and (row["uplink"] is None or row["uplink"]["connected"])


def draw(stations: Iterable[Row], supervisions: Iterable[Row]) -> Drawing:
    """Return the map of `stations` and `supervisions`, rows of the status."""
    drawing = Drawing()
    reachable = {row["name"]: row["reachable"] for row in supervisions}
    ordered = sorted(stations, key=lambda row: (row["operator"], row["group"] or "", row["station"]))
    ends: dict[str, list[tuple[float, State, str]]] = {name: [] for name in sorted(reachable)}
    for (operator, group), rows in groupby(ordered, key=lambda row: (row["operator"], row["group"])):
        middle, state = _draw_group(drawing, group or "all stations", list(rows), reachable.get(operator))
        ends.setdefault(operator, []).append((middle, state, group or "all stations"))
    for operator, groups in sorted(ends.items(), key=_height_of):
        _draw_operator(drawing, operator, groups, reachable.get(operator))
    drawing.height = max([drawing.height, *(node.y + node.height for node in drawing.nodes)])
    longest = max((min(len(name.name), LONGEST_NAME) for name in drawing.names), default=0)
    marked = min((mark.x for mark in drawing.marks), default=_STATIONS_END)
    drawing.left = max(0, min(marked - _MARK, _NAMES_END - longest * _CHARACTER))
    return drawing


def _height_of(end: tuple[str, list[tuple[float, State, str]]]) -> tuple[float, str]:
    """Operators stand in the order of their groups, so that lines do not cross; those without any come last."""
    operator, groups = end
    return (sum(middle for middle, _, _ in groups) / len(groups) if groups else float("inf")), operator


def _draw_group(drawing: Drawing, name: str, rows: Sequence[Row], reachable: bool | None) -> tuple[float, State]:
    """Draw a group below what is there; returns the middle of its box, and how the link to its operator is."""
    top = drawing.height + (_GAP if drawing.height else 4)
    connected = sum(1 for row in rows if row["connected"])
    draw_stations = _draw_named if len(rows) <= MOST_NAMED else _draw_marks
    height = draw_stations(drawing, name, rows, top)
    drawing.height = top + height
    middle = top + height / 2
    x, end = _GROUP
    whole: State = "good" if connected == len(rows) else "broken"
    drawing.nodes.append(Node(x, middle - _NODE / 2, end - x, _NODE, name, f"{connected} of {len(rows)}", whole))
    return middle, _uplink_state(rows, reachable)


def _draw_named(drawing: Drawing, group: str, rows: Sequence[Row], top: float) -> float:
    height = max(len(rows) * _LINE, _NODE)
    first = top + (height - len(rows) * _LINE) / 2 + _LINE / 2
    for number, row in enumerate(rows):
        y = first + number * _LINE
        state: State = "good" if row["connected"] else "broken"
        words = _station_words(row)
        drawing.marks.append(Mark(_STATIONS_END, y, state, row["station"], words))
        drawing.names.append(Mark(_NAMES_END, y, state, row["station"], words))
        drawing.links.append(Link(_STATIONS_END + 7, y, _GROUP[0], top + height / 2, state, words))
        if not row["connected"]:
            drawing.broken.append(f"{row['station']} → {group}")
    return height


def _draw_marks(drawing: Drawing, group: str, rows: Sequence[Row], top: float) -> float:
    absent = [row["station"] for row in rows if not row["connected"]]
    shown = rows if len(rows) <= MOST_MARKED else []
    lines = -(-len(shown) // _MARKS_A_LINE)
    height = max(lines * _MARK, _NODE)
    first = top + (height - lines * _MARK) / 2 + _MARK / 2
    for number, row in enumerate(shown):
        line, place = divmod(number, _MARKS_A_LINE)
        x = _STATIONS_END - (_MARKS_A_LINE - 1 - place) * _MARK
        state: State = "good" if row["connected"] else "broken"
        drawing.marks.append(Mark(x, first + line * _MARK, state, row["station"], _station_words(row)))
    link: State = "good" if not absent else "broken"
    words = f"{len(absent)} of {len(rows)} stations of {group} are not connected"
    drawing.links.append(Link(_STATIONS_END + 9, top + height / 2, _GROUP[0], top + height / 2, link, words))
    if absent:
        names = ", ".join(absent[:3])
        drawing.broken.append(f"{len(absent)} of {len(rows)} stations → {group} ({names}{', …' if absent[3:] else ''})")
    return height


def _draw_operator(
    drawing: Drawing, name: str, groups: Sequence[tuple[float, State, str]], reachable: bool | None
) -> None:
    """Draw an operator at the height of its groups, below the one before; one without any comes last."""
    x, end = _OPERATOR
    lowest = max((node.y + node.height + _GAP for node in drawing.nodes if node.x == x), default=4)
    wanted = sum(middle for middle, _, _ in groups) / len(groups) - _NODE / 2 if groups else drawing.height + _GAP
    y = max(wanted, lowest)
    shown = "this controller" if name == LOCAL else name
    below = {True: "reachable", False: "not reachable", None: "not tried"}[reachable]
    state: State = "good" if name == LOCAL or reachable else "broken" if reachable is False else "idle"
    drawing.nodes.append(Node(x, y, end - x, _NODE, shown, "local" if name == LOCAL else below, state))
    if reachable is False:
        drawing.broken.append(f"{name} is not reachable")
    for middle, link, group in groups:
        words = f"{group} → {shown}: {_LINK_WORDS[link]}"
        drawing.links.append(Link(_GROUP[1], middle, x, y + _NODE / 2, link, words))
        if link == "broken" and reachable is not False:
            drawing.broken.append(f"{group} → {shown}")


_LINK_WORDS: Final[Mapping[State, str]] = {"good": "up", "broken": "broken", "idle": "nobody is connected"}


def _uplink_state(rows: Sequence[Row], reachable: bool | None) -> State:
    if reachable is False or any(row["connected"] and not is_whole(row) for row in rows):
        return "broken"
    return "good" if any(row["connected"] for row in rows) else "idle"


def _station_words(row: Row) -> str:
    if row["connected"]:
        return f"{row['station']} is connected"
    error = row["lastError"]
    return f"{row['station']} is not connected" + (f" ({error['class']}: {error['message']})" if error else "")
