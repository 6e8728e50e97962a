"""Where each value of a compiled site comes from: configuration → value, file and line, layer. Pure.

A list is one value: its items are sorted and merged when compiled, so that they have no places of their own. A path is
written as a JSON pointer (`/stations/LYO-01/pingInterval`) or with dots (`stations.LYO-01.pingInterval`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from pointsman_compiler.document import Path
from pointsman_compiler.layers import Layer
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.resolve import ResolvedSite

BADGES: Final = "badges"
WIDTH: Final = 80
"""Columns of the text form."""
NEAR_AT_MOST: Final = 3


class UnknownPath(LookupError):
    """A path that leads to nothing; `near` are the ones that were perhaps meant, as JSON pointers."""

    def __init__(self, path: str, near: list[str]) -> None:
        super().__init__(path)
        self.near = near


@dataclass(frozen=True, slots=True)
class Explained:
    """A compiled value and where it was written: `file` (relative to the root) and `line` are None for a built-in."""

    path: Path
    value: Any
    layer: Layer
    file: str | None
    line: int | None


def explain(site: ResolvedSite, path: str = "") -> list[Explained]:
    """Return every value at or below `path`, in the order of the paths; raises UnknownPath."""
    config = msgspec.to_builtins(site.config)
    start = _steps(config, path)
    return [_explained(site, steps, value) for steps, value in _leaves(_value_at(config, start), start)]


def render_text(values: list[Explained], *, show_badges: bool) -> str:
    """Return two lines of at most 80 columns a value, as far as paths allow; badges are counted unless asked for."""
    shown = [one for one in values if show_badges or one.path[0] != BADGES]
    lines = [line for one in shown for line in _lines(one)]
    hidden = {one.path[:2] for one in values} - {one.path[:2] for one in shown}
    if hidden:
        lines.append(f"/{BADGES} has {len(hidden)} more; --show-badges shows them")
    return "\n".join(lines) + "\n"


def render_json(values: list[Explained], *, site: str, show_badges: bool) -> str:
    """Return one object: the site, and of each value path, value, layer, file and line."""
    plain = [
        {"path": pointer_of(one.path), "value": one.value, "layer": one.layer, "file": one.file, "line": one.line}
        for one in values
        if show_badges or one.path[0] != BADGES
    ]
    return json.dumps({"site": site, "values": plain}, indent=2, ensure_ascii=False) + "\n"


def _lines(one: Explained) -> Iterator[str]:
    head = f"{_visible(pointer_of(one.path))}  "
    value = _visible(json.dumps(one.value, ensure_ascii=False))
    if len(head) + len(value) <= WIDTH:
        yield head + value
    else:
        yield head.rstrip()
        yield "  " + _shortened(value, WIDTH - 2)
    yield f"    {_visible(one.file)}:{one.line}, {one.layer}" if one.file else f"    {one.layer}"


def _explained(site: ResolvedSite, path: Path, value: Any) -> Explained:
    origin = site.origin(path)
    place = origin.place
    return Explained(
        path, value, origin.layer, place.file if place is not None else None, place.line if place is not None else None
    )


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, in the order of keys; an empty map is a value."""
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key in sorted(value):
        yield from _leaves(value[key], (*path, key))


def _value_at(config: Any, steps: Path) -> Any:
    for step in steps:
        config = config[step]
    return config


def _steps(config: dict[str, Any], path: str) -> Path:
    """What `path` leads to; it is a pointer if it begins with a slash, as no key of a configuration does."""
    steps = _by_pointer(config, path) if path.startswith("/") else _by_dots(config, path)
    if steps is None:
        known = [pointer_of(known) for known in _paths(config, ())]
        wanted = path if path.startswith("/") else "/" + path.replace(".", "/")
        raise UnknownPath(path, get_close_matches(wanted, known, NEAR_AT_MOST))
    return steps


def _by_pointer(config: Any, path: str) -> Path | None:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    for step in steps:
        if not isinstance(config, dict) or step not in config:
            return None
        config = config[step]
    return tuple(steps)


def _by_dots(config: Any, path: str) -> Path | None:
    """Keys hold dots too (`TxCtrlr.EVConnectionTimeOut`), so every key that begins the rest is tried."""
    if not path:
        return ()
    for key in sorted(config) if isinstance(config, dict) else ():
        if path == key:
            return (key,)
        if path.startswith(f"{key}.") and (rest := _by_dots(config[key], path[len(key) + 1 :])) is not None:
            return (key, *rest)
    return None


def _paths(value: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else ():
        yield from _paths(value[key], (*path, key))


def _shortened(text: str, at_most: int) -> str:
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def _visible(text: str) -> str:
    """A file's text must not control the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
