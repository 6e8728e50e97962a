"""The relay as a state machine without I/O: events in, commands out (rules 10 to 19, 25, 26).

Theory
------
A link joins one station and one supervision. Each side may have one CALL open towards the other at a time (OCPP-J 1.6
section 4.1.1), and the two directions never wait for each other. So the state is two equal *lanes*, named after the
side that asks:

    lane.open      the CALL that was forwarded and not yet answered, with its deadline
    lane.waiting   CALLs behind it, first in first out, bounded in number and bytes
    lane.held      CALLs that the agent took for itself and is still deciding on (an intercept that must be durable)
    lane.freed     the last 256 ids whose slot was given back, and whether their answer has passed

A CALL is forwarded at once when its lane is free, else it waits. A result goes to the side that asked for that id,
once: to the open CALL, or late to a freed one. Whatever else arrives is dropped, counted and never answered. Text is
forwarded as it came: there is no path on which the link writes OCPP of its own but the answer to a held CALL.

Time is an event too: `TimePassed` is due at `deadline()`, in seconds of the driver's clock, handed in with every event.
The clock of an open CALL starts when its last byte left (`Flushed`), as rule 25 says.

After `Close` commands were given the link is over: every later event yields nothing. Commands are carried out in order;
`Close` of a side comes after all that was queued for it. An event that makes no sense in a state has the defined result
"dropped and counted"; nothing raises.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final

import msgspec

from pointsman_agent.ocpp.frame import Frame, FrameError, MessageType, call_result, parse
from pointsman_agent.ocpp.intercepts import Intercept, LinkSettings, Side, intercept_of

MOST_WAITING: Final = 64  # CALLs a direction (rule 29); a sane peer has one
MOST_WAITING_CHARACTERS: Final = 1024 * 1024  # text a direction (rule 29)
MOST_HELD_CHARACTERS: Final = 1024 * 1024  # text of a direction's held CALLs
FREED_IDS_KEPT: Final = 256  # a direction and link (rule 13)
LONGEST_FREED_ID: Final = 1024  # characters; OCPP-J 1.6 section 4.1.4 has 36, and nobody may fill memory with ids
DECIDE_WITHIN_S: Final = 10.0  # a held CALL that the journal did not store by then stays unanswered

GOING_AWAY: Final = 1001
NO_STATUS: Final = 1005
# RFC 6455 section 7.4.1: these never appear in a Close frame (1004 is reserved).
_UNSENDABLE: Final = frozenset({1004, 1006, 1015})
_MOST_REASON_BYTES: Final = 123  # RFC 6455 section 5.5: 125 bytes less the code


class Received(msgspec.Struct, frozen=True):
    """A text message came from `side`."""

    side: Side
    text: str


class Flushed(msgspec.Struct, frozen=True):
    """All that was handed over for `side` has been written to its socket."""

    side: Side


class Closed(msgspec.Struct, frozen=True):
    """The connection of `side` ended. `code` 1006: without a Close frame; `error` is the reason class of rule 50."""

    side: Side
    code: int
    reason: str
    error: str = "closed"


class EndRequested(msgspec.Struct, frozen=True):
    """The agent itself ends the link: `code` goes to the station, 1001 to the supervision."""

    code: int
    reason: str
    error: str


class Stored(msgspec.Struct, frozen=True):
    """The held CALL `call_id` of a station is durable and may be answered."""

    call_id: str


class TimePassed(msgspec.Struct, frozen=True):
    """`deadline()` has come."""


Event = Received | Flushed | Closed | EndRequested | Stored | TimePassed


class Send(msgspec.Struct, frozen=True):
    """Write `text` to `side`."""

    side: Side
    text: str


class Close(msgspec.Struct, frozen=True):
    """Close `side` after all that was queued for it."""

    side: Side
    code: int
    reason: str


class Keep(msgspec.Struct, frozen=True):
    """Store the security event `call` durably, then report `Stored`."""

    call: Frame


class Drop(msgspec.Struct, frozen=True):
    """Count a message of `side` that goes nowhere, and why. `text` is only for a redacted excerpt."""

    side: Side
    why: str
    text: str


class Lost(msgspec.Struct, frozen=True):
    """Note why the link ended: the reason class of rule 50, its detail, and the side that ended or failed it (None: the
    agent itself)."""

    side: Side | None
    error: str
    detail: str


Command = Send | Close | Keep | Drop | Lost


class _OpenCall(msgspec.Struct):
    frame: Frame
    asked: float | None = None  # when its last byte left; None: not yet


class _WaitingCall(msgspec.Struct, frozen=True):
    frame: Frame
    since: float


class _Lane:
    """The CALLs of one asking side."""

    __slots__ = ("asker", "freed", "held", "open", "waiting", "waiting_characters")

    def __init__(self, asker: Side) -> None:
        self.asker = asker
        self.open: _OpenCall | None = None
        self.waiting: deque[_WaitingCall] = deque()
        self.waiting_characters = 0
        self.held: dict[str, tuple[Frame, float]] = {}
        self.freed: OrderedDict[str, bool] = OrderedDict()

    def known(self, call_id: str) -> Frame | None:
        """The CALL of this id that is open, waiting or held."""
        if self.open is not None and self.open.frame.id == call_id:
            return self.open.frame
        if call_id in self.held:
            return self.held[call_id][0]
        return next((call.frame for call in self.waiting if call.frame.id == call_id), None)

    def free(self, *, answered: bool) -> None:
        """Give the slot back and remember the id."""
        assert self.open is not None
        self.remember(self.open.frame.id, answered=answered)
        self.open = None

    def remember(self, call_id: str, *, answered: bool) -> None:
        """Keep `call_id` among the last freed ones."""
        if len(call_id) > LONGEST_FREED_ID:
            return
        self.freed[call_id] = answered
        self.freed.move_to_end(call_id)
        if len(self.freed) > FREED_IDS_KEPT:
            self.freed.popitem(last=False)

    def hold(self, frame: Frame, now: float) -> bool:
        """Keep a CALL that is being decided on; False, and nothing kept, when too many are."""
        held_characters = sum(len(held.text) for held, _ in self.held.values())
        if len(self.held) >= MOST_WAITING or held_characters + len(frame.text) > MOST_HELD_CHARACTERS:
            return False
        self.held[frame.id] = (frame, now + DECIDE_WITHIN_S)
        return True

    def wait(self, frame: Frame, now: float) -> bool:
        """Queue a CALL; False when the lane's bounds are exceeded."""
        self.waiting.append(_WaitingCall(frame, now))
        self.waiting_characters += len(frame.text)
        return len(self.waiting) <= MOST_WAITING and self.waiting_characters <= MOST_WAITING_CHARACTERS

    def next_waiting(self) -> _WaitingCall | None:
        """Take the CALL that waited longest."""
        if not self.waiting:
            return None
        call = self.waiting.popleft()
        self.waiting_characters -= len(call.frame.text)
        return call


class Link:
    """One station and one supervision, joined. Feed events to `handle`, carry out what it returns, in order."""

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self.is_over = False
        self._lanes = {Side.STATION: _Lane(Side.STATION), Side.SUPERVISION: _Lane(Side.SUPERVISION)}
        self._heard_supervision = float("-inf")

    @property
    def queue(self) -> int:
        """CALLs that wait for a slot, in both directions."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def deadline(self) -> float | None:
        """Return when `TimePassed` is due, on the driver's clock; None while nothing is awaited."""
        timeout = self.settings.message_timeout
        moments = [
            moment
            for lane in self._lanes.values()
            for moment in (
                lane.open.asked + timeout if lane.open is not None and lane.open.asked is not None else None,
                lane.waiting[0].since + timeout if lane.waiting else None,
                *(until for _, until in lane.held.values()),
            )
            if moment is not None
        ]
        return min(moments, default=None)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Return what is to be done about `event`, in order; `now` is the driver's clock in seconds."""
        if self.is_over:
            return []
        match event:
            case Received(side, text):
                return list(self._received(side, text, now))
            case Flushed(side):
                return self._flushed(side, now)
            case TimePassed():
                return list(self._time_passed(now))
            case Stored(call_id):
                return self._stored(call_id)
            case Closed(side, code, reason, error):
                return self._closed(side, code, reason, error)
            case EndRequested(code, reason, error):
                return self._end(code, reason, Lost(None, error, reason))

    def _received(self, side: Side, text: str, now: float) -> Iterator[Command]:
        if side is Side.SUPERVISION:
            self._heard_supervision = now
        try:
            frame = parse(text)
        except FrameError:
            yield Drop(side, "envelope", text)
            return
        match frame.kind:
            case MessageType.CALL:
                yield from self._call(side, frame, now)
            case MessageType.CALLRESULT | MessageType.CALLERROR:
                yield from self._result(side, frame, now)
            case MessageType.CALLRESULTERROR if self._speaks_21():
                yield self._result_error(side, frame)
            case MessageType.SEND if self._speaks_21():
                yield Send(side.other, text)
            case _:
                yield Drop(side, "unknown-type", text)

    def _call(self, side: Side, frame: Frame, now: float) -> Iterator[Command]:
        lane = self._lanes[side]
        known = lane.known(frame.id)
        if known is not None:  # rule 14: a repeat is already on its way; another text under that id is nobody's
            yield Drop(side, "repeated" if known.text == frame.text else "id-reused", frame.text)
        elif intercept_of(side, frame, self.settings) is Intercept.KEEP_SECURITY_EVENT:
            yield Keep(frame) if lane.hold(frame, now) else Drop(side, "undecided", frame.text)
        elif lane.open is None:
            yield self._forward(lane, frame)
        elif not lane.wait(frame, now):
            detail = f"more than {MOST_WAITING} CALLs or {MOST_WAITING_CHARACTERS} characters of the {_name(side)} wait"
            yield from self._end(GOING_AWAY, "too many requests wait", Lost(side.other, "slow", detail))

    def _forward(self, lane: _Lane, frame: Frame) -> Send:
        lane.open = _OpenCall(frame)
        return Send(lane.asker.other, frame.text)

    def _forward_next(self, lane: _Lane, now: float) -> Iterator[Command]:
        while lane.open is None and (call := lane.next_waiting()) is not None:
            if self._is_late(call.since, now):  # its sender has given up (rule 12)
                yield Drop(lane.asker, "waited-too-long", call.frame.text)
            else:
                yield self._forward(lane, call.frame)

    def _result(self, side: Side, frame: Frame, now: float) -> Iterator[Command]:
        lane = self._lanes[side.other]
        if lane.open is not None and lane.open.frame.id == frame.id:
            lane.free(answered=True)
            yield Send(side.other, frame.text)
            yield from self._forward_next(lane, now)
        elif lane.freed.get(frame.id) is False:  # a first late result still has somebody who asked (rule 13)
            lane.freed[frame.id] = True
            yield Send(side.other, frame.text)
        else:
            yield Drop(side, "unexpected-result", frame.text)

    def _result_error(self, side: Side, frame: Frame) -> Command:
        if self._lanes[side].freed.get(frame.id):  # only who asked can complain of the answer
            return Send(side.other, frame.text)
        return Drop(side, "unexpected-result-error", frame.text)

    def _flushed(self, side: Side, now: float) -> list[Command]:
        call = self._lanes[side.other].open
        if call is not None and call.asked is None:
            call.asked = now
        return []

    def _time_passed(self, now: float) -> Iterator[Command]:
        for lane in self._lanes.values():
            yield from self._expire_held(lane, now)
            call = lane.open
            if call is not None and call.asked is not None and self._is_late(call.asked, now):
                if lane.asker is Side.STATION and self._condemns(call.asked):
                    action = call.frame.action
                    detail = f"{action} unanswered for {self.settings.message_timeout:g} s"
                    lost = Lost(Side.SUPERVISION, "message-timeout", detail)
                    yield from self._end(GOING_AWAY, "supervision does not answer", lost)
                    return
                lane.free(answered=False)
                yield Drop(lane.asker, "unanswered", call.frame.text)
            yield from self._expire_waiting(lane, now)
            yield from self._forward_next(lane, now)

    def _is_late(self, since: float, now: float) -> bool:
        """Whether `messageTimeout` has passed. The very sum of `deadline()`: a difference may round to less, and
        `TimePassed` would then do nothing at its own moment, for ever."""
        return since + self.settings.message_timeout <= now

    def _condemns(self, asked: float) -> bool:
        """Whether a CALL that the supervision was `asked` and did not answer in time loses the link (rule 25)."""
        return self.settings.condemn_any or self._heard_supervision < asked

    def _expire_waiting(self, lane: _Lane, now: float) -> Iterator[Command]:
        while lane.waiting and self._is_late(lane.waiting[0].since, now):
            call = lane.next_waiting()
            assert call is not None
            yield Drop(lane.asker, "waited-too-long", call.frame.text)

    def _expire_held(self, lane: _Lane, now: float) -> Iterator[Command]:
        for call_id in [call_id for call_id, (_, until) in lane.held.items() if until <= now]:
            frame, _ = lane.held.pop(call_id)
            yield Drop(lane.asker, "undecided", frame.text)

    def _stored(self, call_id: str) -> list[Command]:
        lane = self._lanes[Side.STATION]
        if lane.held.pop(call_id, None) is None:
            return []
        return [Send(Side.STATION, call_result(call_id, {}))]

    def _closed(self, side: Side, code: int, reason: str, error: str) -> list[Command]:
        self.is_over = True
        detail = f"{_name(side)} closed with {code}" + (f" ({reason})" if reason else "")
        if code in _UNSENDABLE or not _is_valid_close(code):
            code, reason = GOING_AWAY, f"{_name(side)} lost"
        return [Lost(side, error, detail), Close(side.other, code, cut_reason(reason))]

    def _end(self, code: int, reason: str, lost: Lost) -> list[Command]:
        self.is_over = True
        short = cut_reason(reason)
        return [
            lost,
            Close(Side.STATION, code, short),
            Close(Side.SUPERVISION, GOING_AWAY, short),
        ]

    def _speaks_21(self) -> bool:
        return self.settings.protocol == "ocpp2.1"


def cut_reason(reason: str) -> str:
    """Return `reason` cut to the 123 bytes of a Close frame (RFC 6455 section 5.5), on a character."""
    return reason.encode(errors="replace")[:_MOST_REASON_BYTES].decode(errors="ignore")


def _is_valid_close(code: int) -> bool:
    """RFC 6455 section 7.4: what may stand in a Close frame, and 1005 for an empty one."""
    return 1000 <= code <= 1014 or 3000 <= code <= 4999


def _name(side: Side) -> str:
    return side.name.lower()
