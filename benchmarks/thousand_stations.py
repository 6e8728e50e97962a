"""A thousand stations through the agent: a cold start, an outage of their supervision, the return. Bounded in time.

Stations and supervision are processes of their own, and so within their own descriptor limits. The stations come back
by themselves, as told by Retry-After; the supervision crashes, is away for OUTAGE_S, and comes back on its port.
"""

import re
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import cpu_seconds, describe, free_port, raise_descriptor_limit
from benchmarks.peers import Stations, stations, supervision
from benchmarks.relaying import AgentProcess, agent_process

STATIONS: Final = 1000
INTERVAL_S: Final = 2.0
TALK_S: Final = 6.0
OUTAGE_S: Final = 20.0
GIVE_UP_S: Final = 120.0
LOOK_EVERY_S: Final = 0.1
LEAST_SHARE: Final = 0.9
"""Of the requests that fit into TALK_S, so many must have been answered: a window cuts some in two."""

COLD_START_GOAL_S: Final = 60.0
RETURN_GOAL_S: Final = 60.0
GROWTH_GOAL_BYTES: Final = STATIONS * 64 * 1024
MOST_DESCRIPTORS_EACH: Final = 2.05  # a station's and its uplink's; some for whatever else is open at the moment


@dataclass(frozen=True, slots=True)
class Line:
    """A figure, what it should be at most, and whether it is; `goal` None: it is only told."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the goal, if there is one, is met."""
        return self.goal is None or self.value <= self.goal


def measure(folder: Path) -> list[Line]:
    """Return the figures; `folder` is empty and ours for the time. Raises SystemExit where a phase never ends."""
    raise_descriptor_limit()  # the agent inherits it, as it would get it from its unit file
    port = free_port()
    with ExitStack() as run:
        first = run.enter_context(ExitStack())
        first.enter_context(supervision(port))
        agent = run.enter_context(agent_process(folder, STATIONS, port))
        cold = Footprint.of(agent)
        fleet = run.enter_context(stations(agent.port, STATIONS, INTERVAL_S))
        lines = _phase("cold start until all are up", agent, fleet, STATIONS, COLD_START_GOAL_S)
        lines += _talk("before the outage", fleet)
        lines += Footprint.of(agent).lines("before the outage", cold)
        first.close()
        lines += _phase("outage noticed at all stations", agent, fleet, 0)
        time.sleep(OUTAGE_S)
        run.enter_context(supervision(port))
        lines += _phase("return until all are back", agent, fleet, STATIONS, RETURN_GOAL_S)
        lines += _talk("after the return", fleet)
        return lines + Footprint.of(agent).lines("after the return", cold)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the agent's process holds."""

    resident_bytes: int
    descriptors: int

    @classmethod
    def of(cls, agent: AgentProcess) -> "Footprint":
        """Return what it holds now (proc(5): VmRSS, fd)."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{agent.pid}/status").read_text())
        assert found is not None
        return cls(int(found.group(1)) * 1024, len(list(Path(f"/proc/{agent.pid}/fd").iterdir())))

    def lines(self, when: str, cold: "Footprint") -> list[Line]:
        """Return what was added to `cold`, the agent before the first station came."""
        grown_mib = (self.resident_bytes - cold.resident_bytes) / 2**20
        added = self.descriptors - cold.descriptors
        return [
            Line(f"memory growth, {when}", grown_mib, "MiB", GROWTH_GOAL_BYTES / 2**20),
            Line(f"descriptors a station, {when}", added / STATIONS, "", MOST_DESCRIPTORS_EACH),
        ]


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="pointsman-thousand-") as folder:
        lines = measure(Path(folder))
    print(report(lines), end="")
    return 0 if all(line.is_met for line in lines) else 1


def report(lines: list[Line]) -> str:
    """Return the figures as Markdown."""
    rows = [
        f"| {line.name} | {line.value:.1f} {line.unit} | {'' if line.goal is None else f'{line.goal:g} {line.unit}'} | "
        f"{'' if line.goal is None else 'met' if line.is_met else 'MISSED'} |"
        for line in lines
    ]
    head = ["# A thousand stations", "", *(f"* {fact}" for fact in describe()), ""]
    return "\n".join([*head, "| figure | value | at most | verdict |", "| --- | --- | --- | --- |", *rows]) + "\n"


def _phase(name: str, agent: AgentProcess, fleet: Stations, wanted: int, goal_s: float | None = None) -> list[Line]:
    """Wait until so many stations are up; raises SystemExit when that takes longer than GIVE_UP_S."""
    began, cpu_s, refused = time.monotonic(), cpu_seconds(agent.pid), 0
    while True:
        seen, took_s = fleet.ask(), time.monotonic() - began
        refused += seen.refused
        if seen.up == wanted:
            break
        if took_s > GIVE_UP_S:
            raise SystemExit(f"{name}: {seen.up} stations are up after {GIVE_UP_S:g} s, not {wanted}")
        time.sleep(LOOK_EVERY_S)
    return [
        Line(name, took_s, "s", goal_s),
        Line("… the agent's CPU meanwhile", cpu_seconds(agent.pid) - cpu_s, "s"),
        Line("… handshakes refused meanwhile", refused, ""),
    ]


def _talk(when: str, fleet: Stations) -> list[Line]:
    """Let every station ask and be answered, several times."""
    fleet.ask()
    time.sleep(TALK_S)
    seen = fleet.ask()
    missing = max(0.0, STATIONS * TALK_S / INTERVAL_S * LEAST_SHARE - seen.answers)
    return [
        Line(f"answers a second, {when}", seen.answers / TALK_S, ""),
        Line(f"answers missing, {when}", missing, "", 0),
        Line(f"round trip p50, {when}", seen.p50_ms, "ms"),
        Line(f"round trip p99, {when}", seen.p99_ms, "ms"),
        Line(f"connections lost, {when}", seen.lost, "", 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
