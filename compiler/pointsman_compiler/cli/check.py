"""`check`: every site of a tree against every rule."""

import sys
from datetime import datetime
from pathlib import Path

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import ANSWER_IS_NO
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.trees import open_tree, survey


@click.command(epilog="Example: pointsman check sites --strict")
@options.root
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the report.")
@options.sites
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.at
@options.jobs
def check(root: Path, form: str, sites: tuple[str, ...], strict: bool, at: datetime, jobs: int | None) -> None:
    """Check every site below ROOT (default: sites)."""
    opened = open_tree(root, sites)
    verdict, _ = survey(opened, at, sites, jobs)
    if form == "json":
        from pointsman_compiler.report.json import render_json

        click.echo(render_json(verdict.problems, len(verdict.sites)), nl=False)
    elif verdict.problems:
        click.echo(text_report(opened.tree, verdict, sys.stdout), nl=False)
    if verdict.errors or (strict and verdict.problems):
        sys.exit(ANSWER_IS_NO)
