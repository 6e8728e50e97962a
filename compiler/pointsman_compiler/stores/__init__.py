"""Where the files of a sites folder are: on a disk (`folder`), or in a commit of git (`commit`).

A store knows names and gives bytes; what is a site among the files, and what may be named, is said in `sources`. In
either, no path leaves the root through a link, no file is larger than any that a site may name, and there is a largest
number of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

# Above the largest file that a site may name: a list of badges, 16 MiB.
LARGEST_READ_BYTES: Final = 16 * 1024 * 1024
MOST_FILES: Final = 1_000_000
"""Files below one root: ten times what the largest fleets have; a pull request could bring any number."""

Fault = Literal["missing", "outside", "link", "too-large", "unreadable"]


class SourceError(Exception):
    """A file that cannot be had: which, why and the remedy. The author of the tree is at fault."""

    def __init__(self, reason: Fault, file: str, message: str, help: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.file = file
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Found:
    """A name below the root, relative to it; links to folders are found, and not walked."""

    name: str
    is_linked_folder: bool = False


class Store(Protocol):
    """The files below a root; names are relative to it, with `/`, and without `.` and `..`."""

    @property
    def root(self) -> Path:
        """What people call the root."""

    def walk(self, *, hidden: bool = False) -> Iterator[Found]:
        """Yield every file in no order; those under a name with `.` or `_` in front only when asked for, git's never.

        Raises SourceError when there is no root, it cannot be listed, or it has more files than MOST_FILES.
        """

    def has(self, file: str) -> bool:
        """Return whether there is such a name."""

    def read(self, file: str) -> bytes:
        """Return the bytes of `file`; raises SourceError."""


def is_shown(name: str) -> bool:
    """Return whether `name`, of a file or a folder, is one that is walked."""
    return not name.startswith((".", "_"))


def missing(file: str) -> SourceError:
    """Return the fault of a file that is not there."""
    return SourceError("missing", file, f"there is no file {file}", "check the path; case counts")


def missing_root(root: object) -> SourceError:
    """Return the fault of a root that is not there."""
    return SourceError("missing", ".", f"there is no folder {root}", "name the folder of the sites")


def link_outside(file: str) -> SourceError:
    """Return the fault of a link that leads out of the root."""
    return SourceError("link", file, f"{file} is a link out of the sites folder", "put the file itself there")


def no_file(file: str) -> SourceError:
    """Return the fault of what has no bytes of its own: a folder, a pipe."""
    return SourceError("unreadable", file, f"{file} is not a regular file", "name a file")


def unreadable(file: str, reason: str) -> SourceError:
    """Return the fault of a file that the disk, or git, does not give."""
    return SourceError("unreadable", file, f"{file} cannot be read: {reason}", "check the file and its permissions")


def too_large(file: str) -> SourceError:
    """Return the fault of a file above LARGEST_READ_BYTES."""
    message = f"{file} has more than {LARGEST_READ_BYTES} bytes (16 MiB)"
    return SourceError("too-large", file, message, "split it, or name a smaller file")


def too_many_files(root: object) -> SourceError:
    """Return the fault of a root with more than MOST_FILES."""
    message = f"there are more than {MOST_FILES} files below {root}"
    return SourceError("too-large", ".", message, "name the folder of the sites, not one above it")
