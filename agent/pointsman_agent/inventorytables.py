"""What stations say they are, as people read it, within 80 columns. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from pointsman_agent.tables import printable, render

Row = Mapping[str, Any]


def inventory_text(rows: Sequence[Row], *, colour: bool = False) -> str:
    """Return the table of stations."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("station", "vendor", "model", "firmware", "serial number", "connectors"):
        table.add_column(name, overflow="fold")
    for row in rows:
        said = (row[name] or "-" for name in ("vendor", "model", "firmware", "serialNumber"))
        table.add_row(row["station"], *map(printable, said), printable(_connectors(row["connectors"])))
    return render(table, colour=colour)


def _connectors(rows: Sequence[Row]) -> str:
    """How many are how; OCPP 1.6's connector 0 is the station itself."""
    counts = Counter(row["status"] or "?" for row in rows if row["evse"] is not None or row["connector"] != 0)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "-"
