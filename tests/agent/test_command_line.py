"""`pointsman-agent` as people and service managers run it: a process of its own, flags, exit codes, signals."""

import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from pointsman_simulator.station import connect_station
from support.agents import RunningAgent
from support.sites import a_config, free_port

COMMAND = [sys.executable, "-m", "pointsman_agent"]
STARTED_WITHIN_S = 20.0


@pytest.fixture
def agent(tmp_path: Path) -> RunningAgent:
    """An agent that is configured and not started."""
    agent = RunningAgent(tmp_path, free_port())
    agent.write(a_config())
    public = agent.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "site.pub").write_bytes(public)
    return agent


def flags(agent: RunningAgent) -> list[str]:
    """Return the flags of `run`."""
    trust = str(agent.bundle.parent / "site.pub")
    folders = ["--state", str(agent.state), "--secrets", str(agent.secrets)]
    return ["--bundle", str(agent.bundle), "--site", "test-site", "--trust", trust, *folders, "--admin", "127.0.0.1:0"]


async def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    with trio.fail_after(STARTED_WITHIN_S):
        done = await trio.run_process([*COMMAND, *arguments], capture_stdout=True, capture_stderr=True, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@asynccontextmanager
async def process(agent: RunningAgent, *, until: bytes = b"bundle in force") -> AsyncIterator[trio.Process]:
    """Run the agent until the block ends; yields once its log says that the bundle is in force."""
    async with trio.open_nursery() as nursery:
        command = partial(trio.run_process, [*COMMAND, "run", *flags(agent)], stderr=subprocess.PIPE, check=False)
        started: trio.Process = await nursery.start(command)
        assert started.stderr is not None
        seen = b""
        with trio.fail_after(STARTED_WITHIN_S):
            while until not in seen or b"agent runs" not in seen:
                chunk = await started.stderr.receive_some()
                assert chunk, seen.decode()
                seen += chunk
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()


async def test_status_and_stations_ask_the_running_agent(agent: RunningAgent) -> None:
    async with process(agent):
        state = ["--state", str(agent.state)]
        status, table = await ran("status", "--json", *state), await ran("stations", *state)
        admin = agent.state / "admin.json"

        assert status.returncode == 0, status.stderr
        assert json.loads(status.stdout)["bundle"]["active"]["sequence"] == 1
        assert "LOC-01" in table.stdout
        assert stat.S_IMODE(admin.stat().st_mode) == 0o600


async def test_r54_sigterm_closes_stations_with_1001_and_ends_with_exit_0(agent: RunningAgent) -> None:
    async with process(agent) as running, connect_station(agent.url("LOC-01")) as station:
        running.send_signal(signal.SIGTERM)
        with trio.fail_after(10):
            closed = await station.wait_closed()
            code = await running.wait()

        assert (closed.code, code) == (1001, 0)
        assert not (agent.state / "admin.json").exists()


async def test_r54_a_second_sigterm_does_not_cut_the_farewell_short(agent: RunningAgent) -> None:
    async with process(agent) as running, connect_station(agent.url("LOC-01")) as station:
        running.send_signal(signal.SIGTERM)
        closed = await station.wait_closed()
        running.send_signal(signal.SIGTERM)
        with trio.fail_after(10):
            code = await running.wait()

        assert (closed.code, code) == (1001, 0)
        assert not (agent.state / "admin.json").exists()


async def test_a_bundle_file_that_is_not_there_is_told(agent: RunningAgent) -> None:
    async with process(agent):
        assert (await agent.status())["bundle"]["lastFailed"] is None
    agent.state = agent.bundle.parent / "another-state"
    agent.bundle.unlink()
    async with process(agent, until=b"bundle refused"):
        failed = (await agent.status())["bundle"]["lastFailed"]

        assert failed["code"] == "missing"
        assert str(agent.bundle) in failed["message"]


async def test_a_port_in_use_is_told_with_the_listener_and_a_remedy(agent: RunningAgent) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", agent.port))
        taken.listen()
        async with process(agent, until=b"bundle refused"):
            failed = (await agent.status())["bundle"]["lastFailed"]

    assert failed["code"] == "listener"
    assert f"listener lan, 127.0.0.1 port {agent.port}" in failed["message"]
    assert "end the program that has the port" in failed["message"]


async def test_a_second_agent_on_a_state_folder_is_refused(agent: RunningAgent) -> None:
    async with process(agent):
        second = await ran("run", *flags(agent))

        assert second.returncode == 6
        assert "another agent runs on this folder" in second.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        *(["status"], ["stations"], ["reload"], ["test", "acme"], ["tail"], ["security-events"], ["activations"]),
        *(["call", "CP-1", "Reset"], ["start", "CP-1"], ["stop", "CP-1"], ["reset", "CP-1"], ["unlock", "CP-1"]),
        ["transactions"],
    ],
    ids=" ".join,
)
async def test_a_command_that_asks_an_agent_that_does_not_run_exits_4(tmp_path: Path, arguments: list[str]) -> None:
    done = await ran(*arguments, "--state", str(tmp_path))

    assert done.returncode == 4
    assert "no agent runs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--site", "x"], "--trust FILE is needed"),
        (["--allow-unsigned"], "--site ID is needed"),
        (["--allow-unsigned", "--site", "x", "--admin", "0.0.0.0:9100"], "needs TLS"),
        (["--allow-unsigned", "--site", "x", "--admin", "nonsense"], "HOST:PORT"),
        (["--trust", "/nowhere.pub", "--site", "x"], "/nowhere.pub: No such file"),
    ],
)
async def test_wrong_flags_exit_2_and_say_what_to_do(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = await ran("run", "--bundle", "x.bundle", "--state", str(tmp_path / "state"), *arguments)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_doctor_examines_in_a_process_of_its_own(agent: RunningAgent) -> None:
    done = await ran("doctor", "--json", *flags(agent)[:-2])  # it takes no --admin

    assert [check["verdict"] for check in json.loads(done.stdout)["checks"] if check["check"] == "bundle"] == ["ok"]


async def test_a_damaged_state_folder_is_told_and_left_alone(agent: RunningAgent) -> None:
    agent.state.mkdir()
    (agent.state / "state.json").write_text("{damaged")
    done = await ran("run", *flags(agent))

    assert done.returncode == 6
    assert "state.json is damaged" in done.stderr
    assert (agent.state / "state.json").read_text() == "{damaged"


async def test_variables_of_an_image_that_are_made_empty_leave_the_place_to_a_rollout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = ["--rollout", "https://fleet.example", "--rollout-root", str(tmp_path / "1.root.json")]
    command = ["run", "--site", "lyon", "--state", str(tmp_path / "state"), *rollout]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.json").write_text("{damaged")
    monkeypatch.setenv("POINTSMAN_BUNDLE", "/etc/pointsman/site.bundle")
    monkeypatch.setenv("POINTSMAN_TRUST", "/etc/pointsman/trust/release.pub")
    assert "exclude each other" in (await ran(*command)).stderr

    monkeypatch.setenv("POINTSMAN_BUNDLE", "")
    monkeypatch.setenv("POINTSMAN_TRUST", "")

    # It is past its flags when it comes to its state.
    assert "state.json is damaged" in (await ran(*command)).stderr
