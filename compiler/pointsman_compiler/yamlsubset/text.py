"""Bytes → text that is fit to be parsed: size, encoding, characters that hide, tabs as indent."""

import codecs
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator

from pointsman_compiler.problems import Place, Problem, until_too_many

LARGEST_FILE_BYTES = 4 * 1024 * 1024
FAULTS_AT_MOST = 50
"""Faults of one file as YAML that are shown; who has more of them has one problem, not fifty."""

LINE_BREAK = re.compile(r"\r\n|\n|\r")

# Trojan Source (CVE-2021-42574): what a reviewer sees is not what is read.
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# All that YAML 1.2 section 5.1 leaves out, and the three breaks (NEL, LS, PS) that YAML 1.1 counts as line ends.
CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
_HIDDEN = re.compile(f"[{BIDIRECTIONAL}{CONTROL}]")
_BIDIRECTIONAL = re.compile(f"[{BIDIRECTIONAL}]")
_HARMLESS = bytes(range(0x20, 0x7F)) + b"\n\r"
"""Most files hold no other bytes, and to see that takes a hundredth of the time that looking for each fault does."""
_TAB_INDENT = re.compile(r"(?:(?<=[\n\r])|\A) *(\t+)(?=[^\s])")


def decode_text(file: str, raw: bytes) -> str | list[Problem]:
    """Return the text of `raw` without a byte order mark, or why it cannot be parsed."""
    if len(raw) > LARGEST_FILE_BYTES:
        return [_too_large(file, len(raw))]
    if not raw.translate(None, _HARMLESS):
        return raw.decode("ascii")
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        return [_not_utf8(file, error)]
    if not _HIDDEN.search(text) and ("\t" not in text or not _TAB_INDENT.search(text)):
        return text
    places = Lines(file, text)
    problems = [
        *until_too_many(_hidden_characters(places), FAULTS_AT_MOST),
        *until_too_many(_tab_indents(places), FAULTS_AT_MOST),
    ]
    return problems or text


def find_hidden_character(text: str) -> tuple[str, str] | None:
    """Return code and description of the first character in `text` that does not show, or None."""
    found = _HIDDEN.search(text)
    return _describe(found[0]) if found else None


class Lines:
    """Where the lines of a text begin, to turn an offset into a place."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts = [0, *(match.end() for match in LINE_BREAK.finditer(text))]

    def place(self, start: int, end: int) -> Place:
        """Return the place from offset `start` to `end`, both in characters."""
        line, column = self._position(start)
        end_line, end_column = self._position(end)
        return Place(self.file, line, column, end_line, end_column)

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def _hidden_characters(lines: Lines) -> Iterator[Problem]:
    for match in _HIDDEN.finditer(lines.text):
        code, what = _describe(match[0])
        help = "delete it; an editor that shows invisible characters finds it at this column"
        yield Problem(code, "error", f"{what} stands here and does not show", help, lines.place(*match.span()), "")


def _describe(character: str) -> tuple[str, str]:
    named = f"the character U+{ord(character):04X} ({unicodedata.name(character, 'control character')})"
    if _BIDIRECTIONAL.match(character):
        return "PM115", f"{named}, which changes the direction of the text that follows,"
    return "PM116", named


def _tab_indents(lines: Lines) -> Iterator[Problem]:
    for match in _TAB_INDENT.finditer(lines.text):
        yield Problem(
            "PM114",
            "error",
            "a tab indents this line; YAML indents with spaces only",
            "replace the tab by spaces, two a level",
            lines.place(*match.span(1)),
            "",
        )


def _too_large(file: str, size: int) -> Problem:
    return Problem(
        "PM103",
        "error",
        f"the file has {size} bytes, more than {LARGEST_FILE_BYTES} (4 MiB)",
        "move long lists of badges into CSV files and name them under `badges`",
        Place(file, 1, 1, 1, 1),
        "",
    )


def _not_utf8(file: str, error: UnicodeDecodeError) -> Problem:
    before = Lines(file, error.object[: error.start].decode())  # what stands before the fault is good
    end = len(before.text)
    return Problem(
        "PM102",
        "error",
        f"the file is not UTF-8: the byte 0x{error.object[error.start]:02X} stands where none may",
        "save the file as UTF-8",
        before.place(end, end),
        "",
    )
