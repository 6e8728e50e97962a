"""Problems as text for a terminal: place, message, the line with a caret under it, and the remedy.

lyon.yaml:4:9: error[PM205] `pingInterval` is 61, but a whole number from 1 to 60 is expected
  4 | pingInterval: 61
    |               ^^
  help: write 15, for example: seconds between WebSocket pings to this supervision

A secret that stands in a line is never shown.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pointsman_compiler.problems import Place, Problem, sort_problems
from pointsman_compiler.report.snippets import Snippets, visible

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
    ordered = sort_problems(problems)
    snippets = Snippets(texts, ordered, width)
    blocks = ["\n".join(_block(problem, snippets, colour)) for problem in ordered]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _block(problem: Problem, snippets: Snippets, colour: bool) -> Iterator[str]:
    paint = _SEVERITY_COLOUR[problem.severity]
    tag = _painted(f"{problem.severity}[{problem.code}]", paint, colour)
    place = _painted(_position(problem.place), _BOLD, colour)
    yield from _wrapped(f"{place}: {tag} ", problem.message, snippets.width, hanging="  ")
    yield from _snippet(snippets, problem.place, paint, colour)
    for related in problem.related:
        yield from _wrapped(f"  {_position(related.place)}: ", related.message, snippets.width, hanging="    ")
        yield from _snippet(snippets, related.place, _BLUE, colour)
    if problem.help:
        yield from _wrapped(f"  {_painted('help:', _BOLD, colour)} ", problem.help, snippets.width, hanging="    ")


def _snippet(snippets: Snippets, place: Place, paint: str, colour: bool) -> Iterator[str]:
    found = snippets.lines(place)
    if found is not None:
        shown, start, end = found
        number = str(place.line)
        yield f"  {number} | {shown}"
        yield f"  {' ' * len(number)} | {' ' * start}{_painted('^' * max(1, end - start), paint, colour)}"


def _wrapped(head: str, text: str, width: int, *, hanging: str) -> Iterator[str]:
    words = visible(text)
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
    return f"{visible(place.file)}:{place.line}:{place.column}"
