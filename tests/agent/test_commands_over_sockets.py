"""Commands that look at a running agent, through the real command line."""

import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import httpx2
import trio
from pointsman_simulator.station import connect_station, run_boot
from pointsman_simulator.supervision import open_supervision
from support.agents import running_agent
from support.programs import COMMAND, agent_command
from support.sites import a_unique_config

WITHIN_S = 30.0


async def test_page_prints_an_address_that_opens_the_status_page_once(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        done = await agent_command("page", "--state", str(agent.state))
        async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as browser:
            page = await browser.get(done.stdout.strip())

    assert (done.returncode, done.stderr) == (0, "")
    assert (page.status_code, "<h1>test-site</h1>" in page.text) == (200, True)


async def test_inventory_lists_what_relayed_stations_said_also_once_they_are_gone(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
    ):
        async with connect_station(agent.url("CP-1")) as station:
            await run_boot(station)
        text = await agent_command("inventory", "--state", str(agent.state))
        as_json = await agent_command("inventory", "--json", "--state", str(agent.state))

    rows = json.loads(as_json.stdout)
    assert [row["station"] for row in rows] == ["CP-1", "CP-2"]
    assert rows[0]["model"] in text.stdout
    assert (rows[1]["vendor"], rows[1]["connectors"]) == (None, [])
    assert max(map(len, text.stdout.splitlines())) <= 80


async def test_watch_shows_the_table_again_and_again_until_ctrl_c(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent, trio.open_nursery() as nursery:
        command = [*COMMAND, "status", "--watch", "--state", str(agent.state)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        start = partial(trio.run_process, command, stdout=subprocess.PIPE, check=False, env=environment)
        process: trio.Process = await nursery.start(start)
        assert process.stdout is not None
        said = b""
        with trio.fail_after(WITHIN_S):
            while said.count(b"site      test-site") < 2:
                said += await process.stdout.receive_some()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0

    assert b"\x1b" not in said  # no terminal
    assert b"-" * 80 in said


async def test_watch_and_json_exclude_each_other(tmp_path: Path) -> None:
    done = await agent_command("stations", "--watch", "--json", "--state", str(tmp_path))

    assert done.returncode == 2
    assert "/api/events" in done.stderr
