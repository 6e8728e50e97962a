"""Two network namespaces and a cable between them that can be pulled: the kernel's own, with nothing that tells."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio

NEAR: Final = "10.199.77.1"
FAR: Final = "10.199.77.2"
WITHIN_S: Final = 10.0


class Cut:
    """Two hosts, `near` at NEAR and `far` at FAR, as names of namespaces."""

    def __init__(self, near: str, far: str) -> None:
        self.near = near
        self.far = far

    def pull(self, end: str) -> None:
        """Pull the cable out at the `near` or the `far` end: from then on nothing passes, and nobody is told."""
        self._set(end, "down")

    def plug(self, end: str) -> None:
        """Put the cable back."""
        self._set(end, "up")

    def _set(self, end: str, state: str) -> None:
        _ip("-n", self.near if end == "near" else self.far, "link", "set", f"veth-{end}", state)


class ProcessIn:
    """A process in a namespace, and the lines that it prints."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._unread = b""

    async def line_with(self, part: str, within_s: float) -> str:
        """Return the next line that holds `part`, others left out; raises EOFError, or trio.TooSlowError."""
        with trio.fail_after(within_s):
            while part not in (line := await self._next_line()):
                pass
        return line

    async def _next_line(self) -> str:
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            data = await self._process.stdout.receive_some()
            if not data:
                raise EOFError(f"{self._process.args!r} has ended")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()


def why_absent() -> str | None:
    """Return why this machine lets nobody make network namespaces; None when it does."""
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with two_namespaces():
            return None
    except subprocess.CalledProcessError as error:
        return f"this machine makes no network namespaces: {error.stderr.strip()}"


@contextmanager
def two_namespaces() -> Iterator[Cut]:
    """Make the namespaces and the cable; all is gone where the block ends."""
    cut = Cut(f"pointsman-{os.getpid()}-near", f"pointsman-{os.getpid()}-far")
    try:
        for name in (cut.near, cut.far):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", cut.near, "link", "add", "veth-near", "type", "veth", "peer", "name", "veth-far", "netns", cut.far)
        for name, end, address in ((cut.near, "veth-near", NEAR), (cut.far, "veth-far", FAR)):
            _ip("-n", name, "address", "add", f"{address}/30", "dev", end)
            _ip("-n", name, "link", "set", end, "up")
        yield cut
    finally:
        for name in (cut.near, cut.far):
            if Path(f"/run/netns/{name}").exists():
                _ip("netns", "del", name)


@asynccontextmanager
async def process_in(namespace: str, command: Sequence[str], *, folder: Path | None = None) -> AsyncIterator[ProcessIn]:
    """Run `command` in a namespace, its output in a pipe, until the block ends; it is killed then."""
    whole = ["ip", "netns", "exec", namespace, *command]  # it replaces itself by the command: one process to kill
    process = await trio.lowlevel.open_process(
        whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder
    )
    assert process.stdout is not None
    try:
        yield ProcessIn(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()  # it was killed
        await process.stdout.aclose()


async def output_of(namespace: str, command: Sequence[str]) -> str:
    """Run `command` in a namespace to its end and return what it printed; raises trio.TooSlowError."""
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(["ip", "netns", "exec", namespace, *command], capture_stdout=True, check=False)
    return done.stdout.decode()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=WITHIN_S)
