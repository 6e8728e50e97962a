"""Transactions as people read them, within 80 columns. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from pointsman_agent.tables import printable, render

Row = Mapping[str, Any]

_TITLES: Final = ("station", "badge", "started", "ended", "kWh", "reason")


def transactions_text(rows: Sequence[Row], *, colour: bool = False) -> str:
    """Return the table: local times, with their offset where it changes; energy in kWh."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in _TITLES:
        table.add_column(title, overflow="fold", justify="right" if title == "kWh" else "left")
    before = None
    for row in rows:
        moments = [row["started"], *([] if row["ended"] is None else [row["ended"]])]
        offsets = [_offset(moment) for moment in moments]
        changes = len({*offsets, before or offsets[0]}) > 1
        before = offsets[-1]
        energy = "-" if row["energyWh"] is None else f"{row['energyWh'] / 1000:.2f}"
        clocks = [_clock(moment, is_exact=changes) for moment in moments]
        badge, reason = (printable(row[name] or "-") for name in ("badge", "reason"))
        table.add_row(printable(row["station"]), badge, clocks[0], *(clocks[1:] or ["charges"]), energy, reason)
    return render(table, colour=colour)


def _clock(moment: str, *, is_exact: bool) -> str:
    """The offset goes below, for 80 columns hold no more."""
    clock = moment[:16].replace("T", " ")
    return printable(clock) + (f"\n{printable(_offset(moment))}" if is_exact else "")


def _offset(moment: str) -> str:
    """The offset of an RFC 3339 time."""
    return "Z" if moment.endswith(("Z", "z")) else moment[-6:]
