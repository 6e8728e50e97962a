"""What passed over a link, verbatim and in order, with a bounded way to wait for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import trio

from pointsman_simulator.errors import FrameError
from pointsman_simulator.frames import Call, Frame, Send, read_frame

SEEN_WITHIN_S = 10.0  # default bound of a wait; a message takes milliseconds on loopback, a loaded machine a second


@dataclass(frozen=True, slots=True)
class Recorded:
    """One text: whose link it passed, the text byte for byte, and when (UTC)."""

    station: str
    text: str
    at: datetime

    @property
    def frame(self) -> Frame | None:
        """The text as a frame, or None when it is none."""
        try:
            return read_frame(self.text)
        except FrameError:
            return None

    @property
    def action(self) -> str | None:
        """The action of a CALL or SEND, else None."""
        match self.frame:
            case Call(action=action) | Send(action=action):
                return action
        return None


class Transcript:
    """A list of texts that only grows; `wait_for` finds the first that fits, whether it is there yet or comes."""

    def __init__(self) -> None:
        self.on_add: Callable[[Recorded], None] | None = None
        self._entries: list[Recorded] = []
        self._grown = trio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Recorded]:
        return iter(tuple(self._entries))

    def __getitem__(self, index: int) -> Recorded:
        return self._entries[index]

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [entry.text for entry in self._entries]

    @property
    def actions(self) -> list[str]:
        """The actions of all CALLs and SENDs, in order."""
        return [entry.action for entry in self._entries if entry.action is not None]

    def of(self, station: str) -> list[Recorded]:
        """Return what passed on the links of `station`, in order."""
        return [entry for entry in self._entries if entry.station == station]

    def add(self, entry: Recorded) -> None:
        """Append `entry` and wake who waits."""
        self._entries.append(entry)
        grown, self._grown = self._grown, trio.Event()
        grown.set()
        if self.on_add is not None:
            self.on_add(entry)

    async def wait_for(
        self, predicate: Callable[[Recorded], bool], within_s: float = SEEN_WITHIN_S, *, start: int = 0
    ) -> Recorded:
        """Return the first entry from index `start` on that fits; raises trio.TooSlowError after `within_s` seconds."""
        with trio.fail_after(within_s):
            while True:
                for entry in self._entries[start:]:
                    if predicate(entry):
                        return entry
                start = len(self._entries)
                await self._grown.wait()
