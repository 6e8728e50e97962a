"""Whatever comes in whatever order: a call is answered once at most, nothing is invented, doubled or re-ordered."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
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
    Lost,
    Received,
    Send,
    Stored,
    TimePassed,
)
from pointsman_agent.ocpp.frame import FrameError, MessageType, call_result, parse
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.lane import MOST_WAITING
from pointsman_agent.ocpp.link import Link

IDS = ("1", "2", "3", "4")


@dataclass(frozen=True)
class Answer:
    """`side` answers the CALL that was forwarded to it last."""

    side: Side


Happening = Event | Answer | float

# What stands more often comes more often.
KINDS = (
    ("call",) * 8 + ("answer",) * 5 + ("flush", "flush", "wait", "wait", "stored", "time", "result", "other", "garbage")
)


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    kind, side, call_id = draw(st.sampled_from(KINDS)), draw(st.sampled_from(Side)), draw(st.sampled_from(IDS))
    match kind:
        case "call":
            action = draw(st.sampled_from(["Heartbeat", "Heartbeat", "Heartbeat", "SecurityEventNotification"]))
            return Received(side, f'[2,"{call_id}","{action}",{{"n":{draw(st.sampled_from([0, 1, 1]))}}}]')
        case "result":
            return Received(side, f'[{draw(st.sampled_from([3, 4]))},"{call_id}",{{"n":1}}]')
        case "other":
            return Received(side, f'[{draw(st.sampled_from([5, 6, 9]))},"{call_id}","NotifyPeriodicEventStream"]')
        case "garbage":
            return Received(side, "no frame")
        case "answer":
            return Answer(side)
        case "flush":
            return Flushed(side)
        case "stored":
            return Stored(call_id)
        case "time":
            return TimePassed()
        case _:
            return draw(st.floats(0.001, 20.0))


endings = st.one_of(
    st.builds(Closed, st.sampled_from(Side), st.sampled_from([1000, 1005, 1006, 3000, 70000]), st.text(max_size=200)),
    st.builds(EndRequested, st.just(1012), st.text(max_size=200), st.just("closed")),
)
link_settings = st.builds(
    LinkSettings,
    message_timeout=st.sampled_from([1.1, 7.0, 30.0, 59.9]),
    forward_security_events=st.booleans(),
    protocol=st.sampled_from(["ocpp1.6", "ocpp2.1"]),
    condemn_any=st.booleans(),
)


class Run:
    """A link and all that went in and came out; texts have `blank` before their first comma."""

    def __init__(self, configured: LinkSettings, start: float, blank: str = "") -> None:
        self.blank = blank
        self.link = Link(configured)
        self.now = start
        self.received: list[Received] = []
        self.commands: list[Command] = []
        self.stored: Counter[str] = Counter()

    def happen(self, happening: Happening) -> list[Command]:
        """Feed one event, or let time pass with every deadline in it met at its very moment."""
        if isinstance(happening, float):
            self._pass_until(self.now + happening)
            return []
        if isinstance(happening, Answer):
            happening = self._answer_of(happening.side)
        if isinstance(happening, Received) and not self.link.is_over:
            text = happening.text.replace('"n":1', f'"n":1{len(self.received)}').replace(",", f"{self.blank},", 1)
            happening = Received(happening.side, text)
            self.received.append(happening)
        if isinstance(happening, Stored):
            self.stored[happening.call_id] += 1
        commands = self.link.handle(happening, self.now)
        self.commands += commands
        return commands

    def _answer_of(self, side: Side) -> Received:
        calls = of_kind(self.sent(side), MessageType.CALL)
        return Received(side, f'[3,"{parse(calls[-1]).id if calls else "1"}",{{"n":1}}]')

    def _pass_until(self, moment: float) -> None:
        while (deadline := self.link.deadline()) is not None and deadline <= moment and not self.link.is_over:
            self.now = max(self.now, deadline)
            self.happen(TimePassed())
            assert self._is_ahead(self.link.deadline()), "a deadline that stays in the past"
        self.now = moment

    def _is_ahead(self, deadline: float | None) -> bool:
        return self.link.is_over or deadline is None or deadline > self.now

    def sent(self, side: Side) -> list[str]:
        return [command.text for command in self.commands if isinstance(command, Send) and command.side is side]

    def heard(self, side: Side) -> list[str]:
        return [event.text for event in self.received if event.side is side]


def last_of(configured: LinkSettings, start: float, script: list[Happening], blank: str = "") -> Run:
    run = Run(configured, start, blank)
    for happening in script:
        run.happen(happening)
    return run


def most_open(run: Run, asker: Side) -> int:
    """How many CALLs of `asker` were ever open at once, as what was sent and dropped tells."""
    open_ids: set[str] = set()
    most = 0
    for command in run.commands:
        match command:
            case Send(side, text) if side is asker.other and kind_of(text) == MessageType.CALL:
                open_ids.add(parse(text).id)
            case Send(side, text) if side is asker and kind_of(text) in (MessageType.CALLRESULT, MessageType.CALLERROR):
                open_ids.discard(parse(text).id)
            case Drop(side, "unanswered", text) if side is asker:
                open_ids.discard(parse(text).id)
        most = max(most, len(open_ids))
    return most


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(text in rest for text in part)


def kind_of(text: str) -> int:
    try:
        return parse(text).kind
    except FrameError:
        return 0


def of_kind(texts_: list[str], *kinds: int) -> list[str]:
    return [text for text in texts_ if kind_of(text) in kinds]


half = settings(max_examples=75)  # each script is long
starts = st.sampled_from([0.0, 0.3, 1e6 + 0.3, 2.0**31 + 0.1])
scripts: st.SearchStrategy[list[Happening]] = st.lists(
    happenings(),
    min_size=20,
    max_size=40,
)


@half
@given(link_settings, starts, scripts)
def test_r11_and_r19_nothing_is_sent_that_the_other_side_did_not_say_but_the_answers_to_held_calls(
    configured: LinkSettings, start: float, script: list[Happening]
) -> None:
    run = last_of(configured, start, script)
    own = Counter({call_result(call_id, {}): times for call_id, times in run.stored.items()})

    assert Counter(run.sent(Side.SUPERVISION)) <= Counter(run.heard(Side.STATION))
    assert Counter(run.sent(Side.STATION)) - Counter(run.heard(Side.SUPERVISION)) <= own


@half
@given(link_settings, starts, scripts)
def test_r10_calls_of_a_direction_are_never_reordered(
    configured: LinkSettings, start: float, script: list[Happening]
) -> None:
    run = last_of(configured, start, script)

    for side in Side:
        calls = of_kind(run.sent(side), MessageType.CALL)
        assert is_subsequence(calls, of_kind(run.heard(side.other), MessageType.CALL))


@half
@given(link_settings, starts, scripts)
def test_r13_no_call_is_answered_twice(configured: LinkSettings, start: float, script: list[Happening]) -> None:
    run = last_of(configured, start, script)

    for side in Side:
        asked = [parse(text).id for text in of_kind(run.sent(side.other), MessageType.CALL)]
        held = [command.call.id for command in run.commands if isinstance(command, Keep) and side is Side.STATION]
        answers = of_kind(run.sent(side), MessageType.CALLRESULT, MessageType.CALLERROR)
        assert Counter(parse(text).id for text in answers) <= Counter(asked + held)


@half
@given(link_settings, starts, scripts)
def test_r12_one_call_a_direction_is_open_at_most_and_queues_are_bounded(
    configured: LinkSettings, start: float, script: list[Happening]
) -> None:
    run = Run(configured, start)
    for happening in script:
        run.happen(happening)
        assert run.link.queue <= 2 * MOST_WAITING

    for side in Side:
        assert most_open(run, side) <= 1


@half
@given(link_settings, starts, scripts)
def test_the_short_way_of_common_texts_ends_where_the_long_one_does(
    configured: LinkSettings, start: float, script: list[Happening]
) -> None:
    """A blank in the envelope sends a text the long way; but for the clock, which the short one reads less often."""
    short, long = last_of(configured, start, script), last_of(configured, start, script, " ")

    assert told(short) == told(long)
    assert short.link.deadline() == long.link.deadline()
    assert short.link.queue == long.link.queue


def told(run: Run) -> list[str]:
    return [str(command).replace(" ,", ",") for command in run.commands if not isinstance(command, Answered)]


@half
@given(link_settings, starts, scripts)
def test_every_message_ends_in_one_place(configured: LinkSettings, start: float, script: list[Happening]) -> None:
    """Sent, dropped, kept, or still waiting: never lost, never two of them, while the link lives."""
    run = last_of(configured, start, script)
    sent = sum(1 for each in run.commands if isinstance(each, Send)) - _own_answers(run)
    kept = sum(1 for each in run.commands if isinstance(each, Keep))
    # "unanswered" was sent before, "undecided" kept before.
    dropped = sum(1 for each in run.commands if isinstance(each, Drop) and each.why not in ("unanswered", "undecided"))

    if not run.link.is_over:
        assert sent + dropped + kept + run.link.queue == len(run.received)


@half
@given(link_settings, starts, scripts, endings, scripts)
def test_r26_nothing_follows_the_end(
    configured: LinkSettings, start: float, before: list[Happening], ending: Event, after: list[Happening]
) -> None:
    run = last_of(configured, start, before)
    was_over = run.link.is_over

    commands = run.happen(ending)

    assert run.link.is_over
    if not was_over:
        assert isinstance(commands[0], Lost)
        assert all(isinstance(command, Close) for command in commands[1:])
        assert all(len(each.reason.encode()) <= 123 for each in commands[1:] if isinstance(each, Close))
    assert [run.happen(happening) for happening in after if not isinstance(happening, float)] == [
        [] for happening in after if not isinstance(happening, float)
    ]


def _own_answers(run: Run) -> int:
    """Answers of the agent: they are sent without having been received."""
    texts_ = [f'[3,"{call_id}",{{}}]' for call_id in IDS]  # payloads of the script's results always have a field
    return sum(1 for text in run.sent(Side.STATION) if text in texts_)
