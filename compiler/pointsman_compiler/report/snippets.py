"""The lines that problems stand in: cut to the width, without secrets, and where in them the words stand."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from pointsman_compiler.problems import Place, Problem
from pointsman_compiler.secrecy import MASK, secret_spans
from pointsman_compiler.yamlsubset.text import LINE_BREAK

NARROWEST: Final = 40
"""Columns; below it, snippets say nothing any more."""
LONGEST_LINE: Final = 10_000
"""Characters; a longer line was written by no person, and is shown to none."""
_BEFORE_CARET: Final = 20
"""Columns of a long line that stay visible left of the caret."""
SECRET_CODES: Final = frozenset({"PM360", "PM361"})
"""Problems whose place is a secret, or may be one: none of it is shown, by whatever problem."""

Spans = list[tuple[int, int]]
"""Stretches of a line, as offsets."""


class Snippets:
    """The lines of the files that problems stand in, cut to `width` columns, their secrets hidden."""

    def __init__(self, texts: Callable[[str], str | None], problems: Iterable[Problem], width: int) -> None:
        self.width = max(width, NARROWEST)
        self._texts = texts
        self._lines: dict[str, list[str]] = {}
        self._prepared: dict[tuple[str, int], tuple[str, Spans] | None] = {}
        self._secrets: dict[tuple[str, int], list[Place]] = defaultdict(list)
        for place in (problem.place for problem in problems if problem.code in SECRET_CODES):
            for line in range(place.line, place.end_line + 1):
                self._secrets[place.file, line].append(place)

    def lines(self, place: Place) -> tuple[str, int, int] | None:
        """Return the line of `place` as it is shown, and the columns (from 0) where the place begins and ends in it.

        None where there is no such line, or nothing to show in it.
        """
        prepared = self._line(place.file, place.line)
        if prepared is None:
            return None
        line, secrets = prepared
        start = min(place.column - 1, len(line))
        end = place.end_column - 1 if place.end_line == place.line else len(line.rstrip())
        shown, start, end = _hidden(line, start, max(start, end), secrets)
        room = self.width - len(str(place.line)) - len("   | ")
        shown, start, end = _cut_round(shown, start, end, room)
        return shown, columns(shown[:start]), columns(shown[:end])

    def _line(self, file: str, number: int) -> tuple[str, Spans] | None:
        """The line as a terminal may show it, and where secrets stand in it."""
        key = file, number
        if key not in self._prepared:
            if file not in self._lines:
                self._lines[file] = LINE_BREAK.split(self._texts(file) or "")
            lines = self._lines[file]
            line = lines[number - 1] if number <= len(lines) else ""
            is_shown = line.strip() and len(line) <= LONGEST_LINE
            self._prepared[key] = (visible(line), self._secret_spans(key, line)) if is_shown else None
        return self._prepared[key]

    def _secret_spans(self, key: tuple[str, int], line: str) -> Spans:
        spans = secret_spans(line)
        for place in self._secrets[key]:
            start = place.column - 1 if key[1] == place.line else len(line) - len(line.lstrip())
            spans.append((start, place.end_column - 1 if key[1] == place.end_line else len(line)))
        return spans


def columns(text: str) -> int:
    """Columns of a terminal that `text` takes (UAX #11: wide characters take two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def visible(line: str) -> str:
    """`line` with what a terminal would obey instead of show replaced: a file must not control the terminal."""
    return "".join(
        character if character.isprintable() else " " if character == "\t" else "\ufffd" for character in line
    )


def _hidden(line: str, start: int, end: int, spans: Spans) -> tuple[str, int, int]:
    """Return `line` with each of `spans` masked, and where `start` and `end` are then."""
    if not spans:
        return line, start, min(end, len(line))
    shown: list[str] = []
    at: list[int] = []
    """For each offset of `line`, where it is shown."""
    length = 0
    for offset, character in enumerate(line):
        at.append(length)
        covering = [span for span in spans if span[0] <= offset < span[1]]
        piece = character if not covering else MASK if offset == min(first for first, _ in covering) else ""
        shown.append(piece)
        length += len(piece)
    at += [length, length]
    return "".join(shown), at[min(start, len(line))], at[min(end, len(line))]


def _cut_round(line: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """Return a part of `line` that fits into `room` columns, and where in it `start` and `end` are."""
    left = 0
    if columns(line) > room and columns(line[:start]) > room // 2:
        left = max(0, start - min(_BEFORE_CARET, room // 2))
    prefix = "…" if left else ""
    shown = prefix + line[left:]
    start, end = start - left + len(prefix), max(end, start) - left + len(prefix)
    if columns(shown) > room:
        shown = _first_columns(shown, room - 1) + "…"
    return shown, min(start, len(shown)), min(end, len(shown))


def _first_columns(text: str, room: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += columns(character)
        if used > room:
            return text[:position]
    return text
