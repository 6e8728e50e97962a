"""The catalogue as a page in Markdown, with an example of each code: a real file, and what the compiler says of it.

Examples come from the golden corpus (see `corpus`), where a case has what the compiler says of it in `expected.txt`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pointsman_compiler.build import check
from pointsman_compiler.catalogue import TOPICS, Entry
from pointsman_compiler.catalogue.corpus import case_tree
from pointsman_compiler.report.text import render_text
from pointsman_compiler.sources import SourceError

AT: Final = datetime(2026, 11, 22, tzinfo=UTC)
"""The time of the examples; certificates in the corpus are made for it."""
_HEAD: Final = """\
<!-- Written by `python -m pointsman_compiler.catalogue`; edit compiler/pointsman_compiler/catalogue/ instead. -->

# Problems

Every code that `pointsman check` can report, with its cause, an example and the remedy. Codes are stable: 1xx YAML,
2xx shape, 3xx one site, 4xx the fleet, 5xx files, 6xx the rollout. An error keeps a site from being compiled, a warning
does not (`--strict` makes it so).
"""
_CODE: Final = re.compile(r" (?:error|warning) (PM[0-9]{3}) ")


def render_page(cases: Path) -> str:
    """Return the page; `cases` is the corpus."""
    examples = _examples(cases)
    sections = [_HEAD, *(_topic(title, entries, examples) for title, entries in TOPICS.items())]
    return "\n".join(sections)


def _topic(title: str, entries: tuple[Entry, ...], examples: Mapping[str, Path]) -> str:
    return f"## {title}\n\n" + "\n".join(_section(entry, examples.get(entry.code)) for entry in entries)


def _section(entry: Entry, case: Path | None) -> str:
    lines = [f"### {entry.code}: {entry.title}", "", entry.cause, "", f"**Remedy.** {entry.remedy}", ""]
    if case is not None:
        lines += ["```text", _report(entry.code, case), "```", ""]
    return "\n".join(lines)


def _report(code: str, case: Path) -> str:
    """What the compiler says of `case` under `code`: the first problem of that code only."""
    tree = case_tree(case)
    first = next(problem for problem in check(tree, AT).problems if problem.code == code)

    def text(file: str) -> str | None:
        try:
            return tree.read(file).decode("utf-8-sig", errors="replace")
        except SourceError:
            return None

    return render_text([first], text).rstrip()


def _examples(cases: Path) -> dict[str, Path]:
    """The case that shows each code best: the one with the fewest problems, then the first by name."""
    found: dict[str, list[tuple[int, str]]] = {}
    for case, codes in _codes(cases):
        for code in set(codes):
            found.setdefault(code, []).append((len(codes), case.name))
    return {code: cases / min(shown)[1] for code, shown in found.items()}


def _codes(cases: Path) -> Iterator[tuple[Path, list[str]]]:
    for expected in sorted(cases.glob("*/expected.txt")):
        yield expected.parent, _CODE.findall(expected.read_text(encoding="utf-8"))
