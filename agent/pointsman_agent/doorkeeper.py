"""How long a failed authentication waits for its answer, and which are worth a log line (rule 2). Pure.

Failures are delayed by address and never block one: behind a router many stations share an address, and an identity
can be anybody's claim.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 4.0
FORGOTTEN_AFTER_S: Final = 60.0  # without another failure
ADDRESSES_KEPT: Final = 1024
MOST_WAITING: Final = 64  # delayed answers at once: a quarter of the handshakes that a listener has in flight
TOLD_A_MINUTE: Final = 10  # by address; the rest is counted


class _Failures:
    __slots__ = ("last", "silent", "times", "told", "told_since")

    def __init__(self, now: float) -> None:
        self.times = 0
        self.last = now
        self.told = 0
        self.told_since = now
        self.silent = 0


class Doorkeeper:
    """Remembers who failed lately, for the last addresses that did."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._waiting = 0

    def delay(self, address: str, now: float) -> float:
        """Note a failure from `address`; return for how many seconds its answer waits: none for the first."""
        failures = self._failures.get(address)
        if failures is None or now - failures.last > FORGOTTEN_AFTER_S:
            failures = self._failures[address] = _Failures(now)
        self._failures.move_to_end(address)
        if len(self._failures) > ADDRESSES_KEPT:
            self._failures.popitem(last=False)
        failures.times += 1
        failures.last = now
        if failures.times == 1:
            return 0.0
        doublings = min(failures.times - 2, 8)
        return float(min(FIRST_DELAY_S * 2**doublings, LONGEST_DELAY_S))

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Count an answer that is delayed; False when too many are, and this one should not be."""
        self._waiting += 1
        try:
            yield self._waiting <= MOST_WAITING
        finally:
            self._waiting -= 1

    def is_told(self, address: str, now: float) -> int | None:
        """Return how many failures were kept silent since the last that was told; None: this one is silent too."""
        failures = self._failures[address]
        if now - failures.told_since > FORGOTTEN_AFTER_S:
            failures.told, failures.told_since = 0, now
        if failures.told >= TOLD_A_MINUTE:
            failures.silent += 1
            return None
        failures.told += 1
        silent, failures.silent = failures.silent, 0
        return silent
