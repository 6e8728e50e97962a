"""Steady stations, a supervision that dies and one misbehaving station: real processes, few stations, short times."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import isolation, thousand_stations
from benchmarks.disturber import KINDS
from benchmarks.isolation import Disturbance
from benchmarks.machine import free_port
from benchmarks.peers import ROOT, Seen, Stations, stations, supervision
from benchmarks.relaying import agent_process
from benchmarks.stations import percentile
from benchmarks.thousand_stations import Footprint, Line

STATIONS = 4
INTERVAL_S = 0.05
WITHIN_S = 40.0


def wait_for(fleet: Stations, holds: Callable[[Seen], bool]) -> Seen:
    """Ask the stations until it holds; the process prints nothing by itself."""
    end = time.monotonic() + WITHIN_S
    while not holds(seen := fleet.ask()):
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    return seen


def test_steady_stations_lose_their_supervision_and_come_back_by_themselves(tmp_path: Path) -> None:
    port = free_port()
    with agent_process(tmp_path, STATIONS, port) as agent, stations(agent.port, STATIONS, INTERVAL_S) as fleet:
        away = wait_for(fleet, lambda seen: seen.refused > 0)
        with supervision(port):
            wait_for(fleet, lambda seen: seen.up == STATIONS)
            talked = wait_for(fleet, lambda seen: seen.answers >= STATIONS)
        wait_for(fleet, lambda seen: seen.up == 0)
        with supervision(port):
            wait_for(fleet, lambda seen: seen.up == STATIONS)

    assert away.up == 0
    assert 0 < talked.p50_ms <= talked.p99_ms <= talked.longest_ms


def test_a_misbehaving_station_does_what_it_should_for_as_long_as_it_should(tmp_path: Path) -> None:
    port = free_port()
    with supervision(port), agent_process(tmp_path, 1, port) as agent:
        command = [sys.executable, "-m", "benchmarks.disturber", "flood", str(agent.port), "CP-0000", "0.5"]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=True)
        took_s = time.monotonic() - began

    seen = json.loads(done.stdout)
    assert seen["connections"] == 1
    assert seen["bytes"] > 100_000
    assert took_s >= 0.5


def test_no_kind_of_misbehaviour_is_silent() -> None:
    assert all(len(next(misbehave())) > 0 for misbehave in KINDS.values())


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 4.0), (100, 4.0)])
def test_percentiles_are_of_the_nearest_rank(percent: int, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], percent) == value
    assert percentile([], percent) == 0.0


def seen(p99_ms: float, lost: int = 0) -> Seen:
    """Return what stations saw."""
    return Seen(up=1, answers=1, p50_ms=1.0, p99_ms=p99_ms, longest_ms=p99_ms, lost=lost, refused=0)


def test_isolation_is_judged_by_the_99th_percentile_and_by_who_was_thrown_out() -> None:
    fine = Disturbance("flood", [(seen(2.0), seen(3.0)), (seen(2.0), seen(4.0)), (seen(2.0), seen(40.0))])
    slow = Disturbance("pings", [(seen(2.0), seen(4.1))])
    thrown_out = Disturbance("noise", [(seen(2.0), seen(2.0, lost=1))])
    busy = Disturbance("calls", [(seen(11.0), seen(90.0))])

    rows = isolation.report([fine, slow, thrown_out, busy]).splitlines()[-4:]

    assert [row.split("|")[-2].strip() for row in rows] == ["met", "MISSED", "MISSED", "busy"]
    assert "2.00" in rows[0]


def test_a_figure_over_its_goal_is_missed_and_one_without_a_goal_is_told() -> None:
    lines = [Line("a", 60.0, "s", 60.0), Line("b", 60.1, "s", 60.0), Line("c", 1e9, "s")]

    rows = thousand_stations.report(lines).splitlines()[-3:]

    assert [line.is_met for line in lines] == [True, False, True]
    assert [row.split("|")[-2].strip() for row in rows] == ["met", "MISSED", ""]


def test_what_stations_cost_is_counted_from_the_agent_before_they_came() -> None:
    cold = Footprint(resident_bytes=100 * 2**20, descriptors=10)
    grown = Footprint(resident_bytes=100 * 2**20 + 65 * 1024 * 1000, descriptors=2010)

    memory, descriptors = grown.lines("now", cold)

    assert not memory.is_met
    assert descriptors.value == 2.0
    assert descriptors.is_met
