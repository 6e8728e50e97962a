"""All lines of the goals table in one run: the relay, durable events, the compiler. Prints and writes the result."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from benchmarks import compiling, journal, scenarios
from benchmarks.certificates import write_certificates
from benchmarks.machine import describe, raise_descriptor_limit
from benchmarks.plot import svg
from benchmarks.report import Figure, Line, Round, markdown, quiet

RESULTS: Final = Path(__file__).parent / "results"
EVENT_ROUNDS: Final = 3
EVENT_STATIONS: Final = 100
EVENT_SECONDS: Final = 0.8


def main() -> int:
    """Measure, print, write; returns 0: a goal that is missed stands in the table, and fails nothing."""
    began = time.monotonic()
    load = f"load {os.getloadavg()[0]:.1f} before it"
    lines = []
    with tempfile.TemporaryDirectory(prefix="pointsman-benchmark-") as folder:
        for line in measured(Path(folder)):
            lines.append(line)
            print("  ".join(line.cells()[:6]), file=sys.stderr, flush=True)
    machine = describe()
    result = markdown(lines, [*machine, f"{time.monotonic() - began:.0f} s in all, {load}; {quiet(lines)}"])
    print(result, end="")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(result, encoding="utf-8")
    (RESULTS / "latest.svg").write_text(svg(lines, machine[0]), encoding="utf-8")
    return 0


def measured(folder: Path) -> Iterator[Line]:
    """Measure all, line by line; `folder` is empty and ours for the time."""
    descriptors = raise_descriptor_limit()
    certificates = write_certificates(folder / "certificates")
    yield from scenarios.hundred(folder / "hundred")
    yield from scenarios.thousand(folder / "thousand")
    yield from scenarios.with_tls(folder / "tls", certificates)
    yield from scenarios.growth(folder / "growth", descriptors)
    yield from scenarios.growth_with_tls(folder / "growth-tls", certificates)
    yield _durable_events()
    for stations in compiling.SITES:
        place = folder / f"sites-{stations}"
        place.mkdir()
        yield replace(compiling.measure(place, stations), goal=1 / 5)


def _durable_events() -> Figure:
    """Time an event, on the disk of the working folder: the system's temporary folder may be memory."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="pointsman-journal-", dir=Path()) as name:
        for number in range(EVENT_ROUNDS):
            ours = trio.run(journal.grouped, Path(name) / f"grouped-{number}", EVENT_STATIONS, EVENT_SECONDS)
            theirs = journal.one_commit_an_event(Path(name) / f"single-{number}", EVENT_SECONDS)
            rounds.append(Round(1e6 / ours.rate, 1e6 / theirs.rate))
    name = f"durable transaction event, {EVENT_STATIONS} stations, the clock's"
    return Figure(name, "µs", "one commit an event", rounds, 1 / 15)
