"""The real command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from support import warm

WITHIN_S = 50.0


def pointsman(
    *arguments: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: IO[str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `pointsman` with `arguments`; its output is text, or goes to `stdout`.

    Where `environment` has what Python reads at its start, it is a fresh interpreter.
    """
    variables = {**os.environ, "COLUMNS": "80", "PYTHONWARNINGS": "error", **(environment or {})}
    if not any(name.startswith("PYTHON") for name in environment or {}):
        return warm.run(
            "pointsman_compiler",
            "pointsman",
            arguments,
            cwd=cwd,
            environment=variables,
            within_s=WITHIN_S,
            stdout=stdout,
        )
    return subprocess.run(
        [sys.executable, "-m", "pointsman_compiler", *arguments],
        cwd=cwd,
        env=variables,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WITHIN_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
