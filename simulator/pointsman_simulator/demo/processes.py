"""The programs of Pointsman as subprocesses: the compiler, which ends, and the agent, which is ended."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Any

import trio

COMPILE_WITHIN_S = 60.0  # a large fleet on a small machine
UP_WITHIN_S = 20.0  # until the agent has written admin.json: a second, ten on a loaded machine
DOWN_WITHIN_S = 10.0  # the agent's own promise after SIGTERM
STATUS_WITHIN_S = 5.0
LOOK_EVERY_S = 0.05  # for a file that another process writes
LOG_LINES_SHOWN = 15


class ProgramFailed(Exception):
    """A program of Pointsman could not be started, failed or did not come up; the message ends with its last lines."""


class Agent:
    """A running agent."""

    def __init__(self, process: trio.Process, admin: dict[str, str], log: Path) -> None:
        self._process = process
        self._admin = admin
        self._log = log

    @property
    def url(self) -> str:
        """The URL of its page and its API."""
        return self._admin["url"]

    @property
    def token(self) -> str:
        """The bearer token of its API."""
        return self._admin["token"]

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once it has ended."""
        return self._process.returncode

    def last_lines(self) -> str:
        """Return the end of its log."""
        return tail_of(self._log)

    async def status(self) -> dict[str, Any]:
        """Return what `GET /api/status` says; raises ProgramFailed."""
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/api/status", headers={"Authorization": f"Bearer {self.token}"}
        )
        try:
            raw = await trio.to_thread.run_sync(_fetch, request)
        except (OSError, ValueError) as error:
            raise ProgramFailed(f"the agent's status cannot be read: {error}") from error
        status: dict[str, Any] = json.loads(raw)
        return status


async def run_program(name: str, *arguments: str) -> None:
    """Run a command of Pointsman to its end; raises ProgramFailed unless it exits with 0 in COMPILE_WITHIN_S."""
    command = [command_path(name), *arguments]
    with trio.move_on_after(COMPILE_WITHIN_S) as bound:
        done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
    if bound.cancelled_caught:
        raise ProgramFailed(f"{name} {arguments[0]} took longer than {COMPILE_WITHIN_S:g} s")
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        raise ProgramFailed(f"{name} {arguments[0]} failed with {done.returncode}:\n{said}")


@asynccontextmanager
async def running_agent(arguments: Sequence[str], *, state: Path, log: Path) -> AsyncIterator[Agent]:
    """Run `pointsman-agent run` until the block ends, then end it with SIGTERM, at last with SIGKILL.

    Its output goes to `log`. Raises ProgramFailed when it is not up within UP_WITHIN_S.
    """
    with log.open("wb") as output:  # opened once, on a local disk
        process = await trio.lowlevel.open_process(
            [command_path("pointsman-agent"), "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    try:
        yield Agent(process, await _admin_of(process, state / "admin.json", log), log)
    finally:
        with trio.move_on_after(DOWN_WITHIN_S + 1, shield=True):
            await _end(process)


def command_path(name: str) -> str:
    """Return where the command stands: beside this Python, else on the PATH; raises ProgramFailed."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else which(name)
    if found is None:
        raise ProgramFailed(f"the command {name} is not installed; try: pip install 'pointsman-simulator[demo]'")
    return found


def tail_of(log: Path) -> str:
    """Return the last lines of `log`."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:])


async def _admin_of(process: trio.Process, file: Path, log: Path) -> dict[str, str]:
    """Wait until the agent has written where it can be reached."""
    with trio.move_on_after(UP_WITHIN_S):
        while process.poll() is None:
            admin = _read_admin(file)
            if admin is not None:
                return admin
            await trio.sleep(LOOK_EVERY_S)
        raise ProgramFailed(f"pointsman-agent ended with {process.returncode}:\n{tail_of(log)}")
    raise ProgramFailed(f"pointsman-agent was not up within {UP_WITHIN_S:g} s:\n{tail_of(log)}")


def _read_admin(file: Path) -> dict[str, str] | None:
    """Return the file's content, or None while it is not there or half written."""
    try:
        admin: dict[str, str] = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return admin


async def _end(process: trio.Process) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    with trio.move_on_after(DOWN_WITHIN_S):
        await process.wait()
        return
    process.kill()
    await process.wait()


def _fetch(request: urllib.request.Request) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    with opener.open(request, timeout=STATUS_WITHIN_S) as answer:
        raw: bytes = answer.read()
        return raw
