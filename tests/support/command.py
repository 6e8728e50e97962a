"""The real command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

WITHIN_S = 50.0


def pointsman(
    *arguments: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: IO[str] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run `pointsman` with `arguments`; its output is text, or goes to `stdout`."""
    return subprocess.run(
        [sys.executable, "-c", "from pointsman_compiler.cli import main; main(prog_name='pointsman')", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", "PYTHONWARNINGS": "error", **(environment or {})},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WITHIN_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
