"""`explain`: where each compiled value of a site was written."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure
from pointsman_compiler.cli.reports import text_report
from pointsman_compiler.cli.trees import open_tree

if TYPE_CHECKING:
    from pointsman_compiler.resolve import ResolvedSite


@click.command(epilog="Example: pointsman explain sites lyon-part-dieu stations.LYO-01")
@click.argument("root", type=click.Path(path_type=Path))
@click.argument("site")
@click.argument("path", default="")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--show-badges", is_flag=True, help="Badges too, which PATH also asks for.")
@options.at
def explain(root: Path, site: str, path: str, as_json: bool, show_badges: bool, at: datetime) -> None:
    """Print each compiled value of SITE below ROOT, with the file and line that it comes from.

    The layer is the site itself, the fleet's defaults, the fleet's catalogue of supervisions, or what is built in.
    PATH, such as stations.LYO-01 or /stations/LYO-01, names a part.
    """
    from pointsman_compiler import explain as explaining

    resolved = _resolved(root, site, at)
    try:
        values = explaining.explain(resolved, path)
    except explaining.UnknownPath as error:
        near = f"; near ones: {', '.join(error.near)}" if error.near else ""
        raise click.UsageError(f"the configuration of {site} has no {path}{near}") from error
    show_badges = show_badges or (bool(path) and values[0].path[0] == explaining.BADGES)
    if as_json:
        click.echo(explaining.render_json(values, site=site, show_badges=show_badges), nl=False)
    else:
        click.echo(explaining.render_text(values, show_badges=show_badges), nl=False)


def _resolved(root: Path, site: str, at: datetime) -> "ResolvedSite":
    from pointsman_compiler.build import conclude
    from pointsman_compiler.judging import Judge, site_id

    opened = open_tree(root, [site])
    judge = Judge(opened.tree, at)
    judged = next(judge.judge(file) for file in opened.files if site_id(file) == site)
    if judged.resolved is None:
        verdict = conclude(opened.tree, judge.fleet, opened.names, [judged.report], [site])
        click.echo(text_report(opened.tree, verdict.problems, sys.stderr), nl=False, err=True)
        raise Failure(f"{site} does not compile, so nothing can be explained", "mend the errors above")
    return judged.resolved
