"""The status as people read it, within 80 columns. Pure: an object of the API goes in, text comes out."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final

from rich.console import Console
from rich.table import Table

WIDTH: Final = 80
_TITLE_WIDTH: Final = 10

Row = Mapping[str, Any]


def status_text(status: Row, *, colour: bool = False) -> str:
    """Return the whole in a few lines: bundle, supervisions, how many stations."""
    bundle = status["bundle"]
    lines = [
        f"site      {status['site']}",
        f"state     {status['state']}",
        f"bundle    {_bundle(bundle['active'])}",
    ]
    if bundle["desired"] is not None and bundle["desired"] != bundle["active"]:
        lines.append(f"desired   {_bundle(bundle['desired'])}")
    failed = bundle["lastFailed"]
    if failed is not None:
        lines.append(_titled("refused", f"{failed['at']}  {failed['code']}: {failed['message']}"))
    lines.append(f"stations  {status['stationsConnected']} of {status['stationsTotal']} connected")
    text = "\n".join(lines) + "\n"
    if status["supervisions"]:
        text += "\n" + render(_supervisions(status["supervisions"]), colour=colour)
    return text


def stations_text(stations: Sequence[Row], *, colour: bool = False) -> str:
    """Return the table of stations."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("station", "group", "operator", "link", "protocol", "queue", "open", "last error"):
        table.add_column(name, overflow="fold", no_wrap=name in ("link", "queue", "open"))
    for row in stations:
        table.add_row(
            row["station"],
            row["group"] or "-",
            row["operator"],
            "up" if row["connected"] else "down",
            (row["protocol"] or "-").removeprefix("ocpp"),
            str(row["queue"]),
            "-" if row["openTransactions"] is None else str(row["openTransactions"]),
            _error(row["lastError"]),
        )
    return render(table, colour=colour)


def _supervisions(rows: Sequence[Row]) -> Table:
    words = {True: "yes", False: "no", None: "not tried"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("supervision", "reachable", "stations up", "last error"):
        table.add_column(name, overflow="fold", no_wrap=name == "reachable")
    for row in rows:
        table.add_row(row["name"], words[row["reachable"]], str(row["stationsUp"]), _error(row["lastError"]))
    return table


def _bundle(bundle: Row | None) -> str:
    return "none" if bundle is None else f"{bundle['sequence']}  {bundle['digest'][:19]}  since {bundle['at']}"


def _error(error: Row | None) -> str:
    return "-" if error is None else printable(f"{error['class']}: {error['message']}")


def _titled(title: str, text: str) -> str:
    table = Table(box=None, pad_edge=False, padding=0, show_header=False)
    table.add_column(width=_TITLE_WIDTH)
    table.add_column(overflow="fold")
    table.add_row(title, printable(text))
    return render(table, colour=False).rstrip("\n")


def printable(text: str) -> str:
    """`text` without what a terminal would act on: peers choose the words of a Close frame."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def render(table: Table, *, colour: bool) -> str:
    """Return `table` as text of at most 80 columns."""
    # No markup and no emoji codes: identities and messages hold brackets and colons of their own.
    console = Console(
        file=StringIO(),
        width=WIDTH,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(table)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
