"""YAML text without anything to object to → plain data, at little more than half the cost. `reader` reads the rest.

Most files are right, and need neither places nor a list of what is wrong. At the first thing that is not plain, this
reader gives up, and `reader` says what it is: only there is it decided what the subset refuses.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from yaml import CSafeLoader, YAMLError
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from pointsman_compiler.yamlsubset.reader import DEEPEST
from pointsman_compiler.yamlsubset.scalars import Refusal, Scalar, plain_value
from pointsman_compiler.yamlsubset.text import find_hidden_character

NextEvent = Callable[[], Event | None]

_REMEMBERED_LENGTH: Final = 64
"""Characters of a scalar that is worth remembering: words that stand in many places."""


class NotPlain(Exception):
    """Something stands in the text that needs a closer look. The text may still be right."""


def read_plain(text: str) -> Any:
    """Return what `text` says; raises NotPlain where anything in it could be refused."""
    parser = CSafeLoader(text)  # as a parser only: its composer knows YAML 1.1
    try:
        return _document(parser.get_event)
    except YAMLError as error:
        raise NotPlain from error
    finally:
        parser.dispose()


def _document(next_event: NextEvent) -> Any:
    next_event()  # the start of the stream
    start = next_event()
    if type(start) is not DocumentStartEvent or start.version or start.tags:
        raise NotPlain
    root = _value(next_event(), next_event, 0, None)
    if type(next_event()) is not DocumentEndEvent or type(next_event()) is not StreamEndEvent:
        raise NotPlain
    return root


def _value(event: Any, next_event: NextEvent, depth: int, key: str | None) -> Any:
    kind = type(event)
    if kind is ScalarEvent:
        return _scalar(event, key)
    if kind is MappingStartEvent and event.anchor is None and event.tag is None and depth < DEEPEST:
        return _mapping(next_event, depth + 1)
    if kind is SequenceStartEvent and event.anchor is None and event.tag is None and depth < DEEPEST:
        return _sequence(next_event, depth + 1)
    raise NotPlain


def _mapping(next_event: NextEvent, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while type(event := next_event()) is ScalarEvent:
        key = _scalar(event, None)
        if not isinstance(key, str) or key in found or key == "<<":
            raise NotPlain
        found[key] = _value(next_event(), next_event, depth, key)
    if type(event) is not MappingEndEvent:
        raise NotPlain
    return found


def _sequence(next_event: NextEvent, depth: int) -> list[Any]:
    found: list[Any] = []
    while type(event := next_event()) is not SequenceEndEvent:
        found.append(_value(event, next_event, depth, None))
    return found


def _scalar(event: Any, key: str | None) -> Scalar:
    if event.anchor is not None or event.tag is not None:
        raise NotPlain
    text: str = event.value
    if not event.implicit[0]:
        if not (text.isascii() and text.isprintable()) and find_hidden_character(text):
            raise NotPlain
        return text
    value = _meaning(text) if len(text) <= _REMEMBERED_LENGTH else plain_value(text)
    if isinstance(value, Refusal) and key == "until":
        value = plain_value(text, is_date_allowed=True)
    if isinstance(value, Refusal):
        raise NotPlain
    return value


@lru_cache(maxsize=4096)
def _meaning(text: str) -> Scalar | Refusal:
    return plain_value(text)
