"""Rule 24 on a real link: two hosts in network namespaces, and a cable between them that is pulled."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from support.agents import RunningAgent
from support.namespaces import FAR, Cut, output_of, process_in, two_namespaces, why_absent
from support.processes import run_command
from support.sites import a_unique_config

PORT = 9000
PING_INTERVAL_S = 2
MESSAGE_TIMEOUT_S = 2
MARGIN_S = 3.0
UP_WITHIN_S = 30.0
BACK_WITHIN_S = 40.0  # the back-off goes up to 15 s
TESTS = Path(__file__).parent.parent
SUPERVISION = [
    *(sys.executable, "-c", "from pointsman_simulator.cli import main; main(prog_name='pointsman-sim')"),
    *("supervision", "--host", FAR, "--port", str(PORT)),
]
STATION = [sys.executable, "-m", "support.idle_station", f"ws://127.0.0.1:{PORT}/ocpp/CP-1"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("end", ["far", "near"])
async def test_r24_a_cable_pulled_between_agent_and_supervision_is_noticed_in_time(tmp_path: Path, end: str) -> None:
    if absent := why_absent():
        pytest.skip(absent)
    agent = an_agent(tmp_path)
    with two_namespaces() as cut:
        async with (
            process_in(cut.far, SUPERVISION) as supervision,
            process_in(cut.near, run_command(agent)),
            process_in(cut.near, STATION, folder=TESTS) as station,
        ):
            await supervision.line_with("listening", UP_WITHIN_S)
            await station.line_with("up", UP_WITHIN_S)
            cut.pull(end)
            began = trio.current_time()
            closed = json.loads(await station.line_with("code", UP_WITHIN_S))
            took_s = trio.current_time() - began
            error = await last_error(cut, agent)

            cut.plug(end)
            async with process_in(cut.near, STATION, folder=TESTS) as again:
                await again.line_with("up", BACK_WITHIN_S)

    assert closed["code"] == 1001
    assert MESSAGE_TIMEOUT_S - 0.5 <= took_s <= PING_INTERVAL_S + MESSAGE_TIMEOUT_S + MARGIN_S
    assert error["class"] == "ping"


def an_agent(folder: Path) -> RunningAgent:
    """Return an agent, not yet running, whose supervision is at the other end of the cable."""
    agent = RunningAgent(folder, PORT)
    timing = {"ping_interval": PING_INTERVAL_S, "message_timeout": MESSAGE_TIMEOUT_S}
    agent.write(a_unique_config(f"ws://{FAR}:{PORT}/ocpp", **timing))
    return agent


async def last_error(cut: Cut, agent: RunningAgent) -> dict[str, Any]:
    """Return the last error of the one station, asked where the agent runs."""
    command = [sys.executable, "-m", "pointsman_agent", "stations", "--json", "--state", str(agent.state)]
    error: dict[str, Any] = json.loads(await output_of(cut.near, command))[0]["lastError"]
    return error
