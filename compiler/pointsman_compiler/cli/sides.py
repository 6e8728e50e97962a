"""The two sides of a plan as people name them: folders, or revisions of git; and what the commits between them say."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli.outcome import FileFailure

if TYPE_CHECKING:
    from pointsman_compiler.stores import Store

DEFAULT_ROOT: Final = Path("sites")


def side(name: str, root: Path | None) -> "Store":
    """Return the folder `name`, or the folder `root` in the revision `name`; without `root` a folder goes first."""
    from pointsman_compiler.stores.commit import CommitUnknown, find_commit
    from pointsman_compiler.stores.folder import Folder

    if root is None and Path(name).is_dir():
        return Folder(Path(name))
    try:
        return find_commit(root or DEFAULT_ROOT, name)
    except CommitUnknown as error:
        folder = "" if root is not None else f", and there is no folder {name}"
        help = "fetch it first (in a pipeline: the whole history), or name two folders"
        raise FileFailure(f"{error}{folder}", help) from error


def acknowledged(before: "Store", after: "Store", given: tuple[str, ...]) -> list[str]:
    """Return the labels acknowledged by flags and by trailers of the commits from `before` to `after`."""
    from pointsman_compiler.plan.consent import TRAILER, read_labels
    from pointsman_compiler.plan.risks import RISKS
    from pointsman_compiler.revision import RevisionError, read_trailers
    from pointsman_compiler.stores.commit import Commit

    labels, unknown = read_labels(given)
    if unknown:
        raise click.UsageError(f"there is no label {unknown[0]}; known are {', '.join(RISKS)}")
    if not isinstance(before, Commit) or not isinstance(after, Commit):
        return list(labels)
    try:
        trailers = read_trailers(after.repository, before.revision, after.revision, TRAILER)
    except RevisionError as error:
        raise FileFailure(str(error), "fetch the whole history") from error
    found, unknown = read_labels(trailers)
    for word in unknown:
        click.echo(f"warning: a commit acknowledges {word!r}, which is no label", err=True)
    return [*labels, *found]
