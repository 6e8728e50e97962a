"""Durable transaction events a second, with all their latencies, beside one commit an event.

    python -m benchmarks.journal [--stations N] [--seconds S] [--folder DIR]

Each station plays session after session of OCPP 2.0.1 (a start, eight updates, an end) and sends the next event when
the last one is durable, as OCPP has it. The yardstick stores the same entries by the same statements, one commit each.
The figures depend on the disk: DIR (default: the working folder, since /tmp may be memory) says which.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

import trio
from pointsman_agent.entries import TransactionEvent
from pointsman_agent.journal import open_journal
from pointsman_agent.journal.schema import migrate
from pointsman_agent.journal.storing import store

STATIONS: Final = 200
SECONDS: Final = 5.0
UPDATES: Final = 8
AT: Final = "2026-11-22T12:00:00Z"
_TEXT: Final = (
    '[2,"%s","TransactionEvent",{"eventType":"Updated","timestamp":"2026-11-22T12:00:00Z","triggerReason":'
    '"MeterValuePeriodic","seqNo":1,"transactionInfo":{"transactionId":"4f7c","chargingState":"Charging"},"meterValue":'
    '[{"timestamp":"2026-11-22T12:00:00Z","sampledValue":[{"value":120.5,"context":"Sample.Periodic","measurand":'
    '"Energy.Active.Import.Register","unitOfMeasure":{"unit":"kWh"}}]}]}]'
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was stored in how long; latencies in seconds."""

    events: int
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def line(self, name: str) -> str:
        """Return the result as a line of the table."""
        cuts = quantiles(self.latencies, n=100)
        p50, p99, most = (1000 * each for each in (cuts[49], cuts[98], max(self.latencies)))
        return f"{name:24}{self.rate:10,.0f}{p50:10.1f}{p99:10.1f}{most:10.1f}"


def main() -> None:
    """Measure both and print them."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="pointsman-journal-", dir=arguments.folder) as name:
        folder = Path(name)
        ours = trio.run(grouped, folder / "grouped.sqlite3", arguments.stations, arguments.seconds)
        yardstick = one_commit_an_event(folder / "single.sqlite3", arguments.seconds)
    print(f"{arguments.stations} stations, {arguments.seconds:g} s each, SQLite {sqlite3.sqlite_version}, WAL, FULL")
    print(f"{'':24}{'events/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'most ms':>10}")
    print(ours.line("journal, group commit"))
    print(yardstick.line("one commit an event"))
    print(f"ratio {ours.rate / yardstick.rate:.1f}")


def session(station: str, number: int) -> Iterator[TransactionEvent]:
    """The events of one session, in their order; the badge is in the first and the last, as stations have it."""
    for sequence in range(UPDATES + 2):
        kind = "Started" if sequence == 0 else "Ended" if sequence == UPDATES + 1 else "Updated"
        badge = "" if kind == "Updated" else "04A2B1C3D4E580"
        reading = 120_000 + 100 * sequence
        content = hash((station, number, sequence))  # what reading the message has found is not measured here
        yield TransactionEvent(
            station, _TEXT, f"{station}-{number}", sequence, kind, badge, AT, "", content, 1, reading
        )


async def grouped(path: Path, stations: int, seconds: float) -> Result:
    """Store through the journal, in a new file at `path`."""

    latencies: list[float] = []

    async def play(station: str) -> None:
        for number in range(1_000_000):
            for event in session(station, number):
                before = time.perf_counter()
                await journal.append(event)
                latencies.append(time.perf_counter() - before)

    async with open_journal(path, lambda: AT) as journal:
        start = time.perf_counter()
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for number in range(stations):
                    nursery.start_soon(play, f"CP-{number:04}")
        took = time.perf_counter() - start
    return Result(len(latencies), took, latencies)


def one_commit_an_event(path: Path, seconds: float) -> Result:
    """Store the same entries by the same statements, one by one, in a new file at `path`."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    migrate(database)
    latencies: list[float] = []
    start = time.perf_counter()
    number = 0
    while time.perf_counter() < start + seconds:
        for event in session("CP-0000", number):
            before = time.perf_counter()
            database.execute("BEGIN IMMEDIATE")
            store(database, event, AT)
            database.execute("COMMIT")
            latencies.append(time.perf_counter() - before)
        number += 1
    took = time.perf_counter() - start
    database.close()
    return Result(len(latencies), took, latencies)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=STATIONS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--folder", type=Path, default=Path())
    return parser.parse_args()


if __name__ == "__main__":
    main()
