"""The golden corpus: a folder a case, with `sites/`, what the compiler says of it, and sometimes `grown.json`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pointsman_compiler.sources import SourceTree

GROWN: Final = "grown.json"
"""Files that are too large for a repository, an object of name → bytes: each is filled up with the letter x."""


def case_tree(case: Path) -> SourceTree:
    """Return the tree of `case`."""
    return SourceTree(case / "sites", dict(_grown(case)))


def _grown(case: Path) -> Iterator[tuple[str, bytes]]:
    recipe = case / GROWN
    sizes: dict[str, int] = json.loads(recipe.read_text()) if recipe.exists() else {}
    for name, size in sizes.items():
        yield name, (case / "sites" / name).read_bytes().rstrip(b"\n").ljust(size, b"x")
