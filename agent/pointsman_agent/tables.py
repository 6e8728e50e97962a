"""The status as people read it, within 80 columns. Pure: an object of the API goes in, text comes out."""

from collections.abc import Iterator, Mapping, Sequence
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
    lines += _source(status["source"], failed)
    if bundle["quarantine"] is not None:
        lines.append(_titled("held back", f"until {bundle['quarantine']['until']}: {bundle['quarantine']['why']}"))
    if status["journal"]["fault"] is not None:
        lines.append(_titled("journal", f"does not store: {status['journal']['fault']}"))
    lines.append(f"stations  {status['stationsConnected']} of {status['stationsTotal']} connected")
    moves = sum(1 for row in status["stations"] if row["pendingMove"] is not None)
    if moves:
        lines.append(f"moves     {moves} stations have yet to move to another operator")
    text = "\n".join(lines) + "\n"
    if status["supervisions"]:
        text += "\n" + render(_supervisions(status["supervisions"]), colour=colour)
    return text


def _source(source: Row, refused: Row | None) -> list[str]:
    """What the source of bundles is in, beside what the state and the refusal say already."""
    lines = [_titled("stale", "what the rollout said has ended; nothing new is taken")] if source["stale"] else []
    error = source["lastError"]
    if error is not None and (refused is None or refused["message"] != error["message"]):
        lines.append(_titled("source", f"{error['at']}  {error['class']}: {error['message']}"))
    return lines


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


def station_text(row: Row, *, colour: bool = False) -> str:
    """Return all that is known of one station (rule 50)."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for title, value in _facts(row):
        table.add_row(title, printable(value))
    return render(table, colour=colour)


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "station", row["station"]
    yield "group", row["group"] or "-"
    yield "operator", row["operator"]
    yield "link", f"{'up' if row['connected'] else 'down'} since {row['since'] or 'the agent began'}"
    yield "protocol", row["protocol"] or "-"
    if row["uplink"] is not None:
        yield "uplink", f"up, {row['uplink']['protocol']}" if row["uplink"]["connected"] else "down"
    move = row["pendingMove"]
    if move is not None:
        yield "moves", f"from {move['from']} to {move['to']}, {_when(move)}"
    yield "last received", row["lastReceived"] or "-"
    yield "last sent", row["lastSent"] or "-"
    yield "queue", f"{row['queue']} waiting"
    if row["openTransactions"] is not None:
        yield "transactions", f"{row['openTransactions']} open"
    strategy = row["strategy"]
    if strategy is not None:
        yield "strategy", f"online {strategy['online']}, offline {strategy['offline']}: {strategy['state']}"
        yield from (("", why) for why in [*strategy["why"], *strategy["notes"]])
    error = row["lastError"]
    yield "last error", "-" if error is None else f"{error['at']}  {error['class']}: {error['message']}"
    yield "dropped", _counts(row["dropped"])
    yield "noticed", _counts(row["noticed"])
    yield from _inventory(row["inventory"])


def _when(move: Row) -> str:
    if move["returned"]:
        return "went back until another bundle comes"
    return f"by {move['deadline']} at the latest" if move["deadline"] else "once it was seen"


def _inventory(found: Row) -> Iterator[tuple[str, str]]:
    names = (found[name] for name in ("vendor", "model", "firmware", "serialNumber"))
    yield "says it is", ", ".join(name for name in names if name) or "-"
    for each in found["connectors"]:
        evse = "" if each["evse"] is None else f"EVSE {each['evse']} "
        parts = (each["status"], each["error"], each["detail"])
        yield f"{evse}connector {each['connector']}", ", ".join(part for part in parts if part) or "-"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{why} {count}" for why, count in sorted(counts.items())) or "-"


def _supervisions(rows: Sequence[Row]) -> Table:
    words = {True: "yes", False: "no", None: "not tried"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("supervision", "reachable", "up", "clock", "certificate", "last error"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("supervision", "last error"))
    for row in rows:
        table.add_row(
            row["name"],
            words[row["reachable"]],
            str(row["stationsUp"]),
            "-" if row["clockOffsetSeconds"] is None else _offset(row["clockOffsetSeconds"]),
            (row["certificateExpires"] or "-").partition("T")[0],
            _error(row["lastError"]),
        )
    return table


def _offset(seconds: float) -> str:
    """A clock's difference, in whole seconds with its sign; a part of a second is none."""
    whole = round(seconds)
    return "0 s" if whole == 0 else f"{whole:+d} s"


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
