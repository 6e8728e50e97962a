"""Durable transaction events a second, with all their latencies, beside one commit an event.

    python -m benchmarks.journal [--stations N] [--rounds N] [--seconds S] [--folder DIR]

Each station plays session after session of OCPP 2.0.1 (a start, eight updates, an end) and sends the next event when
the last one is durable, as OCPP has it. The yardstick stores the same entries by the same statements, one commit each,
in turns with the journal. The figures depend on the disk: DIR (default: the working folder, since /tmp may be memory)
says which. The exit code is 1 when a goal is missed; where other programs had too much of the machine, nothing is said.
"""

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

import trio
from pointsman_agent.entries import TransactionEvent
from pointsman_agent.journal import open_journal
from pointsman_agent.journal.schema import migrate
from pointsman_agent.journal.storing import store

from benchmarks.machine import busy_seconds

STATIONS: Final = 200
ROUNDS: Final = 3
SECONDS: Final = 3.0
RATE_GOAL: Final = 5_000.0
"""Events a second, at least, with STATIONS stations."""
P99_GOAL_MS: Final = 50.0
BUSY: Final = 0.2
"""Where other programs took more of the machine's cores, nothing can be said."""
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

    def percentile_ms(self, percent: int) -> float:
        """What so many percent of the events took at most, in ms."""
        return 1000 * quantiles(self.latencies, n=100)[percent - 1]

    def line(self, name: str) -> str:
        """Return the result as a line of the table."""
        p50, p99, most = self.percentile_ms(50), self.percentile_ms(99), 1000 * max(self.latencies)
        return f"{name:24}{self.rate:10,.0f}{p50:10.1f}{p99:10.1f}{most:10.1f}"


def together(rounds: Sequence[Result]) -> Result:
    """Return several rounds as one."""
    latencies = [each for one in rounds for each in one.latencies]
    return Result(sum(one.events for one in rounds), sum(one.seconds for one in rounds), latencies)


def verdict(*, is_met: bool, others: float) -> str:
    """Return what is to be said of a goal; `others` is the share of the cores that other programs had, 0 to 1."""
    return "met" if is_met else "busy" if others > BUSY else "MISSED"


def main() -> int:
    """Measure both and print them; 1 when a goal is missed."""
    arguments = _arguments()
    ours, theirs = [], []
    others_s = 0.0
    with tempfile.TemporaryDirectory(prefix="pointsman-journal-", dir=arguments.folder) as name:
        for number in range(arguments.rounds):
            others_s -= busy_seconds() - time.process_time()
            ours.append(trio.run(grouped, Path(name) / f"grouped-{number}", arguments.stations, arguments.seconds))
            others_s += busy_seconds() - time.process_time()
            theirs.append(one_commit_an_event(Path(name) / f"single-{number}", arguments.seconds))
    journal, yardstick = together(ours), together(theirs)
    others = max(0.0, others_s / journal.seconds / (os.cpu_count() or 1))
    rounds = f"{arguments.rounds} × {arguments.seconds:g} s each"
    print(f"{arguments.stations} stations, {rounds}, SQLite {sqlite3.sqlite_version}, WAL, FULL")
    print(f"{'':24}{'events/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'most ms':>10}")
    print(journal.line("journal, group commit"))
    print(yardstick.line("one commit an event"))
    print(f"ratio {journal.rate / yardstick.rate:.1f}; other programs had {others:.0%} of the machine")
    if arguments.stations != STATIONS:
        return 0
    verdicts = [
        verdict(is_met=journal.rate >= RATE_GOAL, others=others),
        verdict(is_met=journal.percentile_ms(99) <= P99_GOAL_MS, others=others),
    ]
    print(f"at least {RATE_GOAL:,.0f} events/s: {verdicts[0]}; p99 at most {P99_GOAL_MS:g} ms: {verdicts[1]}")
    return int("MISSED" in verdicts)


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
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--folder", type=Path, default=Path())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
