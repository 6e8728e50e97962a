"""The unit, judged by systemd itself, and held against what the agent is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pointsman_agent.run import STATIONS_LEAVE_WITHIN_S
from pointsman_agent.starter import UNIT, unit_text

UNIT_FILE = Path(__file__).parents[2] / "deploy" / "systemd" / UNIT
MOST_EXPOSED = 3.0  # of 10
WITHIN_S = 30.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=WITHIN_S
    )


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit for a program that this machine has."""
    path = tmp_path / UNIT
    path.write_text(unit_text(Path("/bin/true"), Path("/etc/pointsman")))
    return path


def test_the_unit_in_the_repository_is_the_one_that_init_lays_down() -> None:
    assert UNIT_FILE.read_text() == unit_text(Path("/usr/local/bin/pointsman-agent"), Path("/etc/pointsman"))


@needs_systemd
def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_rates_the_unit_as_little_exposed(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(unit))

    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSED


@needs_systemd
def test_a_fault_in_a_unit_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchDog=30"))

    assert "WatchDog" in analyze("verify", "--man=no", str(unit)).stderr


def test_stations_have_the_time_to_be_told_before_systemd_kills() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT_FILE.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > STATIONS_LEAVE_WITHIN_S + 4
