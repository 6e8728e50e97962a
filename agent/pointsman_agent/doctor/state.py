"""The state folder: writable, private, with room, and whether an agent runs on it."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pointsman_agent.doctor.checks import Check
from pointsman_agent.ports import StoredState
from pointsman_agent.slots import Slots

LEAST_FREE_BYTES: Final = 100 * 1024 * 1024  # below it the journal may stop within a day
ENOUGH_FREE_BYTES: Final = 1024 * 1024 * 1024
_MIB: Final = 1024 * 1024
LOCK_FILE: Final = "lock"


def check_state(folder: Path) -> Iterator[Check]:
    """Yield what is to be said of the state folder."""
    if not folder.exists():
        yield _missing(folder)
        return
    yield _writable(folder)
    yield _free(folder)
    yield _lock(folder)


def load_state(folder: Path) -> StoredState | Check:
    """Return what an agent kept there, or what is wrong with it."""
    try:
        return Slots(folder).load()
    except (OSError, ValueError) as error:
        remedy = "restore the state folder from a backup, or begin with an empty one: the journal is then lost"
        return Check("state", "fail", str(error), remedy)


def is_in_use(folder: Path) -> bool:
    """Whether an agent runs on this state folder: it holds the lock."""
    try:
        with (folder / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, no agent
        return False
    return False


def _missing(folder: Path) -> Check:
    parent = next(each for each in folder.absolute().parents if each.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return Check("state folder", "ok", f"{folder} is not there yet; the agent makes it")
    return Check("state folder", "fail", f"{folder} is not there and {parent} is not writable", _remedy(folder))


def _writable(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check("state folder", "fail", f"{folder}: {error.strerror}", _remedy(folder))
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        seen = f"{folder} is open to others (mode {mode:o}); it holds keys and badges"
        return Check("state folder", "warn", seen, f"chmod 700 {folder}")
    return Check("state folder", "ok", f"{folder} is writable")


def _remedy(folder: Path) -> str:
    return f"run as the agent's user; as root: install -d -m 700 -o USER {folder}"


def _free(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    seen = f"{free // _MIB} MiB free"
    if free < LEAST_FREE_BYTES:
        return Check("disk", "fail", seen, "make room: without it local stations cannot charge")
    if free < ENOUGH_FREE_BYTES:
        return Check("disk", "warn", seen, "make room soon; `journal.keepDays` bounds what the journal keeps")
    return Check("disk", "ok", seen)


def _lock(folder: Path) -> Check:
    if is_in_use(folder):
        return Check("lock", "ok", "an agent runs on this state folder")
    return Check("lock", "ok", "no agent runs on this state folder")
