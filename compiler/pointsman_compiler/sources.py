"""Find and read the files of a sites folder: with the caller of `emit` the only part that touches the disk.

A path never leaves the root: not by `..`, not as an absolute path, not through a link. What is read once stays in
memory, so that everything that is said of a site is about the same bytes; `trim` lets go of it between two sites.
"""

import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from pointsman_compiler.problems import Place, Problem, Related

FLEET_FILE: Final = "fleet.yaml"
ROLLOUT_FILE: Final = "rollout.yaml"

# Above the largest file that a site may name: a list of badges, 16 MiB.
LARGEST_READ_BYTES: Final = 16 * 1024 * 1024
KEPT_BYTES: Final = 4 * 1024 * 1024
"""What `trim` lets stand in memory: all that the sites of a fleet share, in most fleets; badges take ten times more."""

_DRIVE = re.compile(r"[A-Za-z]:")

Stamp = tuple[int, int, int]
"""Time of the last change in nanoseconds, size in bytes, number of the inode."""

Fault = Literal["missing", "outside", "link", "too-large", "unreadable"]


class SourceError(Exception):
    """A file that cannot be had: which, why and the remedy. The author of the tree is at fault."""

    def __init__(self, reason: Fault, file: str, message: str, help: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.file = file
        self.message = message
        self.help = help


class SourceTree:
    """The files below one root. Names are relative to the root, with `/`."""

    def __init__(self, root: Path, given: Mapping[str, bytes] | None = None) -> None:
        """`given` holds files that are taken from memory, as though they stood below the root."""
        self.root = root
        self._read: dict[str, bytes] = dict(given or {})
        self._read_bytes = sum(map(len, self._read.values()))
        self._folders: dict[str, str] = {}

    def site_files(self) -> tuple[list[str], list[Problem]]:
        """Return the names of all sites, sorted, and what is wrong with names in the tree.

        Problems are `.yml` (such a file is not listed), two equal stems (both are) and linked folders (not walked).
        Raises SourceError when the root is no folder, or a folder cannot be listed.
        """
        if not self.root.is_dir():
            raise SourceError("missing", ".", f"there is no folder {self.root}", "name the folder of the sites")
        problems: list[Problem] = []
        sites: list[str] = []
        for name in sorted(self._walk(problems)):
            if name.endswith(".yaml") and name not in (FLEET_FILE, ROLLOUT_FILE):
                sites.append(name)
            elif name.endswith(".yml"):
                problems.append(_wrong_ending(name))
        return sites, [*problems, *_equal_stems(sites)]

    def stamps(self) -> dict[str, Stamp]:
        """Return what tells each file's state from another one, without reading it. Raises SourceError as above."""
        found: dict[str, Stamp] = {}
        for name in sorted(self._walk([])):
            try:
                status = os.stat(self.root / name)
            except OSError:  # gone meanwhile, or a link to nothing
                continue
            found[name] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

    def fleet_file(self) -> str | None:
        """Return the name of the fleet's file, or None where the tree has none."""
        return FLEET_FILE if os.path.lexists(self.root / FLEET_FILE) else None

    def read(self, file: str) -> bytes:
        """Return the bytes of `file`; the same at each call. Raises SourceError."""
        if file not in self._read:
            self._read[file] = self._read_once(_within_root(file))
            self._read_bytes += len(self._read[file])
        return self._read[file]

    def forget(self, file: str) -> None:
        """Let go of the bytes of `file`; asked for again, they are read again."""
        self._read_bytes -= len(self._read.pop(file, b""))

    def trim(self) -> bool:
        """Let go of everything, if that is more than KEPT_BYTES; return whether it was."""
        is_too_much = self._read_bytes > KEPT_BYTES
        if is_too_much:
            self._read, self._read_bytes = {}, 0
        return is_too_much

    def resolve(self, named_in: str, reference: str) -> str:
        """Return the name of the file that `reference` means when `named_in` says it. Raises SourceError.

        Only the path is judged here: `read` tells whether the file is there.
        """
        _refuse_absolute(reference)
        return _within_root((PurePosixPath(named_in).parent / reference).as_posix())

    def _walk(self, problems: list[Problem]) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root, onerror=_raise_unreadable):
            shown = [name for name in folders if _is_shown(name)]
            linked = [name for name in shown if os.path.islink(os.path.join(folder, name))]
            folders[:] = [name for name in shown if name not in linked]
            problems += (_linked_folder(self._relative(folder, name)) for name in linked)
            yield from (self._relative(folder, name) for name in files if _is_shown(name))

    def _relative(self, folder: str, name: str) -> str:
        return Path(folder, name).relative_to(self.root).as_posix()

    def _read_once(self, file: str) -> bytes:
        try:
            path, status = self._real(file)
        except FileNotFoundError as error:
            raise SourceError("missing", file, f"there is no file {file}", "check the path; case counts") from error
        except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise _unreadable(file, error) from error
        if not path.startswith(self._folder("") + os.sep):
            raise SourceError("link", file, f"{file} is a link out of the sites folder", "put the file itself there")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device might never end
            raise SourceError("unreadable", file, f"{file} is not a regular file", "name a file")
        return _read_bounded(file, path, status.st_size)

    def _real(self, file: str) -> tuple[str, os.stat_result]:
        """The path of `file` without links, and what the disk says of it; raises OSError or ValueError."""
        folder, _, name = file.rpartition("/")
        path = os.path.join(self._folder(folder), name)
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            path = os.path.realpath(path, strict=True)
            status = os.lstat(path)
        return path, status

    def _folder(self, folder: str) -> str:
        """The path of a folder without links; asked of the disk once, since a fleet has many files in few folders."""
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(self.root / folder, strict=True)
        return self._folders[folder]


def _read_bounded(file: str, path: str, size: int) -> bytes:
    """The bytes of the file, of which the disk said `size`: a file that grows meanwhile is taken as it was."""
    if size > LARGEST_READ_BYTES:
        message = f"{file} has more than {LARGEST_READ_BYTES} bytes (16 MiB)"
        raise SourceError("too-large", file, message, "split it, or name a smaller file")
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


def _refuse_absolute(file: str) -> None:
    if not file or "\\" in file or not file.isprintable():
        help = "write it relative to the file that names it, with `/` between folders"
        raise SourceError("outside", file, f"{file!r} is no path to a file", help)
    if file.startswith("/") or _DRIVE.match(file):
        help = "write the path relative to the file that names it"
        raise SourceError("outside", file, f"{file} is an absolute path", help)


def _within_root(file: str) -> str:
    """Return `file` without `.` and `..`; links are looked at when it is read."""
    _refuse_absolute(file)
    parts: list[str] = []
    for part in file.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            message = f"{file} leaves the sites folder"
            raise SourceError("outside", file, message, "move the file below the sites folder")
    if not parts:
        raise SourceError("outside", file, f"{file} is a folder", "name a file")
    return "/".join(parts)


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "_"))


def _raise_unreadable(error: OSError) -> None:
    raise _unreadable(str(error.filename), error)


def _unreadable(file: str, error: Exception) -> SourceError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SourceError("unreadable", file, f"{file} cannot be read: {reason}", "check the file and its permissions")


def _whole_file(file: str) -> Place:
    return Place(file, 1, 1, 1, 1)


def _wrong_ending(file: str) -> Problem:
    renamed = f"{file.removesuffix('.yml')}.yaml"
    message = f"{file} is not read: a site's file ends with .yaml"
    help = f"rename it to {renamed}, or let its name begin with _ to keep it unread"
    return Problem("PM591", "error", message, help, _whole_file(file), "")


def _linked_folder(file: str) -> Problem:
    message = f"the folder {file} is a link, and links to folders are not followed"
    return Problem("PM593", "error", message, "put the folder itself there", _whole_file(file), "")


def _equal_stems(sites: list[str]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for file in sites:
        stem = PurePosixPath(file).stem
        other = first.setdefault(stem, file)
        if other != file:
            message = f"two files are the site {stem}: {other} and {file}"
            related = Related("the other file", _whole_file(other))
            help = "a site's id is its file's name without .yaml: rename one of the two"
            yield Problem("PM592", "error", message, help, _whole_file(file), "", (related,))
