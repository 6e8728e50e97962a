"""Whether a peer still lives, decided from pings and heard bytes alone (rules 24 and 28). No clock, no I/O."""

import math
from enum import Enum, auto
from typing import Final

SILENT_INTERVALS: Final = 2
"""A station that is silent for so many ping intervals is gone (rule 28)."""


class Due(Enum):
    """What a moment asks for."""

    NOTHING = auto()
    PING = auto()
    LOST = auto()


class Liveness:
    """A ping every `interval` seconds; lost when no byte at all came within `patience` seconds of one.

    Any byte counts as life, not only the pong: libraries in the field send pongs late or never.
    """

    __slots__ = ("_next_ping", "_oldest_unheard", "interval", "patience")

    def __init__(self, *, interval: float, patience: float, now: float) -> None:
        self.interval = interval
        self.patience = patience
        self._next_ping = now + interval
        self._oldest_unheard: float | None = None

    def is_like(self, other: "Liveness | None") -> bool:
        """Whether `other` asks for the same."""
        return other is not None and (self.interval, self.patience) == (other.interval, other.patience)

    def moment(self) -> float:
        """Return when to ask `due` next."""
        if self._oldest_unheard is None:
            return self._next_ping
        return min(self._next_ping, self._oldest_unheard + self.patience)

    def due(self, now: float, *, last_heard: float) -> Due:
        """Return what `now` asks for, given when the last byte came; pings are counted as sent."""
        if self._oldest_unheard is not None and last_heard > self._oldest_unheard:
            self._oldest_unheard = None
        if self._oldest_unheard is not None and now >= self._oldest_unheard + self.patience:
            return Due.LOST
        if now < self._next_ping:
            return Due.NOTHING
        missed = math.floor((now - self._next_ping) / self.interval)  # they are not made up for
        self._next_ping += self.interval * (missed + 1)
        if self._next_ping <= now:  # the division rounded down
            self._next_ping = now + self.interval
        if self._oldest_unheard is None:
            self._oldest_unheard = now
        return Due.PING


def of_supervision(ping_interval: int, message_timeout: int, now: float) -> Liveness:
    """Return the liveness of an uplink (rule 24)."""
    return Liveness(interval=ping_interval, patience=message_timeout, now=now)


def of_station(ping_interval: int, now: float) -> Liveness:
    """Return the liveness of a station's own link (rule 28); not for an interval of 0, which means no pings."""
    return Liveness(interval=ping_interval, patience=ping_interval * (SILENT_INTERVALS - 1), now=now)
