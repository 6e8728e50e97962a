"""Peers that are not ours, each a process of its own: start one, read what it tells, wait for its end."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

HERE: Final = Path(__file__).parent
TESTS: Final = HERE.parent.parent
FINISHED_WITHIN_S: Final = 30.0

PACKAGES: Final = ("ocpp", "ocpp-rpc")


class ForeignPeer:
    """A running peer; `sent` and `received` hold its texts so far, in order."""

    def __init__(self, process: trio.Process, name: str) -> None:
        self.name = name
        self.sent: list[str] = []
        self.received: list[str] = []
        self._process = process
        self._rest = b""

    async def listening(self) -> int:
        """Return the port that a supervision listens on; raises trio.TooSlowError."""
        with trio.fail_after(FINISHED_WITHIN_S):
            line = await self._next_line()
        assert line is not None, f"{self.name} ended without listening"
        port: int = line["port"]
        return port

    async def finished(self) -> None:
        """Read what it tells until its end; raises AssertionError when it failed, trio.TooSlowError when it hangs."""
        is_finished = False
        with trio.fail_after(FINISHED_WITHIN_S):
            while (line := await self._next_line()) is not None:
                match line:
                    case {"event": "sent", "text": text}:
                        self.sent.append(text)
                    case {"event": "received", "text": text}:
                        self.received.append(text)
                    case {"event": "finished"}:
                        is_finished = True
            code = await self._process.wait()
        assert code == 0, f"{self.name} failed with {code}; its last texts: {self.sent[-1:]}, {self.received[-1:]}"
        assert is_finished, f"{self.name} ended before its session did"

    async def _next_line(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            data = await self._process.stdout.receive_some()
            if not data:
                return None
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\n")
        line: dict[str, Any] = json.loads(text)
        return line


def why_absent(package: str) -> str | None:
    """Return why peers of a package cannot run here; None when they can."""
    if package == "ocpp":
        return None
    if shutil.which("node") is None:
        return "node is not installed"
    if not (HERE / "node" / "node_modules" / "ocpp-rpc").is_dir():
        return "ocpp-rpc is not installed: npm ci --prefix tests/support/foreign/node"
    return None


@asynccontextmanager
async def foreign_station(package: str, url: str, protocol: str) -> AsyncIterator[ForeignPeer]:
    """Start a station of `package` that plays one session at `url`; it is killed at the end of the block."""
    async with _started(package, "station", url, protocol) as peer:
        yield peer


@asynccontextmanager
async def foreign_supervision(package: str, protocol: str) -> AsyncIterator[ForeignPeer]:
    """Start a supervision of `package` that serves one station; it is killed at the end of the block."""
    async with _started(package, "supervision", protocol) as peer:
        yield peer


@asynccontextmanager
async def _started(package: str, role: str, *arguments: str) -> AsyncIterator[ForeignPeer]:
    if package == "ocpp":
        command = [sys.executable, "-m", f"support.foreign.ocpp_{role}", *arguments]
    else:
        command = ["node", str(HERE / "node" / f"{role}.js"), *arguments]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=TESTS, env={**os.environ, "PYTHONWARNINGS": ""}
    )
    try:
        yield ForeignPeer(process, f"{package} as {role}")
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()  # it was killed
        if process.stdout is not None:
            await process.stdout.aclose()
