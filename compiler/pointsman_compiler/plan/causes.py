"""The line that made a value what it is: sought on both sides, since a value may change though its line did not. Pure.

A station gets another operator because it stands in another group's list; a URL changes because the label does that its
template names; trusted roots change with the file that holds them. So a line is a cause only where what is written
there differs from what the other side writes at the same place. Where no such line is found, it is the value's own.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from pointsman_compiler.document import Document
from pointsman_compiler.layers import Layer, Origin
from pointsman_compiler.plan.differences import Path
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.templates import is_template

SideName = Literal["before", "after"]

_FILES_AT: Final = frozenset({"trust", "chain", "stationTrust"})
"""Keys whose values are the content of files."""
_NAMES: Final = ("labels", "vars")
"""What templates may name."""
_CACHED: Final = 4096


@dataclass(frozen=True, slots=True)
class Side:
    """A site as it compiles on one side, and the fleet's file there."""

    resolved: ResolvedSite
    fleet: Document | None

    def written(self, like: Document, of: "Side", path: tuple[str | int, ...]) -> Any:
        """Return what stands at `path` in the document that plays the part here that `like` plays on the side `of`."""
        document = self.resolved.layered.document if like is of.resolved.layered.document else self.fleet
        return _at(document.data, path) if document is not None else _ABSENT


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a value was written: on which side, in which layer. `file` is None where it is built in.

    `line` is None where a file as a whole is the cause.
    """

    side: SideName
    layer: Layer
    file: str | None
    line: int | None


class Causes:
    """Finds the causes of one site's differences. `differing` are the files that differ between the sides."""

    def __init__(self, before: Side, after: Side, differing: Collection[str]) -> None:
        self._before = before
        self._after = after
        self._differing = differing
        self.of: Callable[[Path], Cause] = lru_cache(_CACHED)(self._of)

    def _of(self, path: Path) -> Cause:
        for way in (self._line, self._file, self._name):
            for candidate in _candidates(path):
                found = way(candidate)
                if found is not None:
                    return found
        own = self._own("after", path)
        return own if own.file is not None else self._own("before", path)

    def _sides(self) -> Iterator[tuple[SideName, Side, Side]]:
        yield "after", self._after, self._before
        yield "before", self._before, self._after

    def _line(self, path: Path) -> Cause | None:
        """The value's own line, where the other side writes something else there."""
        for name, side, other in self._sides():
            origin = side.resolved.origin(path)
            if origin.document is not None:
                here = _at(origin.document.data, origin.path)
                if here is not _ABSENT and here != other.written(origin.document, side, origin.path):
                    return _cause(name, origin)
        return None

    def _file(self, path: Path) -> Cause | None:
        """The file that the value is the content of."""
        if path[-1] not in _FILES_AT:
            return None
        for name, side, _ in self._sides():
            origin = side.resolved.origin(path)
            if origin.document is None:
                continue
            named = _at(origin.document.data, origin.path)
            for reference in named if isinstance(named, list) else [named]:
                file = posixpath.normpath(posixpath.join(posixpath.dirname(origin.document.file), str(reference)))
                if file in self._differing:
                    return Cause(name, origin.layer, file, None)
        return None

    def _name(self, path: Path) -> Cause | None:
        """The label or variable that the value's template names."""
        origin = self._after.resolved.origin(path)
        text = _at(origin.document.data, origin.path) if origin.document is not None else None
        if not isinstance(text, str) or not is_template(text):
            return None
        after, before = self._after.resolved.layered, self._before.resolved.layered
        for kind in _NAMES:
            for key in sorted({*after.map_at((kind,)), *before.map_at((kind,))}):
                if key in text and after.at((kind, key)) != before.at((kind, key)):
                    side: SideName = "after" if key in after.map_at((kind,)) else "before"
                    return _cause(side, (after if side == "after" else before).origin((kind, key)))
        return None

    def _own(self, name: SideName, path: Path) -> Cause:
        side = self._after if name == "after" else self._before
        return _cause(name, side.resolved.origin(path))


def _candidates(path: Path) -> tuple[Path, ...]:
    """The values that make the one at `path`, the likeliest first."""
    match path:
        case ("stations", station, "operator"):
            return ("stations", station, "group"), path
    return (path,)


def _cause(side: SideName, origin: Origin) -> Cause:
    if origin.document is not None:
        is_map = isinstance(_at(origin.document.data, origin.path), dict)
        place = origin.document.place_of(origin.path, "key" if is_map and origin.path else "value")
        return Cause(side, origin.layer, place.file, place.line)
    return Cause(side, origin.layer, origin.file, origin.line)


class _Absent:
    """What is at no path."""


_ABSENT: Final = _Absent()


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        is_there = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
        if not is_there:
            return _ABSENT
        value = value[step]
    return value
