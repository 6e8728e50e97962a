"""How often an identity was replaced: its second connection is a station that came back, or a clone (rule 7).

Pure: time is handed in. The newest authenticated connection wins, since a half-open old one would lock its own station
out for ever. Only a row of replacements from two addresses is more than a station on a bad line: two devices of one
identity evict each other in turn. Then the newest stays for a while, so that at least one of them works.
"""

from collections import deque
from enum import Enum, auto
from typing import Final

MOST_IN_A_MINUTE: Final = 3
WATCHED_S: Final = 60.0
NEWEST_STAYS_S: Final = 60.0


class Newcomer(Enum):
    """What becomes of a connection whose identity is connected already."""

    REPLACES = auto()
    IS_CLONE = auto()
    """Replaces once more, and is told of: from now on the newest stays."""
    WAITS = auto()


class Replacements:
    """The recent replacements of one identity."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, str]] = deque(maxlen=MOST_IN_A_MINUTE + 1)
        self._stays_until = float("-inf")

    def judge(self, address: str, now: float) -> Newcomer:
        """Return what becomes of a newcomer from `address`; a replacement is noted."""
        if now < self._stays_until:
            return Newcomer.WAITS
        self._recent.append((now, address))
        recent = [each for each in self._recent if now - each[0] < WATCHED_S]
        if len(recent) > MOST_IN_A_MINUTE and len({address for _, address in recent}) > 1:
            self._stays_until = now + NEWEST_STAYS_S
            return Newcomer.IS_CLONE
        return Newcomer.REPLACES
