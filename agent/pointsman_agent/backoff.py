"""When a supervision that could not be reached may be tried again (rule 27). Pure: time and chance are handed in."""

from collections.abc import Callable
from typing import Final

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 15.0
LONGEST_RETRY_AFTER_S: Final = 300.0  # honoured up to here: a slip in a header should not cost a site its night


class Backoff:
    """Doubles from `first_s` to `longest_s`, jittered by up to half, so that controllers do not come back in step.

    `chance` returns a float in [0, 1).
    """

    def __init__(
        self, chance: Callable[[], float], *, first_s: float = FIRST_WAIT_S, longest_s: float = LONGEST_WAIT_S
    ) -> None:
        self._chance = chance
        self._first, self._longest = first_s, longest_s
        self._wait = first_s
        self._until: float | None = None

    def remaining(self, now: float) -> float:
        """Return for how many seconds nobody should try, 0 when one may."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def failed(self, now: float, *, retry_after: float | None = None) -> None:
        """Note a failure. Failures during the wait do not lengthen it: they began before it."""
        if self.remaining(now) > 0:
            return
        wait = self._wait * (0.5 + self._chance() / 2)
        self._until = now + max(wait, min(retry_after or 0.0, LONGEST_RETRY_AFTER_S))
        self._wait = min(self._wait * 2, self._longest)

    def succeeded(self) -> None:
        """Forget all failures."""
        self._wait = self._first
        self._until = None
