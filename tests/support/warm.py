"""A program in a process of its own that has not to import itself again: for tests that run it hundreds of times.

A process per program imports all of it, and waits. For each run it forks: the copy takes the arguments, the streams,
the folder and the environment of the run, and ends as any interpreter ends. What only a fresh interpreter shows (an
import that was forgotten, a variable that Python reads at its start) wants a fresh one.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

_MOST_BYTES: Final = 128 * 1024  # of arguments and environment
_ENDED_WITHIN_S: Final = 30.0

_waiting: dict[str, tuple["subprocess.Popen[bytes]", socket.socket]] = {}
_beginning = threading.Lock()


def run(
    package: str,
    program: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path | None,
    environment: Mapping[str, str],
    within_s: float,
    stdout: IO[str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `package`.cli's main as `program` to its end; its output is text, or goes to `stdout`.

    `environment` is all that it has; raises subprocess.TimeoutExpired, and the run is killed.
    """
    command = [program, *map(str, arguments)]
    said = {"command": command, "cwd": str(cwd or Path.cwd()), "environment": dict(environment), "within": within_s}
    ended, tells = os.pipe()
    with (
        os.fdopen(ended, "rb") as end,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        open(os.devnull, "rb") as nothing,
    ):
        streams = [nothing.fileno(), (stdout or out).fileno(), err.fileno(), tells]
        try:
            socket.send_fds(_channel(package), [json.dumps(said).encode()], streams)
        finally:
            os.close(tells)
        if not _is_readable(end.fileno(), within_s + _ENDED_WITHIN_S):
            raise subprocess.TimeoutExpired(command, within_s)
        code = int(end.read())
        if code == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(command, within_s)
        texts = [stream.read().decode() for stream in (out, err) if stream.seek(0) == 0]
    return subprocess.CompletedProcess(command, code, texts[0] if stdout is None else None, texts[1])


def _is_readable(stream: int, within_s: float) -> bool:
    poll = select.poll()  # select() takes no descriptor beyond 1023
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def end_all() -> None:
    """Let the waiting processes end."""
    while _waiting:
        _, (process, channel) = _waiting.popitem()
        channel.close()
        process.wait(_ENDED_WITHIN_S)


def _channel(package: str) -> socket.socket:
    with _beginning:
        if package not in _waiting:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    # -P: the modules beside this one are none of the program's
                    [sys.executable, "-P", __file__, package, str(theirs.fileno())],
                    env={**os.environ, "PYTHONWARNINGS": "error"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            _waiting[package] = (process, ours)
        return _waiting[package][1]


def _import_all(package: str) -> None:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def _serve(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return what to run in each process that is forked for it, and None in this one at its end."""
    while True:
        message, streams, _, _ = socket.recv_fds(channel, _MOST_BYTES, 4)
        if not message:
            return None
        if os.fork() == 0:
            channel.close()
            return json.loads(message), streams
        for stream in streams:
            os.close(stream)
        _reap(os.WNOHANG)


def _reap(how: int) -> None:
    try:
        while os.waitpid(-1, how)[0]:
            pass
    except ChildProcessError:
        return


def _watch(run: int, tells: int) -> None:
    """Tell how the process `run` ended: it is the child of this one, as a shell's."""
    _, status = os.waitpid(run, 0)
    os.write(tells, str(os.waitstatus_to_exitcode(status)).encode())


def _become(said: dict[str, Any], streams: list[int]) -> None:
    """Take the streams, the folder and the environment of a run."""
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(said["cwd"])
    os.environ.clear()
    os.environ.update(said["environment"])
    time.tzset()
    sys.argv = said["command"]
    signal.setitimer(signal.ITIMER_REAL, said["within"])


def _main(package: str, channel: socket.socket) -> None:
    _import_all(package)
    gc.collect()
    gc.freeze()
    asked = _serve(channel)
    if asked is None:
        channel.close()
        _reap(0)
        return
    said, streams = asked
    if (run := os.fork()) != 0:
        _watch(run, streams[3])
        os._exit(0)
    _become(said, streams)
    importlib.import_module(f"{package}.cli").main(prog_name=said["command"][0])


if __name__ == "__main__":
    _main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
