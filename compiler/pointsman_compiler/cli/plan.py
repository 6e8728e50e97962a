"""`plan`: what a change does to which station, in any form that a reviewer or a pipeline wants."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.confined import confinable
from pointsman_compiler.cli.outcome import ANSWER_IS_NO, CHANGES, FileFailure, file_failures, source_failures
from pointsman_compiler.cli.progress import with_progress
from pointsman_compiler.cli.reports import from_repository, is_colourful, text_report, width
from pointsman_compiler.cli.sides import acknowledged, side

if TYPE_CHECKING:
    from pointsman_compiler.comparison import Compared
    from pointsman_compiler.plan.fleetplan import Plan
    from pointsman_compiler.planning import Wish
    from pointsman_compiler.stores import Store

FORMATS: Final = ("text", "markdown", "html", "json", "github")
ENDINGS: Final = {".txt": "text", ".md": "markdown", ".html": "html", ".json": "json"}


@click.command(epilog="Example: pointsman plan main HEAD --root sites --format markdown")
@click.argument("before", metavar="BASE")
@click.argument("after", metavar="HEAD")
@click.option(
    "--root", metavar="PATH", type=click.Path(path_type=Path), help="BASE and HEAD are git revisions of this folder."
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="Form of the plan.")
@click.option(
    "--write",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Write it there too; .md, .html, .json or .txt says in which form (repeatable).",
)
@options.sites
@click.option(
    "--acknowledge", "given", metavar="LABEL", multiple=True, help="As the trailer in a commit does (repeatable)."
)
@click.option("--show-badges", is_flag=True, help="The numbers of badges too.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 5 when something changes.")
@options.at
@options.jobs
@confinable
def plan(
    before: str,
    after: str,
    root: Path | None,
    form: str,
    files: tuple[Path, ...],
    sites: tuple[str, ...],
    given: tuple[str, ...],
    show_badges: bool,
    detailed_exitcode: bool,
    at: datetime,
    jobs: int | None,
) -> None:
    """Tell what changes from BASE to HEAD: which stations drop, whose they are then, what is less protected.

    BASE and HEAD are two folders, or two revisions of the folder --root (default: sites), which are read without a
    checkout; where --root is not given, a folder of that name goes before a revision. Problems of BASE never fail.
    Where the policy in fleet.yaml wants labels acknowledged, a trailer in a commit from BASE to HEAD does it, such as
    `Acknowledge: risk/reconnect`.
    """
    from pointsman_compiler.crew import cores
    from pointsman_compiler.planning import Wish
    from pointsman_compiler.sources import SourceTree
    from pointsman_compiler.writing import named

    forms = [_form_of(file) for file in files]
    stores = side(before, root), side(after, root)
    wish = Wish(
        at,
        sites,
        acknowledged(*stores, given),
        jobs or cores(),
        locks_all="json" in (form, *forms),
        show_badges=show_badges,
    )
    made = _planned(stores, (before, after), wish)
    if made.problems:
        tree = SourceTree(stores[1]) if show_badges else None
        click.echo(text_report(tree, made.problems, sys.stderr), nl=False, err=True)
    for file, written in zip(files, forms, strict=True):
        with file_failures(), named(file):
            file.write_text(_rendered(made, written, stores[1], width=80, colour=False), encoding="utf-8")
    click.echo(_rendered(made, form, stores[1], width=width(), colour=is_colourful(sys.stdout)), nl=False)
    if not made.is_admitted:
        sys.exit(ANSWER_IS_NO)
    if detailed_exitcode and made.risks != ("risk/none",):
        sys.exit(CHANGES)


def _form_of(file: Path) -> str:
    if file.suffix not in ENDINGS:
        raise click.UsageError(f"{file}: a plan is written to a file that ends with {', '.join(ENDINGS)}")
    return ENDINGS[file.suffix]


def _planned(stores: "tuple[Store, Store]", names: tuple[str, str], wish: "Wish") -> "Plan":
    from concurrent.futures import BrokenExecutor

    from pointsman_compiler.planning import UnknownSite, make_plan
    from pointsman_compiler.wording import nearest

    try:
        with source_failures():
            return make_plan(*stores, names, wish, _watched)
    except UnknownSite as error:
        raise click.UsageError(f"neither side has a site {error.site}{nearest(error.site, error.known)}") from error
    except BrokenExecutor as error:
        raise FileFailure("a process of the compiler was killed", "is memory short? Try --jobs 1") from error


def _watched(results: "Iterable[Compared]", total: int) -> "Iterator[Compared]":
    return with_progress(results, total, "sites")


def _rendered(plan: "Plan", form: str, after: "Store", *, width: int, colour: bool) -> str:
    match form:
        case "json":
            from pointsman_schema.timezones import tzdata_version

            from pointsman_compiler.lock import compiler_version
            from pointsman_compiler.report.plan.json import render_json

            return render_json(plan, compiler=compiler_version(), tzdata=tzdata_version())
        case "markdown":
            from pointsman_compiler.report.plan.markdown import render_markdown

            return render_markdown(plan)
        case "html":
            from pointsman_compiler.report.plan.html import render_html

            return render_html(plan)
        case "github":
            from pointsman_compiler.report.plan.github import render_github

            return render_github(plan, root=_root(after))
        case _:
            from pointsman_compiler.report.plan.text import render_text

            return render_text(plan, width=width, colour=colour)


def _root(store: "Store") -> str:
    """The sites folder from the root of its repository."""
    from pointsman_compiler.stores.commit import Commit

    return store.path if isinstance(store, Commit) else from_repository(store.root)
