"""`pointsman-agent` in a process of its own, to its end."""

import os
import subprocess
import sys
from functools import partial

import trio
from support import warm

WITHIN_S = 30.0
COMMAND = (sys.executable, "-m", "pointsman_agent")


async def agent_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, in a terminal of 80 columns; raises subprocess.TimeoutExpired."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONWARNINGS": "error"}
    command = partial(
        warm.run,
        "pointsman_agent",
        "pointsman-agent",
        arguments,
        cwd=None,
        environment=environment,
        within_s=WITHIN_S,
    )
    return await trio.to_thread.run_sync(command)
