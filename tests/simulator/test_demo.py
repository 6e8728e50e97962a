"""The demo as people run it: the real compiler, the real agent, real sockets."""

import sys
from pathlib import Path

import pytest
import trio

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).parent / "pointsman-sim")
DEMO_WITHIN_S = 60.0  # the demo's promise


@pytest.mark.timeout(90)
async def test_the_example_fleet_plays_as_its_bundle_says() -> None:
    with trio.fail_after(DEMO_WITHIN_S):
        done = await trio.run_process(
            [COMMAND, "demo", "--sites", str(ROOT / "sites")], check=False, capture_stdout=True, capture_stderr=True
        )

    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert lines[-1] == "All is as the bundle says."
    assert sum(line.startswith("ok  ") for line in lines) == 11
    assert max(map(len, lines)) <= 80
