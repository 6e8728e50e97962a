"""Sites folders as commands name them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_compiler.cli.outcome import source_failures
from pointsman_compiler.wording import nearest

if TYPE_CHECKING:
    from pointsman_compiler.build import CheckResult
    from pointsman_compiler.sources import SourceTree


def checked(root: Path, sites: Sequence[str], at: datetime) -> "tuple[SourceTree, CheckResult]":
    """Return the tree at `root` and what a check of it (or of `sites`) finds."""
    from pointsman_compiler.build import check as check_tree
    from pointsman_compiler.judging import site_id
    from pointsman_compiler.sources import SourceTree

    tree = SourceTree(root)
    with source_failures():
        known = {site_id(file) for file in tree.site_files()[0]}
    for site in sites:
        if site not in known:
            raise click.UsageError(f"there is no site {site} below {root}{nearest(site, known)}")
    return tree, check_tree(tree, at, sites or None)
