"""YAML text → a document: plain data, with a place for every key and value (with `yamlsubset` the only PyYAML).

Reading keeps no places: most documents have no problem. The first problem walks the text a second time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from pointsman_compiler.pointer import Path, pointer_of
from pointsman_compiler.problems import Place, Problem, Related, Severity
from pointsman_compiler.yamlsubset.events import Position
from pointsman_compiler.yamlsubset.places import Spot, locate
from pointsman_compiler.yamlsubset.quick import NotPlain, read_plain
from pointsman_compiler.yamlsubset.reader import read_events
from pointsman_compiler.yamlsubset.text import LINE_BREAK, decode_text

__all__ = ["Document", "Part", "Path", "read_document"]

Part = Literal["key", "value"]

LARGEST_PLAIN: Final = 256 * 1024
"""Characters; a larger text is read once, by the strict reader: what is not plain at its end would be read twice."""


@dataclass(frozen=True)
class Document:
    """A file within the YAML subset: its name relative to the root, its text, and what it says as plain data."""

    file: str
    text: str
    data: Any

    def place_of(self, path: Path, part: Part = "value") -> Place:
        """Return where the key or the value of `path` stands.

        Where `path` does not exist it is the place of the nearest ancestor that does: of its key, or of the whole
        document's first key. An item of a list has no key and stands for itself.
        """
        spot, is_whole_path = self._spot_of(path)
        if spot.key is not None and (part == "key" or not is_whole_path):
            return self._place(*spot.key)
        if part == "key" or not is_whole_path:
            return self._head(spot)
        return self._place(spot.start, spot.end)

    def place_within(self, place: Place, part: str) -> Place:
        """Return where `part` stands within `place`, or `place` itself where it is not found in its first line."""
        line = self._lines[place.line - 1]
        end = place.end_column - 1 if place.end_line == place.line else len(line)
        found = line.find(part, place.column - 1, end)
        if found < 0:
            return place
        return Place(self.file, place.line, found + 1, place.line, found + 1 + len(part))

    def problem(
        self,
        code: str,
        message: str,
        help: str,
        path: Path,
        *,
        severity: Severity = "error",
        part: Part = "value",
        related: Iterable[Related] = (),
    ) -> Problem:
        """Return a problem at `path`."""
        place = self.place_of(path, part)
        return Problem(code, severity, message, help, place, pointer_of(path), tuple(related))

    @cached_property
    def _lines(self) -> list[str]:
        return LINE_BREAK.split(self.text)

    @cached_property
    def _root(self) -> Spot:
        return locate(self.text)

    def _spot_of(self, path: Path) -> tuple[Spot, bool]:
        spot = self._root
        for step in path:
            child = spot.children.get(step)
            if child is None:
                return spot, False
            spot = child
        return spot, True

    def _head(self, spot: Spot) -> Place:
        first = next(iter(spot.children.values()), None)
        if not spot.is_flow and first is not None and first.key is not None:
            return self._place(*first.key)
        return self._place(spot.start, spot.end)

    def _place(self, start: Position, end: Position) -> Place:
        return Place(self.file, *start, *end)


def read_document(file: str, raw: bytes) -> Document | list[Problem]:
    """Return what `raw` says, or all that is wrong with it as YAML; any bytes give the one or the other.

    `file` is the name that places carry, relative to the root.
    """
    text = decode_text(file, raw)
    if isinstance(text, list):
        return text
    if len(text) <= LARGEST_PLAIN:
        try:
            return Document(file, text, read_plain(text))
        except NotPlain:
            pass
    data, problems = read_events(file, text)
    return problems or Document(file, text, data)
