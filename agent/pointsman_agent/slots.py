"""Bundles on disk: temporary file, fsync, rename, fsync of the folder. A power cut leaves the old or the new, whole.

STATE/state.json         what is in force: the one file whose replacement is the switch
STATE/bundles/*.bundle   staged envelopes; those that state.json does not name are rubbish
"""

import contextlib
import os
from pathlib import Path
from typing import Final

import msgspec

from pointsman_agent.ports import StoredState

_STATE: Final = "state.json"
_BUNDLES: Final = "bundles"


class Slots:
    """The bundles of a controller (see `ports.BundleStore`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bundles = folder / _BUNDLES

    def load(self) -> StoredState:
        """Return what was kept; an empty state on a new controller.

        Raises OSError when the folder cannot be read, ValueError when the file is damaged.
        """
        try:
            content = (self._folder / _STATE).read_bytes()
        except FileNotFoundError:
            return StoredState()
        try:
            return msgspec.json.decode(content, type=StoredState)
        except msgspec.DecodeError as error:
            raise ValueError(f"{self._folder / _STATE} is damaged: {error}") from error

    def read(self, name: str) -> bytes:
        """Return a staged envelope; raises OSError."""
        return (self._bundles / name).read_bytes()

    def stage(self, name: str, envelope: bytes) -> None:
        """Store an envelope durably under `name`; raises OSError."""
        self._bundles.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._bundles / name, envelope)

    def save(self, state: StoredState) -> None:
        """Replace the state durably, then remove the bundles that it does not name; raises OSError, nothing changed."""
        write_durably(self._folder / _STATE, msgspec.json.encode(state))
        needed = state.bundles()
        for path in self._bundles.glob("*"):  # with what a power cut left half written
            if path.name not in needed:
                with contextlib.suppress(OSError):  # rubbish that stays is rubbish, not a fault
                    path.unlink()


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write `content` to `path` so that a power cut leaves the old file or the new one, whole. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
