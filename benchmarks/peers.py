"""Stations and supervisions of a benchmark as processes, the shell round `stations` and `supervision`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened to the stations since they were asked last (see `stations`)."""

    up: int
    answers: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    lost: int
    refused: int


class Stations:
    """A running process of stations."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self) -> Seen:
        """Return what happened since the last time; raises SystemExit where the process has failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the stations' process has ended")
        return Seen(**json.loads(line))


@contextmanager
def stations(port: int, number: int, interval_s: float, *, core: int | None = None) -> Iterator[Stations]:
    """Run so many stations, from CP-0000 on, against an agent until the block ends."""
    arguments = [str(port), str(number), str(interval_s)]
    with _process("benchmarks.stations", *arguments, core=core) as process:
        yield Stations(process)


@contextmanager
def supervision(port: int, *, core: int | None = None) -> Iterator[None]:
    """Run a supervision until the block ends; it is killed then, as one that crashes."""
    with _process("benchmarks.supervision", str(port), core=core) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "listening\n":
            raise SystemExit(f"no supervision on port {port}")
        yield


def pin(pid: int, core: int | None) -> None:
    """Keep a process on one core, so that what it uses is taken from nobody else."""
    if core is not None:
        os.sched_setaffinity(pid, {core})


@contextmanager
def _process(module: str, *arguments: str, core: int | None) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            pin(process.pid, core)
            yield process
        finally:
            process.kill()
