"""A folder in a commit of git, without a checkout.

Names, sizes and hashes come from one `ls-tree`, bytes from one `cat-file --batch`. Links mean what they would mean in a
checkout, as long as they stay below the root. A submodule is a folder without files.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pointsman_compiler.git import BlobReader, GitFailed, git
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

LINK_MODE: Final = "120000"
SUBMODULE_MODE: Final = "160000"
LONGEST_LINK_BYTES: Final = 4096  # Linux' PATH_MAX
MOST_LINKS: Final = 40  # Linux' MAXSYMLINKS: links that one path may lead through


class CommitUnknown(Exception):
    """There is no such commit here; the message says what git knows."""


class _Outside(Exception):
    """A link leads out of the root."""


class _Lost(Exception):
    """A path leads to no file: nowhere, through a file, or in a circle."""


class _Lacking(Exception):
    """The repository has a file's name, and not its bytes."""


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    blob: str
    size: int


@dataclass(frozen=True)
class Commit:
    """The files below `path` (a folder in the repository; empty: all of it) in the commit with the hash `revision`.

    `repository` is the top of the repository's working tree; `root` is what people call the folder.
    """

    repository: Path
    revision: str
    path: str
    root: Path

    def __reduce__(self) -> tuple[type["Commit"], tuple[Path, str, str, Path]]:
        """What it knows and the git behind it stay in this process."""
        return Commit, (self.repository, self.revision, self.path, self.root)

    def walk(self, *, hidden: bool = False) -> Iterator[Found]:
        """Yield what is there; see `Store`."""
        if not self._entries:
            raise missing_root(f"{self.root} in {self.revision[:12]}")
        for name, entry in self._entries.items():
            if hidden or all(map(is_shown, name.split("/"))):
                yield Found(name, is_linked_folder=entry.mode == LINK_MODE and self._leads_to_folder(name))

    def has(self, file: str) -> bool:
        """Return whether there is such a name."""
        return file in self._entries or file in self._folders

    def blob(self, file: str) -> str | None:
        """Return the hash of the blob that `file` means, links followed; None where it means none."""
        try:
            return self._entries[self._followed(file)].blob
        except (KeyError, _Outside, _Lost):
            return None

    def read(self, file: str) -> bytes:
        """Return the bytes of `file`; see `Store`."""
        try:
            name = self._followed(file)
        except _Outside as error:
            raise link_outside(file) from error
        except _Lost as error:
            raise (unreadable(file, str(error)) if str(error) else missing(file)) from error
        if name in self._folders:
            raise no_file(file)
        entry = self._entries[name]
        if entry.size > LARGEST_READ_BYTES:
            raise too_large(file)
        try:
            return self._blobs.read(entry.blob)
        except GitFailed as error:
            raise unreadable(file, str(error)) from error

    def close(self) -> None:
        """End the git behind it; asked for more, it begins another one."""
        blobs = self.__dict__.pop("_blobs", None)
        if blobs is not None:
            blobs.close()

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        folder = f"{self.revision}:{self.path}"
        try:
            git(self.repository, "rev-parse", "--verify", "--quiet", "--end-of-options", folder)
        except GitFailed:  # the commit has no such folder
            return {}
        try:
            listed = git(self.repository, "ls-tree", "--full-tree", "-r", "-z", "-l", folder)
        except GitFailed as error:
            raise self._incomplete(str(error)) if self._is_partial() else unreadable(self.path, str(error)) from error
        lines = listed.split(b"\0")[:-1]
        if len(lines) > MOST_FILES:
            raise too_many_files(self.root)
        try:
            return dict(entry for line in lines if (entry := _entry(line)) is not None)
        except _Lacking as error:
            raise self._incomplete(f"git lacks the content of {error}") from error

    def _incomplete(self, reason: str) -> SourceError:
        help = "the repository is not whole: `git fsck` says more, and a new clone has what this one lacks"
        if self._is_partial():
            help = (
                "this clone has a filter: `git fetch --refetch --no-filter` brings the rest, or clone without --filter"
            )
            reason = "git lacks the content of some files"
        return SourceError("unreadable", ".", f"{self.root} in {self.revision[:12]} cannot be read: {reason}", help)

    def _is_partial(self) -> bool:
        """Whether the repository was cloned without some of its objects (git-clone(1), --filter)."""
        try:
            return bool(git(self.repository, "config", "--get-regexp", r"^remote\..*\.promisor$"))
        except GitFailed:
            return False

    @cached_property
    def _folders(self) -> frozenset[str]:
        found = {""}
        for name in self._entries:
            parent = name.rpartition("/")[0]
            while parent not in found:
                found.add(parent)
                parent = parent.rpartition("/")[0]
        return frozenset(found)

    @cached_property
    def _blobs(self) -> BlobReader:
        return BlobReader(self.repository)

    def _leads_to_folder(self, name: str) -> bool:
        """Whether a checkout would show the link as a folder; what is outside of the root is not looked at."""
        try:
            return self._followed(name) in self._folders
        except (_Outside, _Lost):
            return False

    def _followed(self, name: str) -> str:
        """The name of the file or folder that `name` means, no link on the way any more; raises _Outside or _Lost."""
        at: list[str] = []
        rest = name.split("/")[::-1]
        links = 0
        while rest:
            step = rest.pop()
            if step == "..":
                if not at:
                    raise _Outside
                at.pop()
                continue
            here = "/".join([*at, step])
            entry = self._entries.get(here)
            if entry is not None and entry.mode == LINK_MODE:
                links += 1
                if links > MOST_LINKS:
                    raise _Lost("too many levels of links")
                rest += self._target(entry)
            elif here in self._folders or (entry is not None and not rest):
                at.append(step)
            else:
                raise _Lost("a file stands where a folder should" if entry is not None else "")
        return "/".join(at)

    def _target(self, entry: _Entry) -> list[str]:
        """The steps of a link, the last one first."""
        if entry.size > LONGEST_LINK_BYTES:
            raise _Lost("the link is too long")
        try:
            target = self._blobs.read(entry.blob).decode(errors="surrogateescape")
        except GitFailed as error:
            raise _Lost(str(error)) from error
        if target.startswith("/"):
            raise _Outside
        return [step for step in target.split("/") if step not in ("", ".")][::-1]


def find_commit(root: Path, revision: str) -> Commit:
    """Return the folder `root` as it is in `revision`, any name that git knows; raises CommitUnknown.

    `root` need not be there now: it is sought in the commit, by its path from the repository round it.
    """
    whole = Path(os.path.abspath(root))
    there = next(folder for folder in (whole, *whole.parents) if folder.is_dir())
    try:
        top, above = _lines(git(there, "rev-parse", "--show-toplevel", "--show-prefix"))
    except GitFailed as error:
        raise CommitUnknown(f"there is no working tree of git round {root} ({error})") from error
    try:
        (found,) = _lines(git(there, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"))
    except GitFailed as error:
        raise CommitUnknown(f"git knows no revision {revision!r}") from error
    below = whole.relative_to(there).as_posix()
    path = above + (below if below != "." else "")
    return Commit(Path(top), found, path.strip("/"), root)


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="surrogateescape").removesuffix("\n").split("\n")


def _entry(line: bytes) -> tuple[str, _Entry] | None:
    facts, _, name = line.partition(b"\t")
    mode, kind, blob, size = facts.decode().split()
    if kind != "blob":  # a submodule
        return None
    file = name.decode(errors="surrogateescape")
    if not size.isdecimal():  # `BAD`
        raise _Lacking(file)
    return file, _Entry(mode, blob, int(size))
