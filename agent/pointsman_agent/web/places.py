"""The places of clients on the admin interface: bounded, and never all lost to those who only hold theirs.

A client that asks for something gives its place back by itself, for every wait in an answer has a bound. One that says
nothing may stay for a while; but when all places are taken, the one that has been silent longest goes, so that nobody
locks the technician out by opening connections.
"""

import math
from typing import Final

import trio

MOST_PLACES: Final = 64
ASKS_WITHIN_S: Final = 1.0
"""From the connection on, TLS and all, or from the last answer; who takes longer only holds a place."""


class Place:
    """The place of one client, which is served within `scope`."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.silent_from = 0.0
        self.rest()

    def begin(self) -> None:
        """A request came, whole: the place is kept until it is answered."""
        self.silent_from = math.inf

    def rest(self) -> None:
        """All that was asked is answered."""
        self.silent_from = trio.current_time() + ASKS_WITHIN_S


class Places:
    """All places there are."""

    def __init__(self) -> None:
        self._taken: list[Place] = []

    def take(self) -> Place | None:
        """Return a place, if need be that of a client which only holds it; None where there is none."""
        if len(self._taken) >= MOST_PLACES:
            longest_silent = min(self._taken, key=lambda place: place.silent_from)
            if longest_silent.silent_from > trio.current_time():
                return None
            longest_silent.scope.cancel()
            self._taken.remove(longest_silent)
        place = Place()
        self._taken.append(place)
        return place

    def give_back(self, place: Place) -> None:
        """The client has gone; the place may have been given to another already."""
        if place in self._taken:
            self._taken.remove(place)
