"""Figures → an SVG: how each ratio stands to its goal, on one logarithmic scale. Pure; no library is needed for it.

Ratios of different figures cannot be compared, but how far each is from its own goal can: a bar that stays left of the
line at 1 holds its goal, one that crosses it misses it by as many times as the scale says.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from benchmarks.report import Amount, Figure, Line, bound, factor

LEAST: Final = 1 / 8
MOST: Final = 16.0
TICKS: Final = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)
_WIDTH: Final = 980
_BARS_AT: Final = 470
_BARS_WIDTH: Final = 330
_FIRST_ROW: Final = 62
_ROW: Final = 26
_BAR: Final = 14
_STYLE: Final = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.quiet { fill: #57606a }
.name { text-anchor: end }
.tick { text-anchor: middle }
.grid { stroke: #d0d7de }
.goal { stroke: #24292f; stroke-width: 1.5 }
.holds { fill: #2f7d4f }
.missed { fill: #b3402e }"""


def svg(lines: Sequence[Line], machine: str) -> str:
    """Return the picture of all lines that have a goal and a figure."""
    shares = [(line, share) for line in lines if (share := share_of_goal(line)) is not None]
    height = _FIRST_ROW + _ROW * len(shares) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<text class="title" x="20" y="26">Each figure by its goal: left of 1 holds, right of it misses</text>',
        f'<text class="quiet" x="20" y="45">{escape(machine)}</text>',
        *_grid(height - 34),
        *(part for row, (line, share) in enumerate(shares) for part in _bar(row, line, share)),
        _vertical("goal", 1, height - 34),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def share_of_goal(line: Line) -> float | None:
    """Return what was found by the goal, 1 at the very bound; None where there is no goal or nothing was found."""
    match line:
        case Figure(goal=float(goal)):
            return line.ratio / goal
        case Amount(amount=amount, goal=float(goal)):
            return amount / goal
        case _:
            return None


def _grid(bottom: int) -> Iterator[str]:
    for tick in TICKS:
        yield _vertical("grid", tick, bottom)
        label = f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}"
        yield f'<text class="tick quiet" x="{_x(tick):.1f}" y="{bottom + 18}">{label}</text>'


def _bar(row: int, line: Line, share: float) -> Iterator[str]:
    """The name, a bar from the left edge of the scale, and the figure beside its goal."""
    top = _FIRST_ROW + row * _ROW
    base, name = top + _BAR - 2, line.cells()[0]
    kind = "holds" if share <= 1 else "missed"
    yield f'<text class="name" x="{_BARS_AT - 10}" y="{base}">{escape(name)}</text>'
    yield f'<rect class="{kind}" x="{_BARS_AT}" y="{top}" width="{_x(share) - _BARS_AT:.1f}" height="{_BAR}"/>'
    yield f'<text class="quiet" x="{_BARS_AT + _BARS_WIDTH + 12}" y="{base}">{escape(_said(line))}</text>'


def _said(line: Line) -> str:
    match line:
        case Figure(goal=float(goal)):
            return f"{factor(line.ratio)} ({bound(goal)})"
        case _:
            return f"{line.cells()[2]} ({line.cells()[1]})"


def _vertical(kind: str, value: float, bottom: int) -> str:
    return f'<line class="{kind}" x1="{_x(value):.1f}" x2="{_x(value):.1f}" y1="{_FIRST_ROW - 8}" y2="{bottom}"/>'


def _x(value: float) -> float:
    """Place a value on the scale; what is beyond an end of it stands there."""
    bounded = min(max(value, LEAST), MOST)
    return _BARS_AT + _BARS_WIDTH * math.log(bounded / LEAST) / math.log(MOST / LEAST)
