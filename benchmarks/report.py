"""Figures → the goals table, in Markdown, for the terminal and for results/latest.md. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Protocol

STEADY: Final = 1.5
"""A round whose yardstick is so many times off the yardstick's median was disturbed, and does not count."""
IDLE: Final = 0.85
"""A relay under full load that has so much of its core has it for itself."""
SHOWN: Final = "shown"
"""The verdict on a figure without a goal."""
_HEADER: Final = ("figure", "goal", "Pointsman", "yardstick", "ratio", "verdict", "rounds", "yardstick is")
_NONE: Final = "–"


@dataclass(frozen=True, slots=True)
class Round:
    """One round: ours and the yardstick's, measured one right after the other, in the figure's unit."""

    ours: float
    yardstick: float


class Line(Protocol):
    """A line of the table."""

    def cells(self) -> tuple[str, ...]:
        """Return the cells, as many as the header has."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity in interleaved rounds. Less is better; `goal` is the most that the ratio may be."""

    name: str
    unit: str
    yardstick: str
    rounds: Sequence[Round]
    goal: float | None = None
    shares: Sequence[float] = ()
    """What relays that were under full load got of their core, 0 to 1."""

    @property
    def counted(self) -> list[Round]:
        """The rounds that were not disturbed."""
        middle = median(each.yardstick for each in self.rounds)
        return [each for each in self.rounds if middle / STEADY <= each.yardstick <= middle * STEADY]

    @property
    def ours(self) -> float:
        """The median of ours."""
        return median(each.ours for each in self.counted)

    @property
    def theirs(self) -> float:
        """The median of the yardstick's."""
        return median(each.yardstick for each in self.counted)

    @property
    def ratio(self) -> float:
        """Ours by the yardstick's, as the median over rounds: what disturbs a round disturbs both halves of it."""
        return median(each.ours / each.yardstick for each in self.counted)

    def cells(self) -> tuple[str, ...]:
        """See `Line`."""
        return (
            self.name,
            _NONE if self.goal is None else bound(self.goal),
            f"{self.ours:.1f} {self.unit}",
            f"{self.theirs:.1f} {self.unit}",
            factor(self.ratio),
            verdict(self.ratio, self.goal),
            f"{len(self.counted)} of {len(self.rounds)}",
            self.yardstick,
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity that is held against nothing but its goal, the most that it may be."""

    name: str
    unit: str
    amount: float
    goal: float | None = None

    def cells(self) -> tuple[str, ...]:
        """See `Line`."""
        goal = _NONE if self.goal is None else f"≤ {self.goal:g} {self.unit}"
        return (
            self.name,
            goal,
            f"{self.amount:.1f} {self.unit}",
            _NONE,
            _NONE,
            verdict(self.amount, self.goal),
            "1",
            "",
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A figure that could not be measured here."""

    name: str
    goal: float | None
    why: str

    def cells(self) -> tuple[str, ...]:
        """See `Line`."""
        goal = _NONE if self.goal is None else bound(self.goal)
        return (self.name, goal, _NONE, _NONE, _NONE, f"left out: {self.why}", "0", "")


def verdict(found: float, goal: float | None) -> str:
    """Return whether `found` holds its goal, and by how much it does not."""
    if goal is None:
        return SHOWN
    return "holds" if found <= goal else f"**missed** by {(found / goal - 1) * 100:.0f} %"


def quiet(lines: Sequence[Line]) -> str:
    """Return how much of their core relays got under full load: less than all is a machine with other work."""
    shares = [share for line in lines if isinstance(line, Figure) for share in line.shares]
    if not shares:
        return "no relay was under full load"
    found = f"under full load a relay had {median(shares) * 100:.0f} % of its core"
    return found if median(shares) >= IDLE else f"{found}: the machine is busy, which costs Python more than C"


def bound(goal: float) -> str:
    """Return a ratio's goal as people say it: `≤ 1/7`, `≤ 0.85`."""
    return f"≤ {_fraction(goal) or f'{goal:g}'}"


def factor(ratio: float) -> str:
    """Return a ratio; a small one as a fraction."""
    return f"{ratio:.2f}" if ratio > 0.5 else f"1/{1 / ratio:.1f}"


def markdown(lines: Sequence[Line], machine: Sequence[str]) -> str:
    """Return the whole result."""
    rows = [_HEADER, tuple("---" for _ in _HEADER), *(line.cells() for line in lines)]
    parts = [
        "# Benchmark",
        "",
        *(f"* {fact}" for fact in machine),
        "",
        "CPU time of the relay's process, but where a figure says that it is the clock's. Medians of interleaved",
        "rounds; a ratio says more than its two figures. A message is one text in one direction.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "![Each figure by its goal](latest.svg)",
    ]
    return "\n".join(parts) + "\n"


def _fraction(goal: float) -> str | None:
    """`1/7` for a seventh: where goals below 1 are the inverse of a number with at most one digit after the point."""
    inverse = round(1 / goal, 1)
    return f"1/{inverse:g}" if goal < 1 and abs(1 / inverse - goal) < 1e-9 else None
