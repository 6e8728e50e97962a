"""The CALLs of one asking side of a link: open, waiting, held, freed (rules 12 to 14)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from pointsman_agent.ocpp.frame import Frame
from pointsman_agent.ocpp.intercepts import Intercept, Side, SplitVariables
from pointsman_agent.tallies import Tally

MOST_WAITING: Final = 64  # CALLs a direction (rule 29); a sane peer has one
MOST_WAITING_CHARACTERS: Final = 1024 * 1024  # text a direction (rule 29)
MOST_HELD_CHARACTERS: Final = 1024 * 1024  # text of a direction's held CALLs
FREED_IDS_KEPT: Final = 256  # a direction and link (rule 13)
LONGEST_FREED_ID: Final = 1024  # characters; OCPP-J 1.6 section 4.1.4 has 36, and nobody may fill memory with ids
DECIDE_WITHIN_S: Final = 10.0  # a held CALL that was not stored by then stays unanswered


class PendingCall(msgspec.Struct, gc=False):
    """A CALL on its way. `frame` is as received; `text` is what leaves, another one only where it was split.

    `since`: when it came; `asked`: when its last byte left, None until then. `is_own`: the agent itself asks.
    `ends_link`: once it is answered both legs are made anew. `answer_head`: how an answer begins that is handed on and
    nothing else; empty where more is to be done, or the answer is to be read first.
    """

    frame: Frame
    since: float
    text: str
    answer_head: str = ""
    asked: float | None = None
    split: SplitVariables | None = None
    is_own: bool = False
    ends_link: bool = False


class HeldCall(msgspec.Struct, frozen=True):
    """A CALL that the agent took for itself and is still deciding on."""

    frame: Frame
    until: float
    intercept: Intercept


_NOTHING_HELD: Final[Mapping[str, HeldCall]] = MappingProxyType({})
_NOTHING_FREED: Final[Mapping[str, bool]] = MappingProxyType({})


class Lane:
    """The CALLs of one asking side.

    What is rare is empty and shared: a site has thousands of lanes, and in most nothing waits.
    """

    __slots__ = (
        "answers",
        "asker",
        "freed",
        "held",
        "keeps_answered",
        "open",
        "tally",
        "waiting",
        "waiting_characters",
    )

    def __init__(self, asker: Side, tally: Tally) -> None:
        self.asker = asker
        self.tally = tally
        self.answers = tally.answers
        self.open: PendingCall | None = None
        self.waiting: tuple[PendingCall, ...] = ()
        self.waiting_characters = 0
        self.held: Mapping[str, HeldCall] = _NOTHING_HELD
        self.freed: Mapping[str, bool] = _NOTHING_FREED
        self.keeps_answered = True

    def known(self, call_id: str) -> Frame | None:
        """Return the CALL of this id that is open, waiting or held."""
        if self.open is not None and self.open.frame.id == call_id:
            return self.open.frame
        if self.held and call_id in self.held:
            return self.held[call_id].frame
        if not self.waiting:
            return None
        return next((call.frame for call in self.waiting if call.frame.id == call_id), None)

    def free(self, *, answered: bool) -> PendingCall:
        """Give the slot back and remember the id; return the CALL that had it."""
        call = self.open
        assert call is not None
        self.remember(call.frame.id, answered=answered)
        self.open = None
        return call

    def remember(self, call_id: str, *, answered: bool) -> None:
        """Keep `call_id` among the last freed ones; of an answered one only what somebody may still ask for."""
        if not isinstance(self.freed, dict):
            self.freed = {}
        self.freed.pop(call_id, None)  # or it would keep its old place
        if (answered and not self.keeps_answered) or len(call_id) > LONGEST_FREED_ID:
            return
        self.freed[call_id] = answered
        if len(self.freed) > FREED_IDS_KEPT:
            del self.freed[next(iter(self.freed))]

    def pass_late(self, call_id: str) -> bool:
        """Whether the answer to a freed CALL may still pass: the first one may (rule 13)."""
        if self.freed.get(call_id) is not False:
            return False
        self.remember(call_id, answered=True)
        return True

    def hold(self, frame: Frame, intercept: Intercept, now: float) -> bool:
        """Keep a CALL that is being decided on; False, and nothing kept, when too many are."""
        held_characters = sum(len(held.frame.text) for held in self.held.values())
        if len(self.held) >= MOST_WAITING or held_characters + len(frame.text) > MOST_HELD_CHARACTERS:
            return False
        self.held = {**self.held, frame.id: HeldCall(frame, now + DECIDE_WITHIN_S, intercept)}
        return True

    def let_go(self, call_id: str) -> HeldCall | None:
        """Return the held CALL of this id, which is held no more; None where there is none."""
        found = self.held.get(call_id)
        if found is not None:
            self.held = {held_id: held for held_id, held in self.held.items() if held_id != call_id}
        return found

    def wait(self, call: PendingCall) -> bool:
        """Queue a CALL; False when the lane's bounds are exceeded."""
        self.waiting = (*self.waiting, call)
        self.waiting_characters += len(call.text)
        return len(self.waiting) <= MOST_WAITING and self.waiting_characters <= MOST_WAITING_CHARACTERS

    def next_waiting(self) -> PendingCall | None:
        """Take the CALL that waited longest."""
        if not self.waiting:
            return None
        call, *rest = self.waiting  # at most 64
        self.waiting = tuple(rest)
        self.waiting_characters -= len(call.text)
        return call

    def moments(self, timeout: float, own_timeout: float) -> Iterator[float]:
        """Yield when something of this lane is due, given the seconds for an answer and for one to our own CALL."""
        if self.open is not None and self.open.asked is not None:
            yield self.open.asked + (own_timeout if self.open.is_own else timeout)
        if self.waiting:
            yield self.waiting[0].since + timeout
        for held in self.held.values():
            yield held.until
