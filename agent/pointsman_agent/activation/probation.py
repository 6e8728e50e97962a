"""Whether a bundle that has just come into force stays, told from the uplinks that it changed (rule 47). Pure.

Only the stations that the change touched are counted, and only failures of their uplinks: a station that does not come
to the controller says nothing of the supervision. What counts of a station is its last try, so that one which got
through after all is none. Those that were not let try, because others had found the supervision unreachable, count as
they would have fared.

    over max(1, 10 %) of a supervision's touched stations fail      it goes back at once
    when time is up, some fail and none has ever got through        it goes back
    else, when time is up                                           it stays
"""

from collections import Counter
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Final

MOST_FAILING: Final = 1
MOST_FAILING_SHARE: Final = 0.1


class Verdict(Enum):
    """What is known by now."""

    OPEN = auto()
    PROVEN = auto()
    FAILED = auto()


class Probation:
    """The probation of a change. `touched`: stations whose uplink it changed, and to which supervision; `exempt`: the
    supervisions that could not be reached before it either. Times are seconds of one clock."""

    def __init__(self, touched: Mapping[str, str], exempt: Collection[str], *, began: float, ends: float) -> None:
        self._touched = {station: name for station, name in touched.items() if name not in exempt}
        self._sizes = Counter(self._touched.values())
        self._failing: dict[str, dict[str, str]] = {name: {} for name in self._sizes}
        self._got_through: dict[str, set[str]] = {name: set() for name in self._sizes}
        self._began = began
        self.ends = ends

    @property
    def touched(self) -> dict[str, str]:
        """The stations that are counted, and to which supervision."""
        return dict(self._touched)

    def has_got_through(self, station: str) -> bool:
        """Whether the uplink of `station` was made."""
        name = self._touched.get(station)
        return name is not None and station in self._got_through[name]

    def failed(self, station: str, supervision: str, why: str) -> None:
        """The uplink of `station` was not made; `why` begins with the reason class."""
        if self._touched.get(station) == supervision:
            self._failing[supervision][station] = why

    def succeeded(self, station: str, supervision: str) -> None:
        """The uplink of `station` was made."""
        if self._touched.get(station) == supervision:
            self._failing[supervision].pop(station, None)
            self._got_through[supervision].add(station)

    def leave_out(self, station: str) -> None:
        """A station is not touched after all: it waits for its move."""
        name = self._touched.pop(station, None)
        if name is not None:
            self._sizes[name] -= 1
            self._failing[name].pop(station, None)
            self._got_through[name].discard(station)

    def verdict(self, now: float) -> Verdict:
        """Return what is known at `now`."""
        if self._failed_supervision(now) is not None:
            return Verdict.FAILED
        return Verdict.PROVEN if now >= self.ends else Verdict.OPEN

    def reason(self, now: float) -> str:
        """Return why it failed, in words; empty where it has not."""
        name = self._failed_supervision(now)
        if name is None:
            return ""
        failing = self._failing[name]
        [(why, _)] = Counter(failing.values()).most_common(1)
        size, seconds = self._sizes[name], max(1, round(min(now, self.ends) - self._began))
        links = "uplink" if size == 1 else "uplinks"
        return f"{len(failing)} of {size} {links} to {name} failed within {seconds} s: {why}"

    def silent(self) -> list[str]:
        """Return the stations that did not come, sorted: nobody knows how they would have fared."""
        known = {station for each in (*self._failing.values(), *self._got_through.values()) for station in each}
        return sorted(station for station in self._touched if station not in known)

    def _failed_supervision(self, now: float) -> str | None:
        for name, failing in self._failing.items():
            if len(failing) > max(MOST_FAILING, MOST_FAILING_SHARE * self._sizes[name]):
                return name
            if now >= self.ends and failing and not self._got_through[name]:
                return name
        return None
