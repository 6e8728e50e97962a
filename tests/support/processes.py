"""The agent as a process of its own, through its real command line, so that its memory and descriptors can be read."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from pointsman_agent.client import AgentUnreachable
from pointsman_schema.bundle import Config
from support.agents import RunningAgent
from support.sites import SITE, free_port

UP_WITHIN_S = 20.0
DOWN_WITHIN_S = 15.0
_ASK_AGAIN_S = 0.05


class AgentProcess(RunningAgent):
    """The agent of a test; `pid` is its process."""

    pid = 0

    def descriptors(self) -> int:
        """Return how many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_bytes(self) -> int:
        """Return the memory that it occupies (proc(5): VmRSS)."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found.group(1)) * 1024


@asynccontextmanager
async def agent_process(
    folder: Path,
    config: Config,
    *,
    descriptors: tuple[int, int] | None = None,
    secrets: dict[str, bytes] | None = None,
    site: str = SITE,
) -> AsyncIterator[AgentProcess]:
    """Run `pointsman-agent` on `config` until the block ends; yields once the bundle is in force.

    `descriptors` are the soft and the hard limit that it starts with (default: those of the tests).
    It must end by SIGTERM, well and in time; raises AssertionError otherwise.
    """
    agent = AgentProcess(folder, free_port())
    agent.site = site
    for name, content in (secrets or {}).items():
        (agent.secrets / name).write_bytes(content)
    agent.write(config)
    async with spawned(agent, descriptors=descriptors):
        yield agent


@asynccontextmanager
async def spawned(agent: AgentProcess, *, descriptors: tuple[int, int] | None = None) -> AsyncIterator[trio.Process]:
    """Run `agent` (again) on the state that it has, until the block ends, as `agent_process`; a test may kill it."""
    command = run_command(agent) if descriptors is None else _limited(run_command(agent), *descriptors)
    printed = agent.state.parent / "agent.log"
    with printed.open("w") as log:
        process = await trio.lowlevel.open_process(command, stdout=log, stderr=subprocess.STDOUT)
    agent.pid = process.pid
    try:
        await wait_running(agent)
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(DOWN_WITHIN_S):
                code = await process.wait()
            assert code == 0, printed.read_text()[-2000:]
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()  # it was killed


def _limited(command: list[str], soft: int, hard: int) -> list[str]:
    return ["sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$0" "$@"', *command]


def run_command(agent: RunningAgent) -> list[str]:
    """Return the command line of an agent."""
    flags = {
        "--bundle": agent.bundle,
        "--site": agent.site,
        "--state": agent.state,
        "--secrets": agent.secrets,
        "--admin": "127.0.0.1:0",
        "--log-level": "warning",
    }
    pairs = [str(part) for pair in flags.items() for part in pair]
    return [sys.executable, "-m", "pointsman_agent", "run", "--allow-unsigned", *pairs]


async def wait_running(agent: AgentProcess) -> None:
    """Wait until a bundle is in force; raises trio.TooSlowError."""
    with trio.fail_after(UP_WITHIN_S):
        while not await _is_running(agent):  # noqa: ASYNC110 - another process tells no event
            await trio.sleep(_ASK_AGAIN_S)


async def _is_running(agent: AgentProcess) -> bool:
    try:
        return bool((await agent.status())["state"] != "waiting")
    except AgentUnreachable:
        return False
