"""The compiler beside its goals: `python -m benchmarks.compile_goals`. Linux, about a minute; less with `--sites 1000`.

CPU times and memory say how good it is; what the clock says depends on what else the machine does, so the load before
the run stands beside it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import compiling
from benchmarks.fleet import write_fleet
from benchmarks.machine import describe

JOBS: Final = 2
STATIONS: Final = 20
STARTS: Final = 9
LOOK_EVERY_S: Final = 0.05
RUN_WITHIN_S: Final = 300.0
"""A run over the fleet that takes longer hangs."""
MIB: Final = 1024 * 1024
_POINTSMAN: Final = [sys.executable, "-m", "pointsman_compiler"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and its goal: not more than that many of its unit."""

    name: str
    found: float
    goal: float
    unit: str

    def __str__(self) -> str:
        verdict = "met" if self.found <= self.goal else "MISSED"
        return f"{self.name:<62} {self.found:9.2f} {self.unit:<4} goal {self.goal:g}: {verdict}"


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took, all its processes together; `largest` is the process with the most memory."""

    wall_s: float
    cpu_s: float
    largest_mib: float
    sum_mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_goals", description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    sites = parser.parse_args().sites
    load = os.getloadavg()[0]
    print("\n".join(describe()))
    print(f"load {load:.1f} on {os.cpu_count()} cores before the run\n")
    with tempfile.TemporaryDirectory(prefix="pointsman-benchmark-") as folder:
        for row in (*_sites(Path(folder)), *_starts(), *_fleet(Path(folder), sites)):
            print(row, flush=True)


def _sites(folder: Path) -> Iterator[Row]:
    for stations, goal_ms in ((20, 1.2), (500, 25.0)):
        figure = compiling.measure(folder, stations)
        yield Row(f"text to signed bundle, {stations} stations, CPU", figure.ours, goal_ms, "ms")
        yield Row(f"  by {figure.yardstick} ({figure.theirs:.2f} ms)", figure.ratio, 1 / 5, "")


def _starts() -> Iterator[Row]:
    runs = [_run([*_POINTSMAN, "--help"]) for _ in range(STARTS)]
    yield Row("pointsman --help, wall", median(run.wall_s for run in runs) * 1e3, 150, "ms")
    yield Row("pointsman --help, CPU", median(run.cpu_s for run in runs) * 1e3, 150, "ms")


def _fleet(folder: Path, sites: int) -> Iterator[Row]:
    share = sites / 10_000
    write_fleet(folder / "sites", sites, STATIONS)
    subprocess.run([*_POINTSMAN, "keygen", folder / "release"], check=True)
    command: list[str | Path] = [
        *_POINTSMAN,
        "compile",
        folder / "sites",
        "--sequence",
        "1",
        "--key",
        folder / "release.key",
    ]
    run = _run([*command, "--out", folder / "out", "--jobs", str(JOBS)])
    made = len(list((folder / "out").glob("*.bundle")))
    if made != sites:
        raise SystemExit(f"{made} bundles of {sites} were made")
    name = f"{sites} sites of {STATIONS} stations, {JOBS} jobs"
    yield Row(f"{name}, wall", run.wall_s, 15 * share, "s")
    yield Row(f"{name}, CPU / {JOBS}", run.cpu_s / JOBS, 15 * share, "s")
    yield Row(f"{name}, memory of the largest process", run.largest_mib, 300, "MiB")
    yield Row(f"{name}, memory of all processes", run.sum_mib, 300, "MiB")
    yield from _plans(folder, share)
    again = _run([*command, "--out", folder / "out", "--jobs", str(JOBS)])
    yield Row("  again, with nothing to write, wall", again.wall_s, 15 * share, "s")
    yield Row(f"  again, with nothing to write, CPU / {JOBS}", again.cpu_s / JOBS, 15 * share, "s")


def _plans(folder: Path, share: float) -> Iterator[Row]:
    """One site changes, and then the catalogue; from folders and, for the site, from commits."""
    for name in ("one", "all"):
        shutil.copytree(folder / "sites", folder / name)
    site = next((folder / "one").glob("*/*.yaml"))
    site.write_text(site.read_text().replace("title: Car park", "title: Parking"))
    fleet = folder / "all" / "fleet.yaml"
    fleet.write_text(fleet.read_text().replace("csms.acme.example/ocpp", "csms.acme.example/v2"))
    plan: list[str | Path] = [*_POINTSMAN, "plan", "--jobs", str(JOBS), "--write", folder / "plan.json"]
    one = _run([*plan, folder / "sites", folder / "one"])
    yield Row("plan, one site changed, wall", one.wall_s, 3, "s")
    yield Row("plan, one site changed, CPU", one.cpu_s, 3, "s")
    commits = _run([*plan, *_committed(folder / "sites", folder / "one"), "--root", folder / "git" / "sites"])
    yield Row("plan, one site changed, from commits, wall", commits.wall_s, 3, "s")
    every = _run([*plan, folder / "sites", folder / "all"])
    yield Row("plan, the catalogue changed, wall", every.wall_s, 30 * share, "s")
    yield Row(f"plan, the catalogue changed, CPU / {JOBS}", every.cpu_s / JOBS, 30 * share, "s")
    yield Row("plan, the catalogue changed, memory of the largest process", every.largest_mib, 300, "MiB")


def _committed(*sides: Path) -> list[str]:
    """Commit the folders one after the other, and return the commits' hashes."""
    repository = sides[0].parent / "git"
    found = []
    for side in sides:
        shutil.rmtree(repository / "sites", ignore_errors=True)
        shutil.copytree(side, repository / "sites")
        for command in (
            ("init", "--quiet"),
            ("add", "--all"),
            ("-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "--message=b"),
        ):
            subprocess.run(["git", *command], cwd=repository, check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True)
        found.append(head.stdout.strip())
    return found


def _run(command: list[str | Path]) -> Run:
    began, cpu = time.monotonic(), _children_cpu_s()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    largest = whole = 0
    while True:
        try:
            code = process.wait(LOOK_EVERY_S)
            break
        except subprocess.TimeoutExpired:
            sizes = [_resident_bytes(each) for each in _with_children(process.pid)]
            largest, whole = max(largest, *sizes), max(whole, sum(sizes))
        if time.monotonic() - began > RUN_WITHIN_S:
            process.kill()
    if code != 0:
        raise SystemExit(f"{command} ended with {code}")
    return Run(time.monotonic() - began, _children_cpu_s() - cpu, largest / MIB, whole / MIB)


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _with_children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # ended meanwhile
        return [pid]
    return [pid, *(each for child in text.split() for each in _with_children(int(child)))]


def _resident_bytes(pid: int) -> int:
    """Resident memory; pages that processes share count for each of them (proc(5), statm)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
