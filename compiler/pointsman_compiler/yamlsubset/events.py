"""libyaml's events of a text, one after the other, with positions that count from 1."""

from collections.abc import Iterator

from yaml import CSafeLoader
from yaml.events import Event

Position = tuple[int, int]
"""Line and column, both from 1, in characters."""


def parse_events(text: str) -> Iterator[Event]:
    """Yield the events of `text`; raises yaml.YAMLError where it is not YAML."""
    parser = CSafeLoader(text)  # as a parser only: its composer recurses, and crashes the process on deep nesting
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def start_of(event: Event) -> Position:
    """Return where `event` begins."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def end_of(event: Event) -> Position:
    """Return the position after the last character of `event`."""
    mark = event.end_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
