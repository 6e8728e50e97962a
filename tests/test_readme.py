"""The tour of README.md, run: its commands as they stand there, in one bash, in an empty folder.

What stands for the reader:

* the first block needs the clone and sets PATH; here PATH is set for the whole shell;
* the ports 9000 and 9801, in files and commands, become free ones, and the admin interface takes a free one by
  POINTSMAN_ADMIN;
* between two blocks a reader pauses for a breath: here until what the block started answers (see `PAUSES`).

A block of `text` is what the block before it prints; `…` stands for anything within a line.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from pointsman_agent.client import AgentUnreachable, find_access, get_status
from support.sites import free_port

README = Path(__file__).parent.parent / "README.md"
SUPERVISION_PORT, STATION_PORT = "9801", "9000"
BLOCK_WITHIN_S = 40.0
PAUSE_WITHIN_S = 20.0
POLL_EVERY_S = 0.1
_END = "--- end of block"


@dataclass(frozen=True)
class Block:
    """Commands of the tour, and what they print as far as README says (None: it says nothing)."""

    commands: str
    output: str | None


def tour() -> list[Block]:
    """Return the blocks of the tour in their order."""
    section = README.read_text(encoding="utf-8").split("## A five-minute tour")[1].split("\n## ")[0]
    fences = re.findall(r"^```(sh|text)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return list(_blocks(fences))


def _blocks(fences: list[tuple[str, str]]) -> Iterator[Block]:
    for position, (kind, text) in enumerate(fences):
        if kind == "sh":
            after = fences[position + 1] if position + 1 < len(fences) else ("", "")
            yield Block(text, after[1] if after[0] == "text" else None)


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


class Shell:
    """One bash that lives through all blocks, as the reader's does."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._unread = b""

    async def run(self, commands: str) -> str:
        """Run `commands` and return what they print on standard output; raises trio.TooSlowError."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{commands}\necho '{_END}'\n".encode())
        with trio.fail_after(BLOCK_WITHIN_S):
            return await self._read_block()

    async def _read_block(self) -> str:
        end = f"{_END}\n".encode()
        assert self._process.stdout is not None
        while end not in self._unread:
            more = await self._process.stdout.receive_some()
            assert more, "the shell has ended"
            self._unread += more
        block, _, self._unread = self._unread.partition(end)
        return block.decode()


@asynccontextmanager
async def a_shell(folder: Path) -> AsyncIterator[Shell]:
    """A bash in `folder`; whatever the tour left running ends with it."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": programs, "COLUMNS": "80", "POINTSMAN_ADMIN": "127.0.0.1:0"}
    with (folder / "stderr.txt").open("w") as errors:
        process = await trio.lowlevel.open_process(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        shell = Shell(process)
        try:
            yield shell
        finally:
            with trio.move_on_after(BLOCK_WITHIN_S, shield=True):
                await shell.run("kill $(jobs -p) 2>/dev/null; wait")
                assert process.stdin is not None
                await process.stdin.aclose()
                await process.wait()


def replaced(text: str, ports: dict[str, str]) -> str:
    """Put free ports in the place of the tour's."""
    for written, free in ports.items():
        text = re.sub(rf"\b{written}\b", free, text)
    return text


def assert_matches(printed: str, written: str) -> None:
    """Compare line by line; the spaces at the end of a line do not count."""
    lines, wanted = ([line.rstrip() for line in text.strip().splitlines()] for text in (printed, written))
    assert len(lines) == len(wanted), f"README:\n{written}\nprinted:\n{printed}"
    for line, pattern in zip(lines, wanted, strict=True):
        regex = ".+".join(map(re.escape, pattern.split("…")))
        assert re.fullmatch(regex, line), f"README: {pattern!r}\nprinted: {line!r}"


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
