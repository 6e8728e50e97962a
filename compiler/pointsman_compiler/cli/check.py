"""`check`: every site of a tree against every rule; once, on each change, or one site from standard input."""

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.confined import confinable
from pointsman_compiler.cli.outcome import ANSWER_IS_NO, source_failures
from pointsman_compiler.cli.reports import FORMATS, report
from pointsman_compiler.cli.trees import open_tree, survey

if TYPE_CHECKING:
    from pointsman_compiler.build import Verdict
    from pointsman_compiler.sources import SourceTree

STANDARD_INPUT: Final = Path("-")
_SITE_LINE: Final = re.compile(rb"^site:[ \t]*([a-z0-9-]{1,63})[ \t]*(?:#.*)?\r?$", re.MULTILINE)


@click.command(epilog="Example: pointsman check sites --strict")
@options.root
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="Form of the report.")
@options.sites
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.at
@options.jobs
@click.option("--watch", is_flag=True, help="Check again on each change, until Ctrl-C.")
@click.option(
    "--within", metavar="DIR", type=click.Path(path_type=Path), help="With -: the sites folder it belongs to."
)
@click.option("--as", "name", metavar="FILE", help="With -: the file's name in that folder; default SITE.yaml.")
@confinable
def check(
    root: Path,
    form: str,
    sites: tuple[str, ...],
    strict: bool,
    at: datetime,
    jobs: int | None,
    watch: bool,
    within: Path | None,
    name: str | None,
) -> None:
    """Check every site below ROOT (default: sites), or one from standard input (ROOT is -).

    A site from standard input is checked alone; --within lends it a fleet.yaml and the files that it names. Reports
    for github, gitlab and sarif name files from the root of the git repository.
    """
    if root == STANDARD_INPUT:
        if watch or sites:
            raise click.UsageError("--watch and --site have no meaning with -")
        sys.exit(_check_standard_input(form, strict, at, within, name))
    if within is not None or name is not None:
        raise click.UsageError("--within and --as have a meaning with - only")
    if watch:
        if form != "text":
            raise click.UsageError("--watch reports as text only")
        from pointsman_compiler.cli.watch import watch as keep_watching

        keep_watching(root, sites, at, jobs)
        return
    opened = open_tree(root, sites)
    verdict, _ = survey(opened, at, sites, jobs)
    sys.exit(_reported(form, opened.tree, verdict, strict))


def _reported(form: str, tree: "SourceTree", verdict: "Verdict", strict: bool) -> int:
    """Print the report; return the exit code."""
    click.echo(report(form, tree, verdict, sys.stdout), nl=False)
    return ANSWER_IS_NO if verdict.errors or (strict and verdict.problems) else 0


def _check_standard_input(form: str, strict: bool, at: datetime, within: Path | None, name: str | None) -> int:
    import tempfile

    from pointsman_compiler.build import conclude
    from pointsman_compiler.judging import Judge
    from pointsman_compiler.sources import LARGEST_READ_BYTES, SourceTree

    raw = sys.stdin.buffer.read(LARGEST_READ_BYTES + 1)
    named = _SITE_LINE.search(raw)
    with tempfile.TemporaryDirectory(prefix="pointsman-") as nowhere, source_failures():
        tree = SourceTree(within or Path(nowhere))
        file = tree.resolve("site", name or f"{named[1].decode() if named else 'stdin'}.yaml")
        tree = SourceTree(tree.root, {file: raw})
        judge = Judge(tree, at)
        verdict = conclude(tree, judge.fleet, (), [judge.judge(file).report])
        return _reported(form, tree, verdict, strict)
