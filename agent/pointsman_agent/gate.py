"""Who may try to reach a supervision, and when: one back-off for all its stations, one for each, and a slow return.

Pure: time and chance are handed in (rule 27, and rule 25's three losses in a row). What says something of the
supervision (dns, tcp, proxy, tls, time-outs, 5xx) holds all its stations back; what says something of one station (401,
403, 404, no common subprotocol, an action that always kills the link) holds back that station.

After an outage the return is slow on purpose: each station is a client of its own in the sense of RFC 6455 section 4.1,
but a supervision that just came back should not get a thousand handshakes in one second.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from pointsman_agent.backoff import Backoff

MOST_HANDSHAKES: Final = 16  # in flight while a supervision returns
ADMITTED_PER_SECOND: Final = 20.0  # while a supervision returns
RETURN_LASTS_S: Final = 60.0  # 20 a second are 1,200 stations by then
LOSSES_IN_A_ROW: Final = 3  # of one station by the same action
ASK_AGAIN_S: Final = 1.0  # to who finds the gate busy


class Held(msgspec.Struct, frozen=True):
    """Not now: why, in words, and for how many seconds at least. `is_failing`: because tries failed, not since many
    come at once."""

    why: str
    wait_s: float
    is_failing: bool = True


class Gate:
    """The gate of one supervision. `chance` returns a float in [0, 1)."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._all = Backoff(chance)
        self._each: dict[str, Backoff] = {}
        self._losses: dict[str, tuple[str, int]] = {}
        self._is_down = False
        self._is_handshake_at_fault = False
        self._returning_until = float("-inf")
        self._turns: dict[str, float] = {}
        self._last_turn = float("-inf")
        self._in_flight = 0

    @property
    def is_down(self) -> bool:
        """Whether the last that was heard of the supervision is that it cannot be reached."""
        return self._is_down

    def next_try(self, now: float) -> float:
        """Return in how many seconds the supervision may be tried again, be it by a probe."""
        return self._all.remaining(now)

    def ask(self, station: str, now: float) -> Held | None:
        """Return why `station` has to wait; None: it may try, and `done` must be called after it."""
        if (wait := self._all.remaining(now)) > 0:
            return Held("the supervision could not be reached", wait)
        own = self._each.get(station)
        if own is not None and (wait := own.remaining(now)) > 0:
            return Held("the supervision refused this station", wait)
        if now < self._returning_until and (wait := self._turn(station, now)) > 0:
            return Held("the supervision has just returned", wait, is_failing=False)
        self._in_flight += 1
        return None

    def done(self) -> None:
        """Note that a try is over, well or not."""
        self._in_flight -= 1

    @property
    def wants_probe(self) -> bool:
        """Whether a connection without a station would tell anything: not after a failure of the handshake itself."""
        return not (self._is_down and self._is_handshake_at_fault)

    def failed(self, now: float, *, is_handshake: bool = False, retry_after: float | None = None) -> None:
        """Note that the supervision could not be reached; `is_handshake`: it was, and failed on the WebSocket."""
        self._is_down = True
        self._is_handshake_at_fault = is_handshake
        self._all.failed(now, retry_after=retry_after)

    def refused(self, station: str, now: float) -> None:
        """Note that the supervision answered, and would not have this station."""
        self.reached(now)
        self._each.setdefault(station, Backoff(self._chance)).failed(now)

    def reached(self, now: float) -> None:
        """Note that the supervision answered. After an outage its slow return begins."""
        if self._is_down:
            self._is_down = False
            self._returning_until = now + RETURN_LASTS_S
            self._turns.clear()
            self._last_turn = float("-inf")
        self._all.succeeded()

    def connected(self, station: str, now: float) -> None:
        """Note that `station` has its uplink."""
        self.reached(now)
        if self._losses.get(station, ("", 0))[1] < LOSSES_IN_A_ROW:
            self._each.pop(station, None)

    def lost(self, station: str, action: str | None, now: float) -> bool:
        """Note how a link of `station` was lost: by an unanswered `action`, or otherwise (None).

        True when the same action did it three times in a row: then the station's back-off applies.
        """
        if action is None:
            self._losses.pop(station, None)
            self._each.pop(station, None)
            return False
        last, times = self._losses.get(station, (action, 0))
        times = times + 1 if last == action else 1
        self._losses[station] = (action, times)
        if times < LOSSES_IN_A_ROW:
            return False
        self._each.setdefault(station, Backoff(self._chance)).failed(now)
        return True

    def _turn(self, station: str, now: float) -> float:
        """Return for how many seconds `station` waits for its turn in a return, 0 when it is its turn.

        Turns are given out once, in the order in which stations come, 20 a second; who asks before its turn keeps it.
        """
        turn = self._turns.get(station)
        if turn is None:
            turn = max(self._last_turn + 1 / ADMITTED_PER_SECOND, now)
            if turn > now:
                turn = max(turn, now + ASK_AGAIN_S)
            self._last_turn = turn
        if turn > now:
            self._turns[station] = turn
            return turn - now
        if self._in_flight >= MOST_HANDSHAKES:
            self._turns[station] = now
            return ASK_AGAIN_S
        self._turns.pop(station, None)
        return 0.0
