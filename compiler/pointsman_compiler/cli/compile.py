"""`compile`: sites without errors → bundles in a folder."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure, FileFailure, Stale, file_failures
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.signing import private_keys
from pointsman_compiler.cli.trees import OpenTree, open_tree, survey

if TYPE_CHECKING:
    from pointsman_compiler.lock import Locked
    from pointsman_compiler.press import Made, Order
    from pointsman_compiler.revision import Head

SUFFIX: Final = ".bundle"
SHOWN_AT_MOST: Final = 20
"""Sites that one message names; the remedy is the same for all of them."""


@click.command("compile", epilog="Example: pointsman compile sites --out out --key release.key")
@options.root
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the bundles.")
@click.option("--key", "keys", metavar="FILE", multiple=True, help="Sign with it; env:NAME too (repeatable).")
@click.option("--sequence", type=click.IntRange(0, 2**53 - 1), help="Default: commit time of git's HEAD.")
@click.option("--revision", metavar="TEXT", help="Named in the bundle; default with git's sequence: HEAD.")
@options.sites
@options.at
@click.option("--all", "write_all", is_flag=True, help="Write bundles that say nothing new as well.")
@click.option("--locked", metavar="FILE", type=click.Path(path_type=Path), help="Write only what this lock says.")
@click.option("--lock-file", metavar="FILE", type=click.Path(path_type=Path), help="Write each site's digest here.")
@options.jobs
def compile_(
    root: Path,
    out: Path,
    keys: tuple[str, ...],
    sequence: int | None,
    revision: str | None,
    sites: tuple[str, ...],
    at: datetime,
    write_all: bool,
    locked: Path | None,
    lock_file: Path | None,
    jobs: int | None,
) -> None:
    """Check the sites below ROOT (default: sites) and write OUT/<site>.bundle.

    A bundle that is there, says the same configuration and has a valid signature is left as it is. Either all bundles
    are put into place, or none. A lock is one JSON object, site to configDigest; the JSON of a plan will do.
    """
    from pointsman_compiler.press import Order
    from pointsman_compiler.writing import Staging

    opened = open_tree(root, sites)
    if lock_file is not None and not lock_file.parent.is_dir():
        raise FileFailure(f"{lock_file.parent}: there is no such folder for the lock file", "make it first")
    expected = _read_lock(locked) if locked is not None else None
    raw_keys = tuple(key.private_bytes_raw() for key in private_keys(keys))
    head = _head(opened, at, sites, jobs) if sequence is None else None
    if head is not None:
        sequence, revision = head.committed_s, revision or head.revision
    assert sequence is not None
    with file_failures(), Staging(out) as staging:
        chosen = frozenset(sites) if sites else None
        order = Order(out.resolve(), staging.folder.resolve(), SUFFIX, sequence, revision, raw_keys, chosen, write_all)
        made = _made(opened, at, sites, jobs, order)
        _demand_unchanged(head, made)
        if expected is not None:
            _demand_locked(expected, made, sites)
        staging.put_into_place(f"{one.site}{SUFFIX}" for one in made if one.is_staged)
    _warn_of_steps_back(out, made, sequence)
    if lock_file is not None:
        _write_lock(lock_file, made)


def _made(
    opened: OpenTree, at: datetime, sites: Sequence[str], jobs: int | None, order: "Order | None"
) -> "list[Made]":
    """The records of the bundles, all laid aside; with an error anywhere there is nothing to put into place."""
    verdict, made = survey(opened, at, sites, jobs, order)
    if verdict.problems:
        click.echo(text_report(opened.tree, verdict.problems, sys.stderr), nl=False, err=True)
    if verdict.errors:
        raise Failure("nothing was written", "mend the errors above, or choose sites without any: --site ID")
    return made


def _head(opened: OpenTree, at: datetime, sites: Sequence[str], jobs: int | None) -> "Head":
    """What git's HEAD is; where git does not say, the problems of the sites are told first: they matter more."""
    from pointsman_compiler.revision import RevisionError, read_head

    try:
        return read_head(opened.tree.root)
    except RevisionError as error:
        _made(opened, at, sites, jobs, None)
        raise Failure(str(error), error.help) from error


def _demand_unchanged(head: "Head | None", made: "Sequence[Made]") -> None:
    from pointsman_compiler.revision import RevisionError

    if head is None:
        return
    try:
        head.demand_unchanged(item.file for one in made for item in one.inputs)
    except RevisionError as error:
        raise Failure(str(error), error.help) from error


def _read_lock(path: Path) -> "Locked":
    from pointsman_compiler.lock import LockUnreadable, read_lock

    with file_failures():
        text = path.read_bytes()
    try:
        return read_lock(text)
    except LockUnreadable as error:
        raise Failure(f"{path}: {error}", "name a file that `compile --lock-file` or `plan` wrote") from error


def _demand_locked(expected: "Locked", made: "Sequence[Made]", sites: Sequence[str]) -> None:
    from pointsman_compiler.lock import differences

    wanted = expected.only(sites) if sites else expected
    found = list(differences(wanted, {one.site: (one.digest, one.inputs) for one in made}))
    if found:
        more = f"\n  and {len(found) - SHOWN_AT_MOST} more" if len(found) > SHOWN_AT_MOST else ""
        listed = "".join(f"\n  {one}" for one in found[:SHOWN_AT_MOST])
        raise Stale(f"nothing was written: the lock does not match{listed}{more}", "review the change, then lock anew")


def _warn_of_steps_back(out: Path, made: "Sequence[Made]", sequence: int) -> None:
    """A controller takes no lower sequence, and the same one only with the same configuration (rule of the agent)."""
    stuck = [one for one in made if one.is_staged and one.old is not None and one.old.blocks(one.digest, sequence)]
    for one in stuck[:SHOWN_AT_MOST]:
        click.echo(
            f"warning: {out / one.site}{SUFFIX} had sequence {one.old.sequence if one.old else 0} and has {sequence} "
            "now: a controller that knows it refuses this bundle\n"
            "  help: compile with a higher --sequence, and --all",
            err=True,
        )
    if len(stuck) > SHOWN_AT_MOST:
        click.echo(f"warning: and {len(stuck) - SHOWN_AT_MOST} more bundles", err=True)


def _write_lock(path: Path, made: "Sequence[Made]") -> None:
    from pointsman_compiler.lock import lock_text
    from pointsman_compiler.writing import replace_file

    with file_failures():
        replace_file(path, lock_text({one.site: one.digest for one in made}).encode())
