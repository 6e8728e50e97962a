"""Figures → a Markdown table, for the terminal and for results/latest.md. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

STEADY: Final = 1.5
"""A round whose yardstick is so many times off the yardstick's median was disturbed, and does not count."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: ours and the yardstick's, measured one right after the other, in the figure's unit."""

    ours: float
    yardstick: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity in interleaved rounds. Less is better."""

    name: str
    unit: str
    yardstick: str
    rounds: Sequence[Round]

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


def markdown(figures: Sequence[Figure], machine: Sequence[str]) -> str:
    """Return the whole result."""
    lines = [
        "# Benchmark",
        "",
        *(f"* {fact}" for fact in machine),
        "",
        "CPU time, never the clock's. Medians of interleaved rounds; the ratio says more than the figures.",
        "",
        "| figure | Pointsman | yardstick | ratio | rounds | yardstick is |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_row, figures),
    ]
    return "\n".join(lines) + "\n"


def _row(figure: Figure) -> str:
    cells = (
        figure.name,
        f"{figure.ours:.1f} {figure.unit}",
        f"{figure.theirs:.1f} {figure.unit}",
        f"{figure.ratio:.2f}",
        f"{len(figure.counted)} of {len(figure.rounds)}",
        figure.yardstick,
    )
    return f"| {' | '.join(cells)} |"
