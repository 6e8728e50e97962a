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
forwarded as it came: the link writes OCPP of its own only where `intercepts` took a CALL or a part of one.

Time is an event too: `TimePassed` is due at `deadline()`, in seconds of the driver's clock, handed in with every event.
The clock of an open CALL starts when its last byte left (`Flushed`), as rule 25 says.

CALLs of the agent's own to one side go through the lane of the other, since it is that side's one slot that they take:
the station's for 5 s at most (rule 15), the supervision's, which is told of a boot that it has not seen, as long as any
(rule 45). Their answers go to the agent and nowhere else.

After `Close` commands were given the link is over: every later event yields nothing. Commands are carried out in order;
`Close` of a side comes after all that was queued for it. An event that makes no sense in a state has the defined result
"dropped and counted"; nothing raises.
"""

import json
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from pointsman_agent.ocpp.events import (
    Answered,
    Close,
    Closed,
    Command,
    Drop,
    EndRequested,
    Event,
    Flushed,
    Keep,
    KeepKey,
    Lost,
    Notice,
    Overheard,
    OwnCallAsked,
    OwnCallEnded,
    Received,
    Send,
    Stored,
    TimePassed,
)
from pointsman_agent.ocpp.frame import (
    CALL_HEAD,
    RESULT_HEAD,
    Frame,
    FrameError,
    LocalFrameError,
    MessageType,
    call_result,
    parse,
    plain_call,
    result_payload,
)
from pointsman_agent.ocpp.intercepts import (
    AnswerItself,
    Intercept,
    KeepSecurityEvent,
    LinkSettings,
    Side,
    SplitVariables,
    StoreKey,
    intercept_of,
    merged_results,
)
from pointsman_agent.ocpp.lane import MOST_WAITING, MOST_WAITING_CHARACTERS, HeldCall, Lane, PendingCall
from pointsman_agent.ocpp.notices import interest_in, notice_of
from pointsman_agent.tallies import Exchanged
from pointsman_agent.websocket.codec import NO_STATUS, cut_reason, is_sendable

GOING_AWAY: Final = 1001
SERVICE_RESTART: Final = 1012
TIMED_EVERY_S: Final = 10.0  # a supervision's clock is read no more often: heartbeats come every few minutes
OWN_CALL_WITHIN_S: Final = 5.0  # of the station's slot towards a remote operator (rule 15)
_CALL: Final = int(MessageType.CALL)
_STATION: Final = Side.STATION
_RESULTS: Final = (int(MessageType.CALLRESULT), int(MessageType.CALLERROR))
KEY_CHANGED: Final = "the uplink's key changed"


class Passing(IntEnum):
    """What the short way of a message says: NO (false) for all that takes the long one."""

    NO = 0
    ON = 1
    OVERHEARD = 2
    """It goes on, and tells something of its station."""


_NO: Final = Passing.NO
_ON: Final = Passing.ON


class Link:
    """One station and one supervision, joined. Feed events to `handle`, carry out what it returns, in order.

    What passes is counted in `exchanged`, which all links of an operator share.
    """

    __slots__ = (
        "_both", "_heard_supervision", "_station_asks", "_supervision_asks", "_timed_again", "is_over", "settings",
    )  # fmt: skip

    def __init__(self, settings: LinkSettings, exchanged: Exchanged | None = None) -> None:
        exchanged = exchanged or Exchanged()
        self.settings = settings
        self.is_over = False
        self._station_asks = Lane(Side.STATION, exchanged.station_asks)
        self._supervision_asks = Lane(Side.SUPERVISION, exchanged.supervision_asks)
        # Only OCPP 2.1 lets who asked complain of an answer, by an id that was freed.
        keeps_answered = settings.protocol == "ocpp2.1"
        self._station_asks.keeps_answered = self._supervision_asks.keeps_answered = keeps_answered
        self._both = (self._station_asks, self._supervision_asks)
        self._heard_supervision = float("-inf")
        self._timed_again = float("-inf")

    @property
    def queue(self) -> int:
        """CALLs that wait for a slot, in both directions."""
        return sum(len(lane.waiting) for lane in self._both)

    def deadline(self) -> float | None:
        """Return when `TimePassed` is due, on the driver's clock; None while nothing is awaited."""
        timeout = self.settings.message_timeout
        moments = (moment for lane in self._both for moment in lane.moments(timeout, self._own_call_within(lane)))
        return min(moments, default=None)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Return what is to be done about `event`, in order; `now` is the driver's clock in seconds."""
        if self.is_over:
            return []
        match event:
            case Received(side, text):
                return self.received(side, text, now)
            case Flushed(side):
                self.flushed(side, now)
                return []
            case TimePassed():
                return list(self._time_passed(now))
            case Stored(call_id, side, is_stored):
                return list(self._stored(self._lane_of(side), call_id, is_stored, now))
            case OwnCallAsked(call_id, text, side):
                return list(self._own_call(self._lane_of(side.other), call_id, text, now))
            case Closed(side, code, reason, error):
                return self._closed(side, code, reason, error)
            case EndRequested(code, reason, error):
                return self._end(code, reason, Lost(None, error, reason))

    def passes(self, side: Side, text: str, now: float) -> Passing:
        """Whether all that is to be done about `text` of `side` is to send it on: the usual case, decided at once.

        The link has taken note of it then, and that it has left; if it has not, say so by `delayed`. Where NO, ask
        `received`; OVERHEARD asks for what the command `Overheard` asks for.
        """
        if self.is_over:
            return _NO
        is_from_station = side is _STATION
        if not is_from_station:
            self._heard_supervision = now
        kind = text[:3]
        if kind == RESULT_HEAD:
            lane = self._supervision_asks if is_from_station else self._station_asks
            call = lane.open
            if call is None or not call.answer_head or not text.startswith(call.answer_head) or lane.waiting:
                return _NO
            lane.open = None
            answers, took_s = lane.answers, now - call.since  # `Durations.add`, without the call
            answers.counts[int(took_s * answers.scale).bit_length()] += 1
            answers.seconds += took_s
            if lane.keeps_answered or lane.freed:
                lane.remember(call.frame.id, answered=True)
            return _ON
        lane = self._station_asks if is_from_station else self._supervision_asks
        if kind != CALL_HEAD or lane.open is not None or lane.waiting or lane.held:
            return _NO
        frame = plain_call(text)
        if frame is None or (interest := interest_in(frame.action)).tables:
            return _NO
        lane.tally.calls += 1
        answer_head = f'{RESULT_HEAD}"{frame.id}",'
        if is_from_station and interest.is_any:
            if interest.learns:
                answer_head = ""
            elif interest.times and now >= self._timed_again:
                self._timed_again = now + TIMED_EVERY_S
                answer_head = ""
            lane.open = PendingCall(frame, now, text, answer_head, now)
            return Passing.OVERHEARD if interest.overhears else _ON
        lane.open = PendingCall(frame, now, text, answer_head, now)
        return _ON

    @property
    def overheard(self) -> Frame:
        """What `passes` has just called overheard."""
        assert self._station_asks.open is not None
        return self._station_asks.open.frame

    def delayed(self, side: Side, now: float) -> None:
        """What passed to `side` at `now` has not left yet; `Flushed` will tell."""
        call = self._lane_of(side.other).open
        if call is not None and call.since == now:
            call.asked = None

    def received(self, side: Side, text: str, now: float) -> list[Command]:
        """As the event `Received`: for a driver to whom a call is cheaper."""
        if passing := self.passes(side, text, now):
            call = self._lane_of(side).open
            if call is not None and call.text is text:
                call.asked = None  # `Flushed` will tell
                if passing is Passing.OVERHEARD:
                    return [Overheard(call.frame), Send(side.other, text)]
            return [Send(side.other, text)]
        if self.is_over:
            return []
        try:
            frame = parse(text)
        except FrameError:
            self._lane_of(side).tally.others += 1
            return [Drop(side, "envelope", text)]
        kind = frame.kind
        if kind == _CALL:
            return self._call(self._lane_of(side), frame, now)
        if kind in _RESULTS:
            return self._result(side, self._lane_of(side.other), frame, now)
        self._lane_of(side).tally.others += 1
        if kind == MessageType.CALLRESULTERROR and self._speaks_21():
            return [self._result_error(side, frame)]
        if kind == MessageType.SEND and self._speaks_21():
            return [Send(side.other, text)]
        return [Drop(side, "unknown-type", text)]

    def _lane_of(self, asker: Side) -> Lane:
        return self._station_asks if asker is Side.STATION else self._supervision_asks

    def _call(self, lane: Lane, frame: Frame, now: float) -> list[Command]:
        lane.tally.calls += 1
        known = lane.known(frame.id)
        if known is not None:  # rule 14: a repeat is already on its way; another text under that id is nobody's
            return [Drop(lane.asker, "repeated" if known.text == frame.text else "id-reused", frame.text)]
        call = PendingCall(frame, now, frame.text)
        interest = interest_in(frame.action)
        if interest.tables:
            return list(self._special_call(lane, call, now))
        forwarded = list(self._forward(lane, call, now))
        return [Overheard(frame), *forwarded] if interest.overhears and lane.asker is Side.STATION else forwarded

    def _special_call(self, lane: Lane, call: PendingCall, now: float) -> Iterator[Command]:
        """A CALL whose action the tables know."""
        what = notice_of(lane.asker, call.frame)
        if what is not None:
            yield Notice(lane.asker, what, call.frame.action)
        intercept = intercept_of(lane.asker, call.frame, self.settings)
        if intercept is None:
            yield from self._forward(lane, call, now)
        else:
            yield from self._take(lane, call.frame, intercept, now)

    def _take(self, lane: Lane, frame: Frame, intercept: Intercept, now: float) -> Iterator[Command]:
        """Do what stands in the table instead of relaying."""
        match intercept:
            case AnswerItself(payload, why):
                lane.remember(frame.id, answered=True)
                yield Notice(lane.asker, why, frame.action)
                yield Send(lane.asker, call_result(frame.id, payload))
            case SplitVariables(key=None):
                yield from self._forward(lane, _split_call(frame, intercept, now), now)
            case _ if not lane.hold(frame, intercept, now):
                yield Drop(lane.asker, "undecided", frame.text)
            case KeepSecurityEvent():
                yield Keep(frame)
            case StoreKey(key) | SplitVariables(key=bytes() as key):
                yield KeepKey(frame.id, key)

    def _stored(self, lane: Lane, call_id: str, is_stored: bool, now: float) -> Iterator[Command]:
        held = lane.let_go(call_id)
        if held is None:
            return
        if not is_stored:
            yield from self._not_stored(lane, held)
            return
        match held.intercept:
            case StoreKey(_, payload):
                yield Send(lane.asker, call_result(call_id, payload))
                yield from self._end(SERVICE_RESTART, KEY_CHANGED, Lost(None, "closed", KEY_CHANGED))
            case SplitVariables() as split:
                call = _split_call(held.frame, split, now)
                call.ends_link = True
                yield from self._forward(lane, call, now)
            case _:
                lane.remember(call_id, answered=True)
                yield Send(lane.asker, call_result(call_id, {}))

    def _not_stored(self, lane: Lane, held: HeldCall) -> Iterator[Command]:
        """What cannot be kept is not accepted: an event stays unanswered, the station keeps it; a key is refused."""
        if isinstance(held.intercept, KeepSecurityEvent):
            yield Drop(lane.asker, "undecided", held.frame.text)
            return
        lane.remember(held.frame.id, answered=True)
        yield Send(lane.asker, _internal_error(held.frame.id))

    def _own_call(self, lane: Lane, call_id: str, text: str, now: float) -> Iterator[Command]:
        call = PendingCall(parse(text), now, text, is_own=True)
        if len(lane.waiting) >= MOST_WAITING:
            yield OwnCallEnded(call_id, None)
        else:
            yield from self._forward(lane, call, now)

    def _forward(self, lane: Lane, call: PendingCall, now: float) -> Iterator[Command]:
        if lane.open is None:
            lane.open = call
            yield Send(lane.asker.other, call.text)
        elif not lane.wait(call):
            bounds = f"{MOST_WAITING} CALLs or {MOST_WAITING_CHARACTERS} characters"
            detail = f"more than {bounds} of the {_name(lane.asker)} wait"
            yield from self._end(GOING_AWAY, "too many requests wait", Lost(lane.asker.other, "slow", detail))

    def _forward_next(self, lane: Lane, now: float) -> Iterator[Command]:
        while lane.open is None and (call := lane.next_waiting()) is not None:
            if self._is_late(call.since, now):  # its sender has given up (rule 12)
                yield from self._give_up(lane, call, "waited-too-long")
            else:
                yield from self._forward(lane, call, now)

    def _result(self, side: Side, lane: Lane, frame: Frame, now: float) -> list[Command]:
        _count_answer(lane, frame, now)
        if lane.open is not None and lane.open.frame.id == frame.id:
            call = lane.free(answered=True)
            commands = list(self._answered(lane, call, frame, now))
            return commands if self.is_over else [*commands, *self._forward_next(lane, now)]
        if lane.pass_late(frame.id):  # somebody asked, and still waits
            return [Send(lane.asker, frame.text)]
        return [Drop(side, "unexpected-result", frame.text)]

    def _answered(self, lane: Lane, call: PendingCall, frame: Frame, now: float) -> Iterator[Command]:
        """Hand a result to who asked: the other side, merged where the CALL was split, or the agent itself."""
        if call.is_own:
            yield OwnCallEnded(call.frame.id, frame.text)
            return
        if lane.asker is Side.STATION:
            interest = interest_in(call.frame.action)
            if interest.learns or (interest.times and call.asked is not None):
                round_trip_s = None if call.asked is None else now - call.asked
                yield Answered(call.frame, round_trip_s, frame.text)
        yield Send(lane.asker, frame.text if call.split is None else _merged(call.split, frame))
        if call.ends_link:
            yield from self._end(SERVICE_RESTART, KEY_CHANGED, Lost(None, "closed", KEY_CHANGED))

    def _result_error(self, side: Side, frame: Frame) -> Command:
        if self._lane_of(side).freed.get(frame.id):  # only who asked can complain of the answer
            return Send(side.other, frame.text)
        return Drop(side, "unexpected-result-error", frame.text)

    def flushed(self, side: Side, now: float) -> None:
        """As the event `Flushed`, which never has a consequence of its own: for a driver to whom a call is cheaper."""
        call = (self._supervision_asks if side is Side.STATION else self._station_asks).open
        if call is not None and call.asked is None:
            call.asked = now

    def _time_passed(self, now: float) -> Iterator[Command]:
        for lane in self._both:
            yield from self._expire_held(lane, now)
            call = lane.open
            if call is not None and call.asked is not None and self._is_overdue(lane, call, now):
                if lane.asker is Side.STATION and not call.is_own and self._condemns(call.asked):
                    action = call.frame.action
                    detail = f"{action} unanswered for {self.settings.message_timeout:g} s"
                    lost = Lost(Side.SUPERVISION, "message-timeout", detail, action)
                    yield from self._end(GOING_AWAY, "supervision does not answer", lost)
                    return
                lane.free(answered=call.is_own or call.split is not None)  # a split one is answered here and now
                yield from self._give_up(lane, call, "unanswered")
                if self.is_over:
                    return
            yield from self._expire_waiting(lane, now)
            yield from self._forward_next(lane, now)

    def _is_late(self, since: float, now: float) -> bool:
        """Whether `messageTimeout` has passed. The very sum of `deadline()`: a difference may round to less, and
        `TimePassed` would then do nothing at its own moment, for ever."""
        return since + self.settings.message_timeout <= now

    def _is_overdue(self, lane: Lane, call: PendingCall, now: float) -> bool:
        assert call.asked is not None
        return call.asked + self._own_call_within(lane) <= now if call.is_own else self._is_late(call.asked, now)

    def _own_call_within(self, lane: Lane) -> float:
        return OWN_CALL_WITHIN_S if lane.asker is Side.SUPERVISION else self.settings.message_timeout

    def _condemns(self, asked: float) -> bool:
        """Whether a CALL that the supervision was `asked` and did not answer in time loses the link (rule 25)."""
        return self.settings.condemn_any or self._heard_supervision < asked

    def _expire_waiting(self, lane: Lane, now: float) -> Iterator[Command]:
        while lane.waiting and self._is_late(lane.waiting[0].since, now):
            call = lane.next_waiting()
            assert call is not None
            yield from self._give_up(lane, call, "waited-too-long")

    def _give_up(self, lane: Lane, call: PendingCall, why: str) -> Iterator[Command]:
        """Give up on a CALL: its sender has, or soon will. What the agent did itself is done, and its asker is told."""
        if call.is_own:
            yield OwnCallEnded(call.frame.id, None)
        elif call.split is not None and (call.ends_link or why == "unanswered"):
            yield Send(lane.asker, call_result(call.frame.id, merged_results(call.split, None)))
        else:
            yield Drop(lane.asker, why, call.frame.text)
        if call.ends_link:
            yield from self._end(SERVICE_RESTART, KEY_CHANGED, Lost(None, "closed", KEY_CHANGED))

    def _expire_held(self, lane: Lane, now: float) -> Iterator[Command]:
        for call_id, held in lane.held.items():
            if held.until <= now:
                lane.let_go(call_id)
                yield Drop(lane.asker, "undecided", held.frame.text)

    def _closed(self, side: Side, code: int, reason: str, error: str) -> list[Command]:
        self.is_over = True
        detail = f"{_name(side)} closed with {code}" + (f" ({reason})" if reason else "")
        if code != NO_STATUS and not is_sendable(code):
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


def _count_answer(lane: Lane, frame: Frame, now: float) -> None:
    call = lane.open
    if frame.kind == MessageType.CALLERROR:
        lane.tally.errors += 1
    elif call is not None and call.asked is not None and call.frame.id == frame.id:
        lane.answers.add(now - call.asked)
    else:
        lane.tally.results_untimed += 1


def _split_call(frame: Frame, split: SplitVariables, now: float) -> PendingCall:
    text = json.dumps([MessageType.CALL, frame.id, frame.action, split.forwarded], separators=(",", ":"))
    return PendingCall(frame, now, text, split=split)


def _merged(split: SplitVariables, frame: Frame) -> str:
    """The answer to a CALL of which the agent took a part; what the station refused as a whole counts as rejected."""
    answered: object = None
    if frame.kind == MessageType.CALLRESULT:
        try:
            answered = result_payload(frame).get("setVariableResult")
        except LocalFrameError:
            answered = None
    return call_result(frame.id, merged_results(split, answered))


def _internal_error(call_id: str) -> str:
    return json.dumps([MessageType.CALLERROR, call_id, "InternalError", "not stored", {}], separators=(",", ":"))


def _name(side: Side) -> str:
    return side.name.lower()
