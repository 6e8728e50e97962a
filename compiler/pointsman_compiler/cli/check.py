"""`check`: every site of a tree against every rule."""

import sys
from datetime import datetime
from pathlib import Path

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import ANSWER_IS_NO
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.trees import checked


@click.command(epilog="Example: pointsman check sites --strict")
@options.root
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the report.")
@options.sites
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@options.at
def check(root: Path, form: str, sites: tuple[str, ...], strict: bool, at: datetime) -> None:
    """Check every site below ROOT (default: sites)."""
    tree, result = checked(root, sites, at)
    if form == "json":
        from pointsman_compiler.report.json import render_json

        click.echo(render_json(result.problems, len(result.sites)), nl=False)
    elif result.problems:
        click.echo(text_report(tree, result, sys.stdout), nl=False)
    if result.errors or (strict and result.problems):
        sys.exit(ANSWER_IS_NO)
