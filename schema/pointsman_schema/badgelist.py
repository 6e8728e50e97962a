"""The reader of badge lists: CSV of people and spreadsheets → entries, or faults with line and column.

The compiler reads the lists in git with it, the agent those that are secrets. RFC 4180 with three liberties that
spreadsheets take: the delimiter is the first of `,` `;` tab in the header, a byte order mark may stand in front, and
blanks around an unquoted field do not count.

Faults never quote what stands in a row: a list may be secret, and faults end up in logs.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Final

LARGEST_BYTES: Final = 16 * 1024 * 1024
FAULTS_AT_MOST: Final = 50
"""A list of the wrong kind has a fault in every line; the first ones tell as much as all."""

FIELDS_AT_MOST: Final = 100
COLUMNS: Final = ("badge", "groups", "type", "authorized", "vip", "until", "comment")
# IdTokenEnumType of OCPP 2.0.1, part 2, without NoAuthorization, which has no number.
TOKEN_TYPES: Final = ("Central", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "eMAID")
DEFAULT_TOKEN_TYPE: Final = "ISO14443"
LONGEST_BADGE: Final = 36
"""idToken of OCPP 2.0.1 is identifierString[36]; 1.6 takes 20, which only the site's rules can judge."""

_BADGE = re.compile(r"[!-~](?:[ -~]{0,34}[!-~])?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class BadgeEntry:
    """A badge of a list: `badge` as written, `folded` as compared, the rest with defaults filled in.

    `groups` is empty where the list names none; `until` is the last day of validity, `YYYY-MM-DD`.
    """

    line: int
    badge: str
    folded: str
    groups: tuple[str, ...]
    type: str
    authorized: bool
    vip: bool
    until: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class BadgeFault:
    """What is wrong in a list; line and column count from 1."""

    line: int
    column: int
    message: str
    help: str


@dataclass(frozen=True, slots=True)
class BadgeList:
    """What a list says; the entries count only where there is no fault."""

    entries: tuple[BadgeEntry, ...]
    faults: tuple[BadgeFault, ...]


def fold_badge(badge: str) -> str:
    """Return `badge` as it is compared: ASCII letters in lower case (CiString and IdToken ignore case)."""
    return badge.translate(_UPPER)


def is_badge(text: str) -> bool:
    """Return whether `text` may be a badge's number: 1 to 36 printable ASCII characters, no blank at an end."""
    return _BADGE.match(text) is not None


def is_day(text: str) -> bool:
    """Return whether `text` is a day of the calendar as `YYYY-MM-DD`."""
    if not _DATE.match(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def read_badge_list(data: bytes) -> BadgeList:
    """Return what the CSV file `data` says, entries in its order; faults are sorted by line and column."""
    text = _decode(data)
    if isinstance(text, BadgeFault):
        return BadgeList((), (text,))
    reading = _Reading(text)
    reading.read()
    return BadgeList(
        tuple(reading.entries), tuple(sorted(reading.faults, key=lambda fault: (fault.line, fault.column)))
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    line: int
    column: int


class _Unreadable(Exception):
    """The quotes of the rest make no sense, so no line after it has a meaning."""

    def __init__(self, fault: BadgeFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class _Reading:
    """Reads row after row; gathers entries and faults."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._columns: list[str] = []
        self._lines: dict[str, int] = {}
        self.entries: list[BadgeEntry] = []
        self.faults: list[BadgeFault] = []

    def read(self) -> None:
        try:
            for number, row in enumerate(_rows(self._text)):
                if number == 0:
                    self._read_header(row)
                else:
                    self._read_row(row)
                if not self._columns or len(self.faults) >= FAULTS_AT_MOST:
                    return
        except _Unreadable as error:
            self.faults.append(error.fault)
        if not self._columns and not self.faults:
            self.faults.append(BadgeFault(1, 1, "the list is empty", "write a header: badge,groups,authorized"))

    def _read_header(self, row: Sequence[_Cell]) -> None:
        if not any(cell.text in COLUMNS for cell in row):
            help = f"begin with a header that names the columns: {', '.join(COLUMNS)}"
            self._fault(row[0], "the first line is no header", help)
            return
        for position, cell in enumerate(row):
            if cell.text not in COLUMNS:
                self._fault(cell, f"`{cell.text[:40]}` is no column", _columns_help(cell.text[:40]))
            elif cell.text in [other.text for other in row[:position]]:
                self._fault(cell, f"the column `{cell.text}` stands twice", "keep one of the two")
        if "badge" not in [cell.text for cell in row]:
            self._fault(row[0], "there is no column `badge`", "begin with a header: badge,groups,authorized")
        if not self.faults:
            self._columns = [cell.text for cell in row]

    def _read_row(self, row: Sequence[_Cell]) -> None:
        if len(row) != len(self._columns):
            message = f"this line has {len(row)} fields, the header {len(self._columns)}"
            self._fault(row[0], message, "add or remove delimiters; a field that holds one is written in quotes")
            return
        cells = dict(zip(self._columns, row, strict=True))
        found = len(self.faults)
        for cell in row:
            if _CONTROL.search(cell.text):
                self._fault(cell, "a control character stands in this field", "delete it, or the line break in it")
        entry = self._entry(cells)
        if len(self.faults) == found and self._is_first(entry, cells["badge"]):
            self.entries.append(entry)

    def _entry(self, cells: dict[str, _Cell]) -> BadgeEntry:
        badge = cells["badge"]
        if not is_badge(badge.text):
            message = "this is no badge's number" if badge.text else "the badge is missing"
            self._fault(badge, message, f"1 to {LONGEST_BADGE} printable ASCII characters")
        return BadgeEntry(
            line=badge.line,
            badge=badge.text,
            folded=fold_badge(badge.text),
            groups=self._groups(cells.get("groups")),
            type=self._type(cells.get("type")),
            authorized=self._flag(cells.get("authorized")),
            vip=self._flag(cells.get("vip")),
            until=self._until(cells.get("until")),
            comment=cells["comment"].text if "comment" in cells else "",
        )

    def _is_first(self, entry: BadgeEntry, cell: _Cell) -> bool:
        first = self._lines.setdefault(entry.folded, entry.line)
        if first != entry.line:
            self._fault(cell, f"this badge stands in line {first} already", "keep one of the two lines")
        return first == entry.line

    def _groups(self, cell: _Cell | None) -> tuple[str, ...]:
        if cell is None or not cell.text:
            return ()
        names = tuple(name.strip() for name in cell.text.split("|"))
        if "" in names:
            self._fault(cell, "a group's name is missing", "part groups by one |, as in staff|visitors")
        elif len(set(names)) != len(names):
            self._fault(cell, "a group stands twice", "name each group once")
        return names

    def _type(self, cell: _Cell | None) -> str:
        if cell is None or not cell.text:
            return DEFAULT_TOKEN_TYPE
        if cell.text not in TOKEN_TYPES:
            self._fault(cell, "this is no token type", f"possible are {', '.join(TOKEN_TYPES)}; empty means ISO14443")
        return cell.text

    def _flag(self, cell: _Cell | None) -> bool:
        text = cell.text.lower() if cell else ""
        if cell and text not in ("", "true", "false"):
            self._fault(cell, "this is neither true nor false", "write true or false; empty means false")
        return text == "true"

    def _until(self, cell: _Cell | None) -> str | None:
        if cell is None or not cell.text:
            return None
        if not is_day(cell.text):
            self._fault(cell, "this is no day", "write the last day of validity as 2027-01-31")
        return cell.text

    def _fault(self, cell: _Cell, message: str, help: str) -> None:
        self.faults.append(BadgeFault(cell.line, cell.column, message, help))


def _decode(data: bytes) -> str | BadgeFault:
    if len(data) > LARGEST_BYTES:
        return BadgeFault(1, 1, f"the list has {len(data)} bytes, more than 16 MiB", "split it into several files")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = 1 + before.count("\n"), len(before) - before.rfind("\n")
        help = 'save it as "CSV UTF-8"'
        return BadgeFault(line, column, f"the list is not UTF-8: byte 0x{error.object[error.start]:02X}", help)


def _rows(text: str) -> Iterator[list[_Cell]]:
    """Yield the rows that are not blank. Raises _Unreadable."""
    delimiter = re.escape(_delimiter(text))
    field = re.compile(rf'[ ]*"([^"]*(?:""[^"]*)*)"[ ]*|([^"\r\n{delimiter}]*)')
    offset, line, line_start = 0, 1, 0
    row: list[_Cell] = []
    while offset < len(text):
        match = field.match(text, offset)
        assert match is not None  # the second alternative matches the empty text
        quoted, plain = match.groups()
        column = offset - line_start + 1
        row.append(_Cell(plain.strip() if quoted is None else quoted.replace('""', '"'), line, column))
        if quoted and "\n" in quoted:
            line += quoted.count("\n")
            line_start = text.rindex("\n", offset, match.end()) + 1
        offset = match.end()
        ended = _LINE_END.match(text, offset)
        if len(row) > FIELDS_AT_MOST:
            raise _Unreadable(BadgeFault(line, 1, f"this line has more than {FIELDS_AT_MOST} fields", "is it CSV?"))
        if ended:
            if len(row) > 1 or row[0].text or quoted is not None:
                yield row
            row, offset, line, line_start = [], ended.end(), line + 1, ended.end()
        elif text[offset] == '"':
            raise _Unreadable(_stray_quote(line, offset - line_start + 1))
        else:
            offset += 1  # the delimiter
            if offset == len(text):
                row.append(_Cell("", line, offset - line_start + 1))
    if row:
        yield row


_LINE_END = re.compile(r"\r\n|\n|\r|\Z")


def _delimiter(text: str) -> str:
    header = text.lstrip("\r\n")
    header = header[: match.start()] if (match := _LINE_END.search(header)) else header
    return next((character for character in header if character in ",;\t"), ",")


def _stray_quote(line: int, column: int) -> BadgeFault:
    help = 'put the whole field in quotes and write each quote in it twice: "say ""hello"""'
    return BadgeFault(line, column, "a quote stands here that neither opens nor closes a field", help)


def _columns_help(name: str) -> str:
    found = get_close_matches(name.lower(), COLUMNS, n=1)
    listed = ", ".join(COLUMNS)
    return f"did you mean `{found[0]}`? Possible are {listed}" if found else f"possible are {listed}"
