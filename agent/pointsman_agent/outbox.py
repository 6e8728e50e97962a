"""What waits to be written to one connection: bounded, and never a reason for its reader to stand still (rule 29)."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from pointsman_agent.ports import Wire, WireLost

MOST_WAITING_CHARACTERS: Final = 1024 * 1024  # a socket (rule 29)
MOST_WAITING_IN_ALL: Final = 64 * 1024 * 1024  # the process (rule 29)


class OutputBudget:
    """What all outboxes of the process may hold together."""

    def __init__(self, most: int = MOST_WAITING_IN_ALL) -> None:
        self._most = most
        self._held = 0

    def change(self, characters: int) -> bool:
        """Note that so many more (or fewer) are held; False when that is too many."""
        self._held += characters
        return self._held <= self._most


class Outbox:
    """Texts for one wire, and at their end its close. `put` never waits; `run` writes."""

    def __init__(self, wire: Wire, budget: OutputBudget | None = None) -> None:
        self._wire = wire
        self._budget = budget or OutputBudget()
        self._texts: deque[str] = deque()
        self._characters = 0
        self._close: tuple[int, str] | None = None
        self._work = trio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether everything has been handed to the wire."""
        return not self._texts

    def put(self, text: str) -> bool:
        """Queue `text`; False when the peer is too slow to take it within the bound, or the close was asked for."""
        if self._close is not None:
            return False
        self._texts.append(text)
        is_within = self._hold(len(text))
        self._work.set()
        return is_within

    def close(self, code: int, reason: str, *, discard: bool = False) -> None:
        """Close the wire after what is queued, or at once; only the first call counts."""
        if self._close is None:
            self._close = (code, reason)
        if discard:
            self._texts.clear()
            self._hold(-self._characters)
        self._work.set()

    async def run(self, flushed: Callable[[], Awaitable[None]]) -> None:
        """Write what is queued until `close`; `flushed` is called whenever nothing is left.

        A lost peer ends the writing silently: its reader reports the end of the connection.
        """
        is_lost = False
        while self._close is None or self._texts:
            if not self._texts:
                await flushed()
                if not self._texts and self._close is None:
                    self._work = trio.Event()
                    await self._work.wait()
                continue
            text = self._texts.popleft()
            self._hold(-len(text))
            if not is_lost:
                is_lost = not await _sent(self._wire, text)
        await self._wire.close(*self._close)

    def release(self) -> None:
        """Give back to the budget what is still held: nobody will write it any more."""
        self._texts.clear()
        self._hold(-self._characters)

    def _hold(self, characters: int) -> bool:
        self._characters += characters
        return self._budget.change(characters) and self._characters <= MOST_WAITING_CHARACTERS


async def _sent(wire: Wire, text: str) -> bool:
    try:
        await wire.send(text)
    except WireLost:
        return False
    return True
