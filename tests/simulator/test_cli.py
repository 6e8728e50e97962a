"""The command as people call it: real processes, exit codes, what is on stdout and what on stderr."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import Supervision, open_supervision

COMMAND = str(Path(sys.executable).parent / "pointsman-sim")
ENDS_WITHIN_S = 30.0  # starting Python on a loaded machine; the command itself takes a second


async def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    with trio.fail_after(ENDS_WITHIN_S):
        return await trio.run_process([COMMAND, *arguments], check=False, capture_stdout=True, capture_stderr=True)


@pytest.fixture
async def supervision() -> AsyncIterator[Supervision]:
    async with open_supervision(rejected_badges=["BAD"]) as opened:
        yield opened


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=ENDS_WITHIN_S)


def url_in(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    found = re.match(r"listening on (wss?://\S+)/<station>", process.stderr.readline())
    assert found is not None
    return found[1]


async def test_stations_that_all_charge_exit_with_0_and_a_line_each(supervision: Supervision) -> None:
    done = await run("station", f"{supervision.url}/CP-{{n}}", "--count", "3", "--meter-interval", "0")

    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, done
    assert sorted(line.split()[0] for line in lines[1:]) == ["CP-1", "CP-2", "CP-3"]
    assert all(" done" in line for line in lines[1:])
    assert done.stderr == b""


async def test_a_refused_badge_exits_with_1_and_says_why(supervision: Supervision) -> None:
    done = await run("station", f"{supervision.url}/CP", "--badge", "bad", "--protocol", "ocpp2.0.1")

    assert done.returncode == 1
    assert b"Authorize: Invalid" in done.stdout


async def test_nobody_there_exits_with_6(supervision: Supervision) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()

    done = await run("station", f"ws://127.0.0.1:{port}/CP")

    assert done.returncode == 6


async def test_json_gives_every_text(supervision: Supervision) -> None:
    done = await run("station", f"{supervision.url}/CP", "--json", "--scenario", "security-event")

    result = json.loads(done.stdout)
    assert result["completed"] is True
    assert result["sent"] == supervision.received.texts
    assert supervision.received.actions[-1] == "SecurityEventNotification"


async def test_an_idle_station_stays_as_long_as_told(supervision: Supervision) -> None:
    idle = ("--scenario", "idle", "--heartbeat", "0.1", "--for", "0.5")
    done = await run("station", f"{supervision.url}/CP", *idle)

    assert done.returncode == 0
    assert supervision.received.actions[:2] == ["BootNotification", "StatusNotification"]
    assert "Heartbeat" in supervision.received.actions


async def test_wrong_usage_exits_with_2(supervision: Supervision) -> None:
    assert (await run("station", f"{supervision.url}/CP", "--protocol", "ocpp9")).returncode == 2
    assert (await run("supervision", "--key", __file__)).returncode == 2


async def test_a_supervision_records_json_lines_and_ends_at_sigterm_with_0(tmp_path: Path) -> None:
    record = tmp_path / "texts.jsonl"
    with started("supervision", "--record", str(record)) as process:
        url = await trio.to_thread.run_sync(url_in, process)
        async with connect_station(f"{url}/CP") as station:
            result = await run_session(station)
        process.send_signal(signal.SIGTERM)
        exit_code = await trio.to_thread.run_sync(process.wait, ENDS_WITHIN_S)

    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert exit_code == 0
    assert result.completed
    assert [line["text"] for line in lines if line["direction"] == "received"] == list(result.sent)
    assert {line["station"] for line in lines} == {"CP"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"]) for line in lines)


async def test_a_port_in_use_exits_with_6_and_no_traceback(supervision: Supervision) -> None:
    done = await run("supervision", "--port", str(supervision.port))

    assert done.returncode == 6
    assert done.stderr.startswith(b"pointsman-sim: ")
    assert b"Traceback" not in done.stderr


async def test_a_fleet_that_is_not_there_exits_with_6_and_a_remedy(tmp_path: Path) -> None:
    done = await run("demo", "--sites", str(tmp_path))

    assert done.returncode == 6
    assert b"--sites DIR" in done.stderr


@pytest.mark.parametrize("command", ["station", "supervision", "demo"])
async def test_help_has_an_example(command: str) -> None:
    done = await run(command, "--help")

    assert done.returncode == 0
    assert f"pointsman-sim {command}".encode() in done.stdout
