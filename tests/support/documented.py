"""Commands as documents show them, run: in one bash, in an empty folder, as a reader would.

A block of `text` is what the block of `sh` before it prints; `…` stands for anything within a line.
"""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

BLOCK_WITHIN_S = 40.0
_END = "--- end of block"


@dataclass(frozen=True)
class Block:
    """Commands of a document, and what they print as far as it says (None: it says nothing)."""

    commands: str
    output: str | None


def blocks_of(text: str) -> Iterator[Block]:
    """Yield the blocks of `sh` in their order."""
    fences = re.findall(r"^```(sh|text)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for position, (kind, commands) in enumerate(fences):
        if kind == "sh":
            after = fences[position + 1] if position + 1 < len(fences) else ("", "")
            yield Block(commands, after[1] if after[0] == "text" else None)


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
    """A bash in `folder`; whatever the document left running ends with it."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": programs, "COLUMNS": "80", "POINTSMAN_ADMIN": "127.0.0.1:0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a reader has none, and many programs start here
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
    """Put free ports in the place of those that are written."""
    for written, free in ports.items():
        text = re.sub(rf"\b{written}\b", free, text)
    return text


def assert_matches(printed: str, written: str) -> None:
    """Compare line by line; the spaces at the end of a line do not count."""
    lines, wanted = ([line.rstrip() for line in text.strip().splitlines()] for text in (printed, written))
    assert len(lines) == len(wanted), f"written:\n{written}\nprinted:\n{printed}"
    for line, pattern in zip(lines, wanted, strict=True):
        regex = ".+".join(map(re.escape, pattern.split("…")))
        assert re.fullmatch(regex, line), f"written: {pattern!r}\nprinted: {line!r}"
