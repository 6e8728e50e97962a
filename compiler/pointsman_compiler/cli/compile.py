"""`compile`: sites without errors → bundles in a folder."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure, file_failures
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.signing import private_keys
from pointsman_compiler.cli.trees import checked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from pointsman_schema.bundle import Bundle

    from pointsman_compiler.build import CheckResult
    from pointsman_compiler.sources import SourceTree


@click.command("compile", epilog="Example: pointsman compile sites --out out --key release.key")
@options.root
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the bundles.")
@click.option("--key", "keys", metavar="FILE", multiple=True, help="Sign with it; env:NAME too (repeatable).")
@click.option("--sequence", type=click.IntRange(0, 2**53 - 1), help="Default: commit time of git's HEAD.")
@click.option("--revision", metavar="TEXT", help="Named in the bundle; default with git's sequence: HEAD.")
@options.sites
@options.at
@click.option("--all", "write_all", is_flag=True, help="Write bundles that say nothing new as well.")
def compile_(
    root: Path,
    out: Path,
    keys: tuple[str, ...],
    sequence: int | None,
    revision: str | None,
    sites: tuple[str, ...],
    at: datetime,
    write_all: bool,
) -> None:
    """Check the sites below ROOT (default: sites) and write OUT/<site>.bundle.

    A bundle that is there, says the same configuration and has a valid signature is left as it is.
    """
    tree, result = checked(root, sites, at)
    if result.problems:
        click.echo(text_report(tree, result, sys.stderr), nl=False, err=True)
    if result.errors:
        raise Failure("nothing was written", "mend the errors above, or choose sites without any: --site ID")
    private = private_keys(keys)
    if sequence is None:
        sequence, revision = _from_git(tree, result, revision)
    with file_failures():
        out.mkdir(parents=True, exist_ok=True)
    from pointsman_compiler.emit import make_bundle

    for site in result.resolved:
        bundle = make_bundle(site, tree, sequence=sequence, revision=revision)
        _write_bundle(out / f"{site.site}.bundle", bundle, private, write_all)


def _from_git(tree: "SourceTree", result: "CheckResult", revision: str | None) -> tuple[int, str]:
    from pointsman_compiler.revision import RevisionError, read_head

    inputs = {file for site in result.resolved for file in site.inputs}
    try:
        head = read_head(tree.root, inputs)
    except RevisionError as error:
        raise Failure(str(error), error.help) from error
    return head.committed_s, revision or head.revision


def _write_bundle(path: Path, bundle: "Bundle", keys: "Sequence[Ed25519PrivateKey]", write_all: bool) -> None:
    from pointsman_compiler.emit import BundleTooLarge, emit, is_current
    from pointsman_compiler.writing import replace_file

    with file_failures():
        old = path.read_bytes() if path.exists() and not write_all else None
    if old is not None and is_current(old, bundle, [key.public_key() for key in keys]):
        return
    try:
        envelope = emit(bundle, keys)
    except BundleTooLarge as error:
        raise Failure(str(error)) from error
    with file_failures():
        replace_file(path, envelope)
