"""A folder on a disk: the only part that walks and reads one."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pointsman_compiler.stores import (
    LARGEST_READ_BYTES,
    MOST_FILES,
    Found,
    SourceError,
    is_shown,
    link_outside,
    missing,
    missing_root,
    no_file,
    too_large,
    too_many_files,
    unreadable,
)

Stamp = tuple[int, int, int]
"""Time of the last change in nanoseconds, size in bytes, number of the inode."""


@dataclass(frozen=True)
class Folder:
    """The files below a folder on the disk."""

    root: Path
    _real_folders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def walk(self, *, hidden: bool = False) -> Iterator[Found]:
        """Yield what is there; see `Store`."""
        if not self.root.is_dir():
            raise missing_root(self.root)
        for number, found in enumerate(self._walk(hidden)):
            if number == MOST_FILES:
                raise too_many_files(self.root)
            yield found

    def stamps(self) -> dict[str, Stamp]:
        """Return what tells each file's state from another one, without reading it. Raises SourceError as `walk`."""
        found: dict[str, Stamp] = {}
        for name in sorted(found.name for found in self.walk() if not found.is_linked_folder):
            try:
                status = os.stat(self.root / name)
            except OSError:  # gone meanwhile, or a link to nothing
                continue
            found[name] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

    def has(self, file: str) -> bool:
        """Return whether there is such a name."""
        return os.path.lexists(self.root / file)

    def read(self, file: str) -> bytes:
        """Return the bytes of `file`; see `Store`."""
        try:
            path, status = self._real(file)
        except FileNotFoundError as error:
            raise missing(file) from error
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise _unreadable(file, error) from error
        if not path.startswith(self._real_folder("") + os.sep):
            raise link_outside(file)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
            raise no_file(file)
        return _read_bounded(file, path, status.st_size)

    def _walk(self, hidden: bool) -> Iterator[Found]:
        for folder, folders, files in os.walk(self.root, onerror=_raise_unreadable):
            above = os.path.relpath(folder, self.root).replace(os.sep, "/")
            prefix = "" if above == "." else f"{above}/"
            shown = [name for name in folders if name != ".git" and (hidden or is_shown(name))]
            linked = [name for name in shown if os.path.islink(os.path.join(folder, name))]
            folders[:] = [name for name in shown if name not in linked]
            yield from (Found(prefix + name, is_linked_folder=True) for name in linked)
            yield from (Found(prefix + name) for name in files if hidden or is_shown(name))

    def _real(self, file: str) -> tuple[str, os.stat_result]:
        """The path of `file` without links, and what the disk says of it; raises OSError or ValueError."""
        folder, _, name = file.rpartition("/")
        path = os.path.join(self._real_folder(folder), name)
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            path = os.path.realpath(path, strict=True)
            status = os.lstat(path)
        return path, status

    def _real_folder(self, folder: str) -> str:
        """The path of a folder without links; asked of the disk once, since a fleet has many files in few folders."""
        if folder not in self._real_folders:
            self._real_folders[folder] = os.path.realpath(self.root / folder, strict=True)
        return self._real_folders[folder]


def _read_bounded(file: str, path: str, size: int) -> bytes:
    """The bytes of the file, of which the disk said `size`: a file that grows meanwhile is taken as it was."""
    if size > LARGEST_READ_BYTES:
        raise too_large(file)
    try:
        with open(path, "rb", buffering=0) as opened:
            return _all_of(opened, size)
    except OSError as error:
        raise _unreadable(file, error) from error


def _all_of(opened: io.FileIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := opened.read(size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _raise_unreadable(error: OSError) -> None:
    raise _unreadable(str(error.filename), error)


def _unreadable(file: str, error: Exception) -> SourceError:
    return unreadable(file, error.strerror if isinstance(error, OSError) and error.strerror else str(error))
