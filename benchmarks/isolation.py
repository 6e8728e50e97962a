"""Round trips of stations that behave while one of them does not, beside the same stations in quiet (rule 30).

One core is the agent's, the other its peers', so that what a misbehaving station uses for itself is not taken for what
it does to others; where there is one core only, the figures say less, and the report says so.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.disturber import KINDS
from benchmarks.machine import describe, free_port
from benchmarks.peers import ROOT, Seen, Stations, pin, stations, supervision
from benchmarks.relaying import AgentProcess, agent_process

GOAL: Final = 2.0
"""A disturbed 99th percentile may be so many times the quiet one."""
BUSY_MS: Final = 10.0
"""Where the quiet 99th percentile is above, the machine does other things, and nothing can be said of the agent."""
STATIONS: Final = 100
INTERVAL_S: Final = 0.1
ROUNDS: Final = 6
WINDOW_S: Final = 0.8
BEGUN_S: Final = 0.3  # until a misbehaving station is at it
UP_WITHIN_S: Final = 20.0
_ONE_CORE: Final = "One core only: what the misbehaving station uses for itself counts too."
NICENESS: Final = 19  # whoever measures comes first on the core that peers share


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What one kind of misbehaviour did to the others, as rounds of quiet and disturbed."""

    kind: str
    rounds: list[tuple[Seen, Seen]]

    @property
    def ratio(self) -> float:
        """The disturbed 99th percentile by the quiet one, as the median over rounds."""
        return median(disturbed.p99_ms / quiet.p99_ms for quiet, disturbed in self.rounds)

    @property
    def verdict(self) -> str:
        """`met` when the goal is and nobody lost a connection, else `MISSED`; `busy` where nothing can be said."""
        if any(disturbed.lost for _, disturbed in self.rounds):
            return "MISSED"
        if median(quiet.p99_ms for quiet, _ in self.rounds) > BUSY_MS:
            return "busy"
        return "met" if self.ratio <= GOAL else "MISSED"


def measure(folder: Path) -> list[Disturbance]:
    """Return what each kind of misbehaviour does; `folder` is empty and ours for the time."""
    port = free_port()
    ours, peers = _cores()
    with supervision(port, core=peers), agent_process(folder, STATIONS + 1, port) as agent:
        pin(agent.pid, ours)
        with stations(agent.port, STATIONS, INTERVAL_S, core=peers) as others:
            _wait_up(others)
            return [_disturbance(kind, agent, others, peers) for kind in KINDS]


def report(found: list[Disturbance]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "# Isolation",
        "",
        *(f"* {fact}" for fact in describe()),
        "",
        f"{STATIONS} stations, a request each {INTERVAL_S:g} s, while one more misbehaves. Round trips in ms, medians "
        f"of {ROUNDS} rounds; goal: p99 at most {GOAL:g} times that in quiet, nobody thrown "
        f"out. `busy`: in quiet p99 was over {BUSY_MS:g} ms already, for the machine had other work.",
        *([] if _cores()[0] is not None else ["", _ONE_CORE]),
        "",
        "| one station | p50 quiet | p50 | p99 quiet | p99 | ratio | thrown out | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, found),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="pointsman-isolation-") as folder:
        found = measure(Path(folder))
    print(report(found), end="")
    return int(any(each.verdict == "MISSED" for each in found))


def _disturbance(kind: str, agent: AgentProcess, others: Stations, core: int | None) -> Disturbance:
    rounds = []
    for _ in range(ROUNDS):
        quiet = _window(others)
        with _misbehaving(kind, agent.port, core) as process:
            time.sleep(BEGUN_S)
            disturbed = _window(others)
            process.wait(UP_WITHIN_S)
        if process.returncode:
            raise SystemExit(f"the station that should {kind} failed")
        _wait_up(others)
        rounds.append((quiet, disturbed))
    return Disturbance(kind, rounds)


def _window(others: Stations) -> Seen:
    """Return what happens in one window of time from now on."""
    others.ask()
    time.sleep(WINDOW_S)
    return others.ask()


def _misbehaving(kind: str, port: int, core: int | None) -> "subprocess.Popen[bytes]":
    seconds = BEGUN_S + WINDOW_S + 0.2
    command = [sys.executable, "-m", "benchmarks.disturber", kind, str(port), f"CP-{STATIONS:04}", str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    pin(process.pid, core)
    os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _wait_up(others: Stations) -> None:
    end = time.monotonic() + UP_WITHIN_S
    while others.ask().up < STATIONS:
        if time.monotonic() > end:
            raise SystemExit(f"not all of {STATIONS} stations are up within {UP_WITHIN_S:g} s")
        time.sleep(0.1)


def _cores() -> tuple[int | None, int | None]:
    """Return a core for the agent and one for its peers, None and None where there is one only."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _row(each: Disturbance) -> str:
    quiet, disturbed = zip(*each.rounds, strict=True)
    cells = (
        each.kind,
        f"{median(seen.p50_ms for seen in quiet):.2f}",
        f"{median(seen.p50_ms for seen in disturbed):.2f}",
        f"{median(seen.p99_ms for seen in quiet):.2f}",
        f"{median(seen.p99_ms for seen in disturbed):.2f}",
        f"{each.ratio:.2f}",
        str(sum(seen.lost for seen in disturbed)),
        each.verdict,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
