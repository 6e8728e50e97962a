"""What is counted while the agent runs: plain numbers, so cheap that every message can afford them. Pure.

Who reads them reads all at once (`metrics`); who counts adds to an attribute. Nothing here is ever taken back, since
what reads them later takes a number that falls for a restart of the agent.
"""

from collections import Counter
from typing import Final

ANSWERS_FROM_S: Final = 0.001
COMMITS_FROM_S: Final = 0.000_1
_BUCKETS: Final = 64  # more than any time that is measured can reach, so that the index needs no guard


class Durations:
    """How long things took, in buckets that double: below `first_s`, below twice that, and so on; and their sum."""

    __slots__ = ("counts", "first_s", "scale", "seconds")

    def __init__(self, first_s: float) -> None:
        self.first_s = first_s
        self.scale = 1 / first_s
        self.counts = [0] * _BUCKETS
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one that took so long."""
        self.counts[int(seconds * self.scale).bit_length()] += 1
        self.seconds += seconds


class Tally:
    """The CALLs of one asking side, and what came back: `answers` are CALLRESULTs by how long their CALL had been away.

    `others` of that side are neither CALL nor answer; `results_untimed` are CALLRESULTs that came late, or unasked.
    """

    __slots__ = ("answers", "calls", "errors", "others", "results_untimed")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.others = 0
        self.results_untimed = 0
        self.answers = Durations(ANSWERS_FROM_S)

    @property
    def results(self) -> int:
        """All CALLRESULTs."""
        return sum(self.answers.counts) + self.results_untimed


class Exchanged:
    """What stations and their operator asked each other; one object an operator, for all its links."""

    __slots__ = ("station_asks", "supervision_asks")

    def __init__(self) -> None:
        self.station_asks = Tally()
        self.supervision_asks = Tally()


class Tallies:
    """All that the agent counts beside its journal; operators are those of bundles, the site itself among them."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        """Links, by operator."""
        self.ended: Counter[tuple[str, str]] = Counter()
        """Links, by operator and reason class."""
        self.refused: Counter[str] = Counter()
        """Handshakes of stations, by reason class."""
        self.dropped: Counter[str] = Counter()
        """Messages that went nowhere, by why: of stations that no bundle names any more."""
        self.noticed: Counter[str] = Counter()
        """Messages that passed and were notable, by what: as `dropped`."""
        self._exchanged: dict[str, Exchanged] = {}

    def exchanged(self, operator: str) -> Exchanged:
        """Return what is counted for an operator."""
        return self._exchanged.setdefault(operator, Exchanged())
