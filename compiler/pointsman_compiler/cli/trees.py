"""Sites folders as commands name them, and what runs over all of their sites."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_compiler.cli.outcome import Failure, FileFailure, source_failures
from pointsman_compiler.cli.progress import with_progress

if TYPE_CHECKING:
    from pointsman_compiler.build import Verdict
    from pointsman_compiler.press import Made, Order
    from pointsman_compiler.problems import Problem
    from pointsman_compiler.sources import SourceTree


@dataclass(frozen=True, slots=True)
class OpenTree:
    """A sites folder: the names of its sites' files, and what is wrong with names in it."""

    tree: "SourceTree"
    files: tuple[str, ...]
    names: "tuple[Problem, ...]"


def open_tree(root: Path, sites: Sequence[str] = ()) -> OpenTree:
    """Return the tree at `root`; each of `sites` must be in it."""
    from pointsman_compiler.judging import site_id
    from pointsman_compiler.sources import SourceTree
    from pointsman_compiler.wording import nearest

    tree = SourceTree(root)
    with source_failures():
        files, names = tree.site_files()
    if not files and not names:  # a pipeline that looks at the wrong folder must not stay green
        raise Failure(f"there is no site below {root}", "name the folder whose *.yaml files are sites")
    known = {site_id(file) for file in files}
    for site in sites:
        if site not in known:
            raise click.UsageError(f"there is no site {site} below {root}{nearest(site, known)}")
    return OpenTree(tree, tuple(files), tuple(names))


def survey(
    opened: OpenTree, at: datetime, sites: Sequence[str], jobs: int | None, order: "Order | None" = None
) -> "tuple[Verdict, list[Made]]":
    """Judge every site, fill the order, and return the verdict (over `sites`, if any) with the bundles' records."""
    from concurrent.futures import BrokenExecutor

    from pointsman_compiler.build import conclude
    from pointsman_compiler.crew import cores, run
    from pointsman_compiler.judging import Judge
    from pointsman_compiler.press import Survey

    recipe = Survey(opened.tree.root, at, order)
    try:
        with closing(run(recipe, opened.files, jobs or cores())) as results:
            seen = list(with_progress(results, len(opened.files), "sites"))
    except BrokenExecutor as error:
        raise FileFailure("a process of the compiler was killed", "is memory short? Try --jobs 1") from error
    fleet = Judge(opened.tree, at).fleet
    verdict = conclude(opened.tree, fleet, opened.names, [one.report for one in seen], sites or None)
    return verdict, [one.made for one in seen if one.made is not None]
