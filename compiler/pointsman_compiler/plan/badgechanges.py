"""Badges gained, lost and changed: counted, by the file that they stand in; numbers are told to whoever asks. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pointsman_schema.bundle import Badge

from pointsman_compiler.plan.causes import Cause, Side, SideName


@dataclass(frozen=True, slots=True)
class BadgeChanges:
    """What becomes of a site's badges; `before` and `after` count those that do not come as secrets.

    `causes` has, for each file in which badges are not as before, the first line where that shows. The numbers stand
    in `gained_numbers` and so on, sorted, only where they were asked for.
    """

    before: int = 0
    after: int = 0
    gained: int = 0
    lost: int = 0
    changed: int = 0
    causes: tuple[Cause, ...] = ()
    gained_numbers: tuple[str, ...] = field(default=(), repr=False)
    lost_numbers: tuple[str, ...] = field(default=(), repr=False)
    changed_numbers: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.gained or self.lost or self.changed)


def badge_changes(before: Side, after: Side, *, show_badges: bool) -> BadgeChanges:
    """Return what becomes of the badges between the two sides; `show_badges` adds their numbers."""
    old, new = before.resolved.config.badges, after.resolved.config.badges
    gained = sorted(new.keys() - old.keys())
    lost = sorted(old.keys() - new.keys())
    changed = _changed(old, new)
    places = [*_places(after, "after", [*gained, *changed]), *_places(before, "before", lost)]
    first: dict[str | None, Cause] = {}
    for cause in sorted(places, key=lambda cause: (cause.side, cause.file or "", cause.line or 0)):
        first.setdefault(cause.file, cause)
    counted = BadgeChanges(len(old), len(new), len(gained), len(lost), len(changed), tuple(first.values()))
    if not show_badges:
        return counted
    return BadgeChanges(
        *(counted.before, counted.after, counted.gained, counted.lost, counted.changed, counted.causes),
        *(tuple(gained), tuple(lost), tuple(changed)),
    )


def _changed(old: Mapping[str, Badge], new: Mapping[str, Badge]) -> list[str]:
    return sorted(number for number, badge in new.items() if number in old and old[number] != badge)


def _places(side: Side, name: SideName, numbers: list[str]) -> Iterator[Cause]:
    for number in numbers:
        origin = side.resolved.origin(("badges", number))
        place = origin.place
        yield Cause(name, origin.layer, place.file if place else None, place.line if place else None)
