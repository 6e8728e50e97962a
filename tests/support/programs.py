"""`pointsman-agent` in a process of its own, to its end."""

import os
import subprocess
import sys

import trio

WITHIN_S = 30.0
COMMAND = (sys.executable, "-m", "pointsman_agent")


async def agent_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in a terminal of 80 columns; raises trio.TooSlowError."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONWARNINGS": "error"}
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(
            [*COMMAND, *arguments],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment,
            stdin=b"",
        )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
