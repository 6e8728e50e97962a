"""What is unsent goes out by a command of the user's: bundles, then metadata, the timestamp last.

A reader begins with the timestamp, so whatever it names has to be there before. What is obsolete goes by another one.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pointsman_compiler.rollout.unsent import forget, unsent_stages

LOCK: Final = "lock"
SENT_WITHIN_S: Final = 1800.0
"""For one stage; the first publication of a large fleet has tens of thousands of files."""


class SendingFailed(Exception):
    """The user's command failed; what it was to do is done with the next one."""


class InUse(Exception):
    """Another command changes the repository at this moment."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Hold the repository in `folder` alone; raises InUse or OSError."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse(f"another command changes {folder} at this moment") from None
        yield


def send(folder: Path, command: str | None) -> None:
    """Send what is unsent by `command`; without one nothing is sent, and all stays remembered.

    The command runs in `folder` by the shell, once for each stage that has files: their names, relative to it, come on
    its standard input, one a line; POINTSMAN_STAGE is targets, metadata or timestamp. Raises SendingFailed,
    BrokenRepository or OSError.
    """
    if command is None:
        return
    for stage, names in unsent_stages(folder).items():
        if names:
            _run(folder, command, stage, names)
    forget(folder)


def take_away(folder: Path, names: Sequence[str], command: str | None) -> None:
    """Remove the files `names` of `folder`, before that by `command` where they were sent to.

    It runs as that of `send`, once, with POINTSMAN_STAGE=obsolete; where it fails all files stay, to be named again.
    Raises SendingFailed or OSError.
    """
    if names and command is not None:
        _run(folder, command, "obsolete", names)
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _run(folder: Path, command: str, stage: str, names: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command,
            shell=True,  # it is the user's own command line, with its pipes and variables
            cwd=folder,
            input="".join(f"{name}\n" for name in names).encode(),
            env={**os.environ, "POINTSMAN_STAGE": stage},
            timeout=SENT_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SendingFailed(f"the command took more than {SENT_WITHIN_S:.0f} s for the stage {stage}") from error
    if done.returncode:
        raise SendingFailed(f"the command ended with {done.returncode} at the stage {stage}")
