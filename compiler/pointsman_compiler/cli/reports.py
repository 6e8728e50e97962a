"""Problems as people and pipelines want them."""

import os
import shutil
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pointsman_compiler.build import Verdict
    from pointsman_compiler.sources import SourceTree

WIDEST_REPORT: Final = 100
"""Columns; lines that are longer are hard to read on any terminal."""


def text_report(tree: "SourceTree", verdict: "Verdict", stream: IO[str]) -> str:
    """Return the problems as text, as wide and as colourful as `stream` allows."""
    from pointsman_compiler.report.text import render_text

    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST_REPORT)
    colour = stream.isatty() and "NO_COLOR" not in os.environ
    return render_text(verdict.problems, _text_of(tree), width=width, colour=colour)


def _text_of(tree: "SourceTree") -> Callable[[str], str | None]:
    from pointsman_compiler.sources import SourceError

    def text(file: str) -> str | None:
        try:
            return tree.read(file).decode("utf-8-sig", errors="replace")
        except SourceError:
            return None

    return text
