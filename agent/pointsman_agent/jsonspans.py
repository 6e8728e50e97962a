"""JSON text → its values with the places where they stand, so that a part can be replaced and the rest stays as it is.

Laxer than RFC 8259 where stations are: a byte order mark, raw control characters in strings. Duplicate keys are kept.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Final

import msgspec

DEEPEST: Final = 50  # OCPP nests ten levels at most

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ATOM: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


class NotJson(ValueError):
    """Text that is no JSON, or nested too deeply."""


class Node(msgspec.Struct):
    """A value at `text[start:end]`. One of `members`, `items` and `string` is set; none for numbers and words."""

    start: int
    end: int
    members: "list[tuple[str, Node]] | None" = None
    items: "list[Node] | None" = None
    string: str | None = None


def read(text: str) -> Node:
    """Return the value that `text` holds; raises NotJson."""
    node = _value(text, _skip(text, 1 if text.startswith("\ufeff") else 0), 0)
    if _skip(text, node.end) != len(text):
        raise NotJson("something stands behind the value")
    return node


def _value(text: str, at: int, depth: int) -> Node:
    if depth > DEEPEST:
        raise NotJson("nested too deeply")
    match text[at : at + 1]:
        case "{":
            return _object(text, at, depth)
        case "[":
            return _array(text, at, depth)
        case '"':
            string, end = _string(text, at)
            return Node(at, end, string=string)
    atom = _ATOM.match(text, at)
    if atom is None:
        raise NotJson(f"no value at {at}")
    return Node(at, atom.end())


def _object(text: str, at: int, depth: int) -> Node:
    members: list[tuple[str, Node]] = []
    here = _skip(text, at + 1)
    while text[here : here + 1] != "}":
        if members:
            here = _skip(text, _expect(text, here, ","))
        name, here = _string(text, here)
        here = _skip(text, _expect(text, _skip(text, here), ":"))
        value = _value(text, here, depth + 1)
        members.append((name, value))
        here = _skip(text, value.end)
    return Node(at, here + 1, members=members)


def _array(text: str, at: int, depth: int) -> Node:
    items: list[Node] = []
    here = _skip(text, at + 1)
    while text[here : here + 1] != "]":
        if items:
            here = _skip(text, _expect(text, here, ","))
        value = _value(text, here, depth + 1)
        items.append(value)
        here = _skip(text, value.end)
    return Node(at, here + 1, items=items)


def _string(text: str, at: int) -> tuple[str, int]:
    try:
        string, end = scanstring(text, _expect(text, at, '"'), False)
    except json.JSONDecodeError as error:
        raise NotJson(str(error)) from error
    return string, end


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise NotJson(f"no {character} at {at}")
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
