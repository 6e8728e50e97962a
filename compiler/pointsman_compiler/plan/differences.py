"""Two configurations, as plain data → the values that differ. Maps are compared key by key, lists as a whole."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Path = tuple[str, ...]
"""Where a value stands in a configuration, in the bundle's camelCase."""

Kind = Literal["added", "removed", "changed"]


class _Absent:
    """What is at no path."""


_ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not as before; what was added or removed is whole, and None on the other side."""

    path: Path
    kind: Kind
    before: Any
    after: Any


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], without: Collection[str] = ()
) -> Iterator[Difference]:
    """Yield every difference, in the order of the paths; `without` are keys at the top that are not looked at."""
    for key in sorted({*before, *after}.difference(without)):
        yield from _between((key,), before.get(key, _ABSENT), after.get(key, _ABSENT))


def _between(path: Path, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if before is _ABSENT:
        yield Difference(path, "added", None, after)
    elif after is _ABSENT:
        yield Difference(path, "removed", before, None)
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from _between((*path, key), before.get(key, _ABSENT), after.get(key, _ABSENT))
    else:
        yield Difference(path, "changed", before, after)
