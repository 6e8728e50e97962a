"""Transactions as people read them, and as spreadsheets do. Pure."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

from rich.table import Table

from pointsman_agent.tables import printable, render

Row = Mapping[str, Any]

COLUMNS: Final = ("station", "transactionId", "badge", "connector", "started", "ended", "energyWh", "reason")
_TITLES: Final = ("station", "badge", "started", "ended", "kWh", "reason")
# What a spreadsheet takes for a formula when a cell begins with it (OWASP, CSV injection). Badges come from cards.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


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


def transactions_csv(rows: Sequence[Row]) -> str:
    """Return CSV (RFC 4180) with a header; no cell is a formula to a spreadsheet."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return file.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value


def _clock(moment: str, *, is_exact: bool) -> str:
    """The offset goes below, for 80 columns hold no more."""
    clock = moment[:16].replace("T", " ")
    return printable(clock) + (f"\n{printable(_offset(moment))}" if is_exact else "")


def _offset(moment: str) -> str:
    """The offset of an RFC 3339 time."""
    return "Z" if moment.endswith(("Z", "z")) else moment[-6:]
