"""Transactions as spreadsheets read them. Pure."""

import csv
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any, Final

Row = Mapping[str, Any]

COLUMNS: Final = ("station", "transactionId", "badge", "connector", "started", "ended", "energyWh", "reason")
# What a spreadsheet takes for a formula when a cell begins with it (OWASP, CSV injection). Badges come from cards.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def transactions_csv(rows: Iterable[Row]) -> str:
    """Return CSV (RFC 4180) with a header; no cell is a formula to a spreadsheet or a command to a terminal."""
    file = StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return file.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    text = _escaped(value)
    return f"'{text}" if value.startswith(_FORMULA_STARTS) else text


def _escaped(text: str) -> str:
    r"""`text` with what a terminal would act on written as Python writes it (`\x1b`): two badges stay two."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
