"""The files of a sites folder: which of them are sites, and what a file may be named by another one.

A path never leaves the root: not by `..`, not as an absolute path, not through a link. What is read once from the store
(a disk or a commit) stays in memory, so that everything that is said of a site is about the same bytes; `trim` lets go
of it between two sites.
"""

import re
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Final

from pointsman_compiler.problems import Place, Problem, Related
from pointsman_compiler.stores import LARGEST_READ_BYTES, SourceError, Store
from pointsman_compiler.stores.folder import Folder

__all__ = ["FLEET_FILE", "KEPT_BYTES", "LARGEST_READ_BYTES", "ROLLOUT_FILE", "SourceError", "SourceTree"]

FLEET_FILE: Final = "fleet.yaml"
ROLLOUT_FILE: Final = "rollout.yaml"

KEPT_BYTES: Final = 4 * 1024 * 1024
"""What `trim` lets stand in memory: all that the sites of a fleet share, in most fleets; badges take ten times more."""

_DRIVE = re.compile(r"[A-Za-z]:")


class SourceTree:
    """The files below one root, on a disk or in a commit. Names are relative to the root, with `/`."""

    def __init__(self, where: Path | Store, given: Mapping[str, bytes] | None = None) -> None:
        """`where` is a folder or a store; `given` holds files from memory, as though they stood below the root."""
        self.store: Store = Folder(where) if isinstance(where, Path) else where
        self._read: dict[str, bytes] = dict(given or {})
        self._read_bytes = sum(map(len, self._read.values()))

    @property
    def root(self) -> Path:
        """What people call the root."""
        return self.store.root

    def site_files(self) -> tuple[list[str], list[Problem]]:
        """Return the names of all sites, sorted, and what is wrong with names in the tree.

        Problems are `.yml` (such a file is not listed), two equal stems (both are) and linked folders (not walked).
        Raises SourceError when the root is no folder, or a folder cannot be listed.
        """
        problems: list[Problem] = []
        sites: list[str] = []
        for found in sorted(self.store.walk(), key=attrgetter("name")):
            if found.is_linked_folder:
                problems.append(_linked_folder(found.name))
            elif found.name.endswith(".yaml") and found.name not in (FLEET_FILE, ROLLOUT_FILE):
                sites.append(found.name)
            elif found.name.endswith(".yml"):
                problems.append(_wrong_ending(found.name))
        return sites, [*problems, *_equal_stems(sites)]

    def fleet_file(self) -> str | None:
        """Return the name of the fleet's file, or None where the tree has none."""
        return FLEET_FILE if self.store.has(FLEET_FILE) else None

    def rollout_file(self) -> str | None:
        """Return the name of the rollout's file, or None where the tree has none."""
        return ROLLOUT_FILE if self.store.has(ROLLOUT_FILE) else None

    def read(self, file: str) -> bytes:
        """Return the bytes of `file`; the same at each call. Raises SourceError."""
        if file not in self._read:
            self._read[file] = self.store.read(_within_root(file))
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
