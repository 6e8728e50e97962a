"""Problems as text for a terminal: place, message, the line with a caret under it, and the remedy.

lyon.yaml:4:9: error[PM205] `pingInterval` is 61, but a whole number from 1 to 60 is expected
  4 | pingInterval: 61
    |               ^^
  help: Seconds between WebSocket pings to this supervision, 1 to 60.
"""

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pointsman_compiler.problems import Place, Problem, sort_problems
from pointsman_compiler.yamlsubset.text import LINE_BREAK

NARROWEST: Final = 40
"""Columns; below it, snippets say nothing any more."""
_BEFORE_CARET: Final = 20
"""Columns of a long line that stay visible left of the caret."""

# ECMA-48 "select graphic rendition".
_RED, _YELLOW, _BLUE, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[34m", "\x1b[1m", "\x1b[0m"
_SEVERITY_COLOUR: Final = {"error": _RED, "warning": _YELLOW}


def render_text(
    problems: Iterable[Problem], texts: Callable[[str], str | None], *, width: int = 80, colour: bool = False
) -> str:
    """Return the problems by file, line, column and code; nothing for none.

    `texts` gives a file's text, or None where there is none to show. Messages and snippets keep to `width` columns
    as far as their words allow; escape sequences stand in the result only where `colour` is asked for.
    """
    snippets = _Snippets(texts, max(width, NARROWEST))
    blocks = ["\n".join(_block(problem, snippets, colour)) for problem in sort_problems(problems)]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _block(problem: Problem, snippets: "_Snippets", colour: bool) -> Iterator[str]:
    paint = _SEVERITY_COLOUR[problem.severity]
    tag = _painted(f"{problem.severity}[{problem.code}]", paint, colour)
    place = _painted(_position(problem.place), _BOLD, colour)
    yield from _wrapped(f"{place}: {tag} ", problem.message, snippets.width, hanging="  ")
    yield from snippets.lines(problem.place, paint, colour)
    for related in problem.related:
        yield from _wrapped(f"  {_position(related.place)}: ", related.message, snippets.width, hanging="    ")
        yield from snippets.lines(related.place, _BLUE, colour)
    if problem.help:
        yield from _wrapped(f"  {_painted('help:', _BOLD, colour)} ", problem.help, snippets.width, hanging="    ")


class _Snippets:
    """The lines of the files that problems stand in, cut to the width."""

    def __init__(self, texts: Callable[[str], str | None], width: int) -> None:
        self._texts = texts
        self._lines: dict[str, list[str]] = {}
        self.width = width

    def lines(self, place: Place, paint: str, colour: bool) -> Iterator[str]:
        line = self._line(place.file, place.line)
        if line is None or not line.strip():
            return
        number = str(place.line)
        shown, start, end = _cut_round(line, place, self.width - len(number) - len("   | "))
        caret = " " * _columns(shown[:start]) + _painted("^" * max(1, _columns(shown[start:end])), paint, colour)
        yield f"  {number} | {shown}"
        yield f"  {' ' * len(number)} | {caret}"

    def _line(self, file: str, line: int) -> str | None:
        if file not in self._lines:
            self._lines[file] = LINE_BREAK.split(self._texts(file) or "")
        lines = self._lines[file]
        return _visible(lines[line - 1]) if line <= len(lines) else None


def _cut_round(line: str, place: Place, room: int) -> tuple[str, int, int]:
    """Return a part of `line` that fits into `room` columns, and where in it the place begins and ends."""
    start = min(place.column - 1, len(line))
    end = place.end_column - 1 if place.end_line == place.line else len(line.rstrip())
    left = 0
    if _columns(line) > room and _columns(line[:start]) > room // 2:
        left = max(0, start - min(_BEFORE_CARET, room // 2))
    prefix = "…" if left else ""
    shown = prefix + line[left:]
    start, end = start - left + len(prefix), min(max(end, start) - left + len(prefix), len(shown))
    if _columns(shown) > room:
        shown = _first_columns(shown, room - 1) + "…"
    return shown, start, min(end, len(shown))


def _first_columns(text: str, room: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += _columns(character)
        if used > room:
            return text[:position]
    return text


def _columns(text: str) -> int:
    """Columns of a terminal that `text` takes (UAX #11: wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _visible(line: str) -> str:
    """`line` with what a terminal would obey instead of show replaced: a file must not control the terminal."""
    return "".join(
        character if character.isprintable() else " " if character == "\t" else "\ufffd" for character in line
    )


def _wrapped(head: str, text: str, width: int, *, hanging: str) -> Iterator[str]:
    words = _visible(text)
    plain = _without_colour(head)
    # The head is measured without its escape sequences, and put in front afterwards.
    wrapped = textwrap.wrap(
        plain + words, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    joined = "\n".join(wrapped)
    whole = plain.rstrip()
    if joined.startswith(whole):
        joined = head.rstrip() + joined[len(whole) :]
    yield joined


def _without_colour(text: str) -> str:
    for sequence in (_RED, _YELLOW, _BLUE, _BOLD, _PLAIN):
        text = text.replace(sequence, "")
    return text


def _painted(text: str, paint: str, colour: bool) -> str:
    return f"{paint}{text}{_PLAIN}" if colour else text


def _position(place: Place) -> str:
    return f"{_visible(place.file)}:{place.line}:{place.column}"
