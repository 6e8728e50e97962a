"""Where every key and value of a text stands: the slow path, walked only once a problem has to be shown."""

from dataclasses import dataclass, field

from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from pointsman_compiler.yamlsubset.events import Position, end_of, parse_events, start_of


@dataclass(slots=True)
class Spot:
    """Where a value and its key begin and end; a list's item has no key."""

    key: tuple[Position, Position] | None
    start: Position
    end: Position
    is_mapping: bool = False
    is_flow: bool = False
    children: dict[str | int, "Spot"] = field(default_factory=dict)


def locate(text: str) -> Spot:
    """Return the root's spot; `text` must be within the subset."""
    walk = _Walk()
    for event in parse_events(text):
        if isinstance(event, NodeEvent):
            walk.enter(event)
        elif isinstance(event, CollectionEndEvent):
            walk.leave(event)
    if walk.root is None:
        raise ValueError("the text holds no document")
    return walk.root


class _Walk:
    """The open collections round the place that is being read."""

    def __init__(self) -> None:
        self.root: Spot | None = None
        self._open: list[Spot] = []
        self._key: ScalarEvent | None = None

    def enter(self, event: NodeEvent) -> None:
        inside = self._open[-1] if self._open else None
        if inside and inside.is_mapping and self._key is None and isinstance(event, ScalarEvent):
            self._key = event
            return
        spot = self._spot(event)
        if inside is None:
            self.root = spot
        elif self._key is not None:
            inside.children[self._key.value] = spot
        else:
            inside.children[len(inside.children)] = spot
        self._key = None
        if isinstance(event, CollectionStartEvent):
            self._open.append(spot)

    def leave(self, event: CollectionEndEvent) -> None:
        closed = self._open.pop()
        if closed.is_flow:
            closed.end = end_of(event)
        elif closed.children:  # libyaml ends a block where the next one begins; people end it with its last word
            closed.end = next(reversed(closed.children.values())).end

    def _spot(self, event: NodeEvent) -> Spot:
        key = (start_of(self._key), end_of(self._key)) if self._key else None
        spot = Spot(key, start_of(event), end_of(event))
        if isinstance(event, CollectionStartEvent):
            spot.is_mapping = isinstance(event, MappingStartEvent)
            spot.is_flow = bool(event.flow_style)
        return spot
