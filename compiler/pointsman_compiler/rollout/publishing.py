"""What a change wrote goes out by a command of the user's: bundles, then metadata, the timestamp last.

A reader begins with the timestamp, so whatever it names has to be there before. What could not be sent is remembered in
the repository's folder, and goes out with the next change.
"""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pointsman_compiler.rollout.reading import BrokenRepository
from pointsman_compiler.rollout.repository import Written
from pointsman_compiler.writing import replace_file

UNSENT: Final = "unsent.json"
LOCK: Final = "lock"
SENT_WITHIN_S: Final = 1800.0
"""For one stage; the first publication of a large fleet has tens of thousands of files."""


class SendingFailed(Exception):
    """The user's command failed; what it was to send goes out with the next change."""


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


def send(folder: Path, written: Written, command: str | None) -> None:
    """Send what was `written`, and what is unsent from before, by `command`; without one nothing is sent.

    The command runs in `folder` by the shell, once for each stage that has files: their names, relative to it, come on
    its standard input, one a line; POINTSMAN_STAGE is targets, metadata or timestamp. Raises SendingFailed or OSError.
    """
    if command is None:
        return
    stages = _with_unsent(folder, written.stages())
    _remember(folder, stages)
    for stage, names in stages.items():
        if names:
            _run(folder, command, stage, names)
    (folder / UNSENT).unlink(missing_ok=True)


def _with_unsent(folder: Path, stages: Mapping[str, list[str]]) -> dict[str, list[str]]:
    unsent = _read_unsent(folder)
    return {stage: list(dict.fromkeys([*unsent.get(stage, ()), *names])) for stage, names in stages.items()}


def _read_unsent(folder: Path) -> Mapping[str, Sequence[str]]:
    try:
        return msgspec.json.decode((folder / UNSENT).read_bytes(), type=dict[str, list[str]])
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        help = "delete it, and send all files: `pointsman rollout publish --everything`"
        raise BrokenRepository(f"{UNSENT} cannot be read: {error}", help) from error


def _remember(folder: Path, stages: Mapping[str, list[str]]) -> None:
    replace_file(folder / UNSENT, json.dumps(stages).encode())


def _run(folder: Path, command: str, stage: str, names: list[str]) -> None:
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
