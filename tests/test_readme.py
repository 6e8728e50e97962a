"""The tour of README.md, run: its commands as they stand there, in one bash, in an empty folder.

What stands for the reader:

* the first block needs the clone and sets PATH; here PATH is set for the whole shell;
* the ports 9000 and 9801, in files and commands, become free ones, and the admin interface takes a free one by
  POINTSMAN_ADMIN;
* between two blocks a reader pauses for a breath: here until what the block started answers (see `PAUSES`).
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from pointsman_agent.client import AgentUnreachable, find_access, get_status
from support.documented import Block, a_shell, assert_matches, blocks_of, replaced
from support.sites import free_port

README = Path(__file__).parent.parent / "README.md"
SUPERVISION_PORT, STATION_PORT = "9801", "9000"
PAUSE_WITHIN_S = 20.0
POLL_EVERY_S = 0.1


def tour() -> list[Block]:
    """Return the blocks of the tour in their order."""
    section = README.read_text(encoding="utf-8").split("## A five-minute tour")[1].split("\n## ")[0]
    return list(blocks_of(section))


@pytest.mark.timeout(170)
async def test_the_tour_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    ports = {STATION_PORT: str(free_port()), SUPERVISION_PORT: str(free_port())}
    first, *blocks = tour()
    assert "make setup" in first.commands

    async with a_shell(tmp_path) as shell:
        for block in blocks:
            printed = await shell.run(replaced(block.commands, ports))
            if block.output is not None:
                assert_matches(printed, block.output)
            await pause(block, tmp_path, ports)

    assert_all_wings_took_part(blocks)


def assert_all_wings_took_part(blocks: list[Block]) -> None:
    """A tour that lost its heart would pass without testing anything."""
    commands = "\n".join(block.commands for block in blocks)
    for needed in ("pointsman check", "pointsman compile", "pointsman-agent run", "pointsman-sim station"):
        assert needed in commands
    assert sum(block.output is not None for block in blocks) >= 5


async def pause(block: Block, folder: Path, ports: dict[str, str]) -> None:
    """Wait until what `block` started is there."""
    for sign, is_there in PAUSES.items():
        if re.search(sign, block.commands, re.MULTILINE):
            with trio.fail_after(PAUSE_WITHIN_S):
                while not await trio.to_thread.run_sync(is_there, folder, ports):  # noqa: ASYNC110  # not our processes
                    await trio.sleep(POLL_EVERY_S)


def _status(folder: Path) -> dict[str, object]:
    try:
        return get_status(find_access(folder / "state", None))
    except AgentUnreachable:
        return {"state": "not there", "stationsConnected": 0}


def _acme_is_up(folder: Path, ports: dict[str, str]) -> bool:
    return f":{ports[SUPERVISION_PORT]}/" in (folder / "stderr.txt").read_text()


def _agent_is_up(folder: Path, ports: dict[str, str]) -> bool:
    return _status(folder)["state"] == "running"


def _station_charges(folder: Path, ports: dict[str, str]) -> bool:
    return '"openTransactions": 1' in json.dumps(_status(folder))


def _bundle_is_refused(folder: Path, ports: dict[str, str]) -> bool:
    return _status(folder)["state"] == "degraded"


PAUSES: dict[str, Callable[[Path, dict[str, str]], bool]] = {
    r"pointsman-sim supervision .*&$": _acme_is_up,
    r"pointsman-agent run .*&$": _agent_is_up,
    r"pointsman-sim station .*&$": _station_charges,
    r"pointsman-agent reload": _bundle_is_refused,
}
