"""A command over files of strangers: in a process of its own, with bounds on memory and time, and without secrets.

A pull request from a fork may bring files that are made to exhaust whoever reads them. Every reader has bounds of its
own; these ones hold whatever they miss. The process gets of the environment only what it needs to run.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from pointsman_compiler.cli.outcome import FileFailure

_IS_CONFINED: Final = "POINTSMAN_CONFINED"
_KEPT: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "COLUMNS", "LINES", "TERM", "NO_COLOR", "VIRTUAL_ENV")
_KEPT_PREFIXES: Final = ("LC_", "PYTHON")
"""All else may be a secret: tokens, keys, addresses."""
MIB: Final = 1024 * 1024
LARGEST_FILE_BYTES: Final = 1024 * MIB


def confinable(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options --max-memory and --max-seconds."""

    @functools.wraps(command)
    def confined(*arguments: Any, max_memory: int | None, max_seconds: int | None, **named: Any) -> None:
        if (max_memory is None and max_seconds is None) or _IS_CONFINED in os.environ:
            command(*arguments, **named)
        else:
            sys.exit(_run_confined(max_memory, max_seconds))

    with_memory = click.option(
        "--max-memory", metavar="MIB", type=click.IntRange(256), help="MiB that each process may have; likewise."
    )(confined)
    return click.option(
        "--max-seconds", metavar="N", type=click.IntRange(1), help="Seconds until it is stopped; for strangers' files."
    )(with_memory)


def _run_confined(max_memory: int | None, max_seconds: int | None) -> int:
    """Run this very command line again, bounded; returns its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pointsman_compiler", *sys.argv[1:]],
        env=kept_environment(),
        start_new_session=True,
        preexec_fn=functools.partial(_set_bounds, max_memory, max_seconds),
    )
    try:
        code = process.wait(max_seconds)
    except subprocess.TimeoutExpired as error:
        raise FileFailure(f"it was stopped after {max_seconds} s", "split the change, or allow more") from error
    finally:
        if process.returncode is None or process.returncode < 0:
            _kill_session(process)
    if code < 0:
        raise FileFailure(f"it was stopped by {signal.Signals(-code).name}", "split the change, or allow more")
    return code


def _set_bounds(max_memory: int | None, max_seconds: int | None) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))
    if max_memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (max_memory * MIB, max_memory * MIB))
    if max_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (max_seconds, max_seconds))


def kept_environment() -> dict[str, str]:
    """Return what the confined process sees of this one's environment."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    return {**kept, _IS_CONFINED: "1"}


def _kill_session(process: "subprocess.Popen[bytes]") -> None:
    """End it with all that it began: its crew and its git."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
