"""Messages and what the journal has beside transactions, as people read them, within 80 columns. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.cells import chop_cells
from rich.table import Table

from pointsman_agent.tables import WIDTH, printable, render

Row = Mapping[str, Any]

_INDENT: Final = "  "
_DIRECTIONS: Final = {
    "from-station": "station →",
    "to-station": "station ←",
    "from-supervision": "supervision →",
    "to-supervision": "supervision ←",
}
_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"


def passed_text(row: Row, *, colour: bool = False) -> str:
    """Return one message: when, whose, where from, and its text in whole lines; without a newline at the end."""
    if "missed" in row:
        return f"({row['missed']} messages missed: they passed faster than they were read)"
    time = row["at"].partition("T")[2].removesuffix("Z")
    head = f"{time}  {row['station']}  {_DIRECTIONS.get(row['direction'], row['direction'])}"
    if "dropped" in row:
        head += f"  dropped: {row['dropped']}"
    lines = chop_cells(printable(head), WIDTH)
    if colour:
        lines = [f"{_BOLD}{line}{_PLAIN}" for line in lines]
    text = printable(row["text"])
    return "\n".join([*lines, *(_INDENT + line for line in chop_cells(text, WIDTH - len(_INDENT)))])


def security_events_text(rows: Sequence[Row], *, colour: bool = False) -> str:
    """Return the table of security events."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("received", "station", "type", "detail"):
        table.add_column(name, overflow="fold", no_wrap=name == "received")
    for row in rows:
        table.add_row(*(printable(row[name]) for name in ("at", "station", "type", "detail")))
    return render(table, colour=colour)


def activations_text(rows: Sequence[Row], *, colour: bool = False) -> str:
    """Return the table of what became of bundles."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("at", "what", "bundle", "detail"):
        table.add_column(name, overflow="fold", no_wrap=name in ("at", "what"))
    for row in rows:
        sequence = "" if row["sequence"] is None else f"{row['sequence']} "
        bundle = sequence + (row["digest"] or "").removeprefix("sha256:")[:12]
        parts = (row["station"], row["source"] and f"from {row['source']}", row["detail"])
        detail = "; ".join(part for part in parts if part)
        table.add_row(row["at"], row["what"], printable(bundle), printable(detail))
    return render(table, colour=colour)
