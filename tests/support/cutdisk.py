"""A disk whose power is cut at a chosen step, and what may be found on it afterwards.

What POSIX promises is little: a file's bytes are there once it was fsynced, and its name once the folder was. All else
may be there, or not. So there is more than one disk after a power cut, and software has to bear each of them.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import pytest
from pointsman_agent import slots

KEPT: Final = "all that was done is there"
TORN: Final = "names are there, and half of the bytes that were not fsynced"
LOST: Final = "nothing is there that was not fsynced"
OUTCOMES: Final = (KEPT, TORN, LOST)


class PowerCut(BaseException):
    """The machine stops here: nothing after it runs, not even an `except OSError`."""


class CutDisk:
    """Stands for `os` in `pointsman_agent.slots`. Step number `cut_at` is not done, nor any after it."""

    O_WRONLY, O_CREAT, O_TRUNC = os.O_WRONLY, os.O_CREAT, os.O_TRUNC
    O_RDONLY, O_DIRECTORY = os.O_RDONLY, os.O_DIRECTORY
    getpid, close = staticmethod(os.getpid), staticmethod(os.close)

    def __init__(self, folder: Path, cut_at: int | None = None) -> None:
        self.steps: list[str] = []
        self._folder = folder
        self._cut_at = cut_at
        self._open: dict[int, Path] = {}
        self._synced = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self._durable = dict(self._synced)
        self._durable_folders = {folder, *(path for path in folder.rglob("*") if path.is_dir())}

    def stand_in(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the real disk, for the files of the agent's bundles."""
        patch.setattr(slots, "os", self)
        unlink, mkdir = Path.unlink, Path.mkdir
        patch.setattr(Path, "unlink", lambda path, *args, **named: self._on(path, "unlink", unlink, *args, **named))
        patch.setattr(Path, "mkdir", lambda path, *args, **named: self._on(path, "mkdir", mkdir, *args, **named))

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """As os.open."""
        self._step("open", path)
        descriptor = os.open(path, flags, mode)
        self._open[descriptor] = path
        return descriptor

    def fdopen(self, descriptor: int, mode: str) -> IO[Any]:
        """As os.fdopen; writing is a step."""
        self._step("write", self._open[descriptor])
        return os.fdopen(descriptor, mode)

    def fsync(self, descriptor: int) -> None:
        """As os.fsync: of a file its bytes, of a folder its names."""
        path = self._open[descriptor]
        self._step("fsync", path)
        if path.is_dir():
            self._sync_folder(path)
        else:
            self._synced[path] = path.read_bytes()

    def replace(self, source: Path, target: Path) -> None:
        """As os.replace."""
        self._step("replace", target)
        os.replace(source, target)
        content = self._synced.pop(source, None)
        self._synced.pop(target, None)
        if content is not None:
            self._synced[target] = content

    def after(self, outcome: str, copy: Path) -> None:
        """Write to `copy` what may be found."""
        if outcome == LOST:
            for folder in sorted(self._durable_folders):
                (copy / folder.relative_to(self._folder)).mkdir(parents=True, exist_ok=True)
            for path, content in self._durable.items():
                if path.parent in self._durable_folders:
                    (copy / path.relative_to(self._folder)).write_bytes(content)
            return
        shutil.copytree(self._folder, copy)
        if outcome == TORN:
            for path in (path for path in self._folder.rglob("*") if path.is_file()):
                if path not in self._synced:
                    content = path.read_bytes()
                    (copy / path.relative_to(self._folder)).write_bytes(content[: len(content) // 2])

    def _sync_folder(self, folder: Path) -> None:
        self._durable = {path: content for path, content in self._durable.items() if path.parent != folder}
        for path in folder.iterdir():
            if path.is_dir():
                self._durable_folders.add(path)
            else:
                self._durable[path] = self._synced.get(path, b"")

    def _on(self, path: Path, name: str, work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if path.is_relative_to(self._folder):
            self._step(name, path)
        return work(path, *args, **named)

    def _step(self, name: str, path: Path) -> None:
        if self._cut_at is not None and len(self.steps) >= self._cut_at:
            raise PowerCut
        self.steps.append(f"{name} {path.relative_to(self._folder)}")
