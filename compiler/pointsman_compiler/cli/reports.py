"""Problems as people and pipelines want them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pointsman_compiler.build import Verdict
    from pointsman_compiler.problems import Problem
    from pointsman_compiler.sources import SourceTree

FORMATS: Final = ("text", "json", "github", "gitlab", "sarif")
WIDEST_REPORT: Final = 100
"""Columns; lines that are longer are hard to read on any terminal."""


def report(form: str, tree: "SourceTree", verdict: "Verdict", stream: IO[str]) -> str:
    """Return the problems in the form of `FORMATS`; the forms of pipelines name files from the repository's root."""
    match form:
        case "json":
            from pointsman_compiler.report.json import render_json

            return render_json(verdict.problems, len(verdict.sites))
        case "github":
            from pointsman_compiler.report.github import render_github

            return render_github(verdict.problems, root=from_repository(tree.root))
        case "gitlab":
            from pointsman_compiler.report.gitlab import render_gitlab

            return render_gitlab(verdict.problems, root=from_repository(tree.root))
        case "sarif":
            from pointsman_compiler.lock import compiler_version
            from pointsman_compiler.report.sarif import render_sarif

            return render_sarif(verdict.problems, compiler_version(), root=from_repository(tree.root))
        case _:
            return text_report(tree, verdict.problems, stream)


def text_report(tree: "SourceTree | None", problems: "Iterable[Problem]", stream: IO[str]) -> str:
    """Return the problems as text, as wide and as colourful as `stream` allows; lines of files only out of a `tree`."""
    from pointsman_compiler.report.text import render_text

    return render_text(problems, _text_of(tree), width=width(), colour=is_colourful(stream))


def width() -> int:
    """Return how many columns a report has."""
    import shutil

    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST_REPORT)


def is_colourful(stream: IO[str]) -> bool:
    """Return whether colours are wanted on `stream`."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def from_repository(root: Path) -> str:
    """Return the path of `root` from the repository that it is in, or from the current folder where there is none."""
    whole = root.resolve()
    above = next((folder for folder in (whole, *whole.parents) if (folder / ".git").exists()), Path.cwd())
    return whole.relative_to(above).as_posix() if whole.is_relative_to(above) else root.as_posix()


def _text_of(tree: "SourceTree | None") -> Callable[[str], str | None]:
    from pointsman_compiler.sources import SourceError

    def text(file: str) -> str | None:
        if tree is None:
            return None
        try:
            return tree.read(file).decode("utf-8-sig", errors="replace")
        except SourceError:
            return None

    return text
