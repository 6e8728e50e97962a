"""What git says of a sites folder: the commit that a release is made of, and whether its inputs are that commit's."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pointsman_compiler.git import GitFailed, git

MOST_COMMITS: Final = 10_000
"""Of more no change is made that anybody reviews."""
NUMBER_IT: Final = "give --sequence N, a number that rises with each release"


class RevisionError(Exception):
    """There is no commit that the inputs are of, and the remedy."""

    def __init__(self, message: str, help: str = NUMBER_IT) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Head:
    """The commit checked out: its hash, and the time of its making in seconds since 1970 (the default sequence).

    `known` are the files below the root in that commit, `changed` those of them that differ on disk.
    """

    revision: str
    committed_s: int
    known: frozenset[str]
    changed: frozenset[str]

    def demand_unchanged(self, inputs: Iterable[str]) -> None:
        """Raise RevisionError when one of `inputs` (relative to the root) is not as it is in the commit."""
        differing = sorted({file for file in inputs if file in self.changed or file not in self.known})
        if differing:
            raise RevisionError(
                f"{differing[0]}{f' and {len(differing) - 1} more' if len(differing) > 1 else ''} differs from git's "
                "HEAD, so its commit time would name another state",
                "commit first, or give --sequence N",
            )


def read_head(root: Path) -> Head:
    """Return the commit that is checked out round `root`; raises RevisionError outside git and before the first one."""
    committed, revision = _git(root, "log", "-1", "--format=%ct %H", "HEAD").split()
    known = _names(_git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", "--", "."))
    changed = _names(_git(root, "diff", "-z", "--name-only", "--relative", "HEAD", "--", "."))
    return Head(revision, int(committed), known, changed)


def read_trailers(repository: Path, before: str, after: str, key: str) -> list[str]:
    """Return the values of the trailers `key` in the commits that `after` has and `before` has not.

    Both are hashes of commits. Raises RevisionError.
    """
    form = f"--format=%(trailers:key={key},valueonly=true,unfold=true)"
    listed = _git(repository, "log", "--no-show-signature", f"--max-count={MOST_COMMITS}", form, f"{before}..{after}")
    return [line for line in listed.splitlines() if line]


def _names(output: str) -> frozenset[str]:
    return frozenset(output.split("\0"))


def _git(root: Path, *arguments: str) -> str:
    try:
        return git(root, *arguments).decode(errors="surrogateescape")
    except GitFailed as error:
        raise RevisionError(f"git knows no commit time of HEAD here ({error})") from error
