"""Files of strangers: a command with bounds on memory and time, which sees nothing that may be a secret."""

import os
from pathlib import Path

import pytest
from pointsman_compiler.cli.confined import kept_environment
from support.command import pointsman
from support.trees import UNIQUE, lay_out

from benchmarks.fleet import write_fleet

SITES = Path(__file__).parents[2] / "sites"
LOCAL = """\
version: 1
site: one
timeZone: Europe/Paris
supervision: local
badges: [{file: all.csv}]
stations: {CP-1: {}}
"""


@pytest.mark.parametrize("command", [("check",), ("plan", SITES)])
def test_within_its_bounds_a_command_does_what_it_does_without(command: tuple[str | Path, ...]) -> None:
    bounded = pointsman(*command, SITES, "--max-memory", "1024", "--max-seconds", "40")

    free = pointsman(*command, SITES)
    assert (bounded.returncode, bounded.stdout, bounded.stderr) == (free.returncode, free.stdout, free.stderr)


def test_the_exit_code_comes_through(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"one.yaml": UNIQUE.replace("wss:", "https:")}).root

    done = pointsman("check", root, "--max-seconds", "40")

    assert done.returncode == 1
    assert "PM310" in done.stdout


def test_what_takes_too_long_is_stopped_and_told(tmp_path: Path) -> None:
    write_fleet(tmp_path / "sites", 4000, 40)

    done = pointsman("check", tmp_path / "sites", "--jobs", "1", "--max-seconds", "1")

    assert done.returncode == 6
    assert "error: it was stopped" in done.stderr


def test_what_takes_too_much_memory_is_stopped_and_told(tmp_path: Path) -> None:
    numbers = "".join(f"04{number:08X}\n" for number in range(250_000))
    lay_out(tmp_path, {"one.yaml": LOCAL, "all.csv": f"badge\n{numbers}"})

    done = pointsman("check", tmp_path, "--max-memory", "256", "--max-seconds", "40")

    assert done.returncode == 6
    assert "error: memory ran out" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_environment_has_what_is_needed_to_run_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("POINTSMAN_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    found = kept_environment()

    assert "secret" not in found.values()
    assert found["LC_ALL"] == "C.UTF-8"
    assert found["PATH"] == os.environ["PATH"]
