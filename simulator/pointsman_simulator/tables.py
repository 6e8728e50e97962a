"""What stations do, as it happens: a live table on a terminal, a line for each end elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

REFRESHES_PER_S = 8
ROWS_SHOWN = 40  # a terminal's height, roughly; the rest is counted


class Board(Protocol):
    """Where rows are shown; a row is known by its first cell."""

    def show(self, cells: Sequence[str], *, is_final: bool = False) -> None:
        """Show a row, in place of the one with the same first cell."""


class LineBoard:
    """A line for each final row."""

    def __init__(self, write: Callable[[str], None], widths: Sequence[int]) -> None:
        self._write = write
        self._widths = widths

    def show(self, cells: Sequence[str], *, is_final: bool = False) -> None:
        """Write the row when it is final."""
        if is_final:
            self._write(line_of(cells, self._widths))


class TableBoard:
    """Rows in the order of their first cells."""

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self._title = title
        self._columns = columns
        self._rows: dict[str, Sequence[str]] = {}

    def show(self, cells: Sequence[str], *, is_final: bool = False) -> None:
        """Put the row in."""
        self._rows[cells[0]] = cells

    def __rich__(self) -> "Table":
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=self._title, title_justify="left", expand=False)
        for column in self._columns:
            table.add_column(column)
        for key in sorted(self._rows)[:ROWS_SHOWN]:
            table.add_row(*(escape(cell) for cell in self._rows[key]))
        if len(self._rows) > ROWS_SHOWN:
            table.caption = f"and {len(self._rows) - ROWS_SHOWN} more"
        return table


@contextmanager
def open_board(
    title: str, columns: Sequence[str], widths: Sequence[int], *, console: "Console", write: Callable[[str], None]
) -> Iterator[Board]:
    """Show a live table on `console` where it is a terminal; else `write` a line for each final row."""
    if not console.is_terminal:
        write(line_of(columns, widths))
        yield LineBoard(write, widths)
        return
    from rich.live import Live

    table = TableBoard(title, columns)
    with Live(get_renderable=table.__rich__, console=console, refresh_per_second=REFRESHES_PER_S):
        yield table


def line_of(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return the cells padded to `widths`, cut where they are longer; the last one is never cut."""
    *padded, last = [
        cell if width <= 0 else f"{cell[:width]:<{width}}" for cell, width in zip(cells, widths, strict=True)
    ]
    return " ".join([*padded, last.rstrip()])
