"""The relay's rules as scripts: events at moments go in, commands come out."""

import msgspec
import pytest
from pointsman_agent.ocpp.events import (
    Close,
    Closed,
    Command,
    Drop,
    EndRequested,
    Flushed,
    Keep,
    Lost,
    Received,
    Send,
    Stored,
    TimePassed,
)
from pointsman_agent.ocpp.frame import parse
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.lane import (
    DECIDE_WITHIN_S,
    FREED_IDS_KEPT,
    LONGEST_FREED_ID,
    MOST_HELD_CHARACTERS,
    MOST_WAITING,
    MOST_WAITING_CHARACTERS,
)
from pointsman_agent.ocpp.link import Link
from pointsman_agent.websocket.codec import cut_reason

STATION, SUPERVISION = Side.STATION, Side.SUPERVISION
SIDES = [STATION, SUPERVISION]
TIMEOUT_S = 30.0
SETTINGS = LinkSettings(message_timeout=TIMEOUT_S, forward_security_events=False, protocol="ocpp1.6")
SETTINGS_21 = msgspec.structs.replace(SETTINGS, protocol="ocpp2.1")
SECURITY_EVENT = '[2,"s1","SecurityEventNotification",{"type":"x","timestamp":"2026-11-22T12:00:00Z"}]'


def a_link(settings: LinkSettings = SETTINGS) -> Link:
    return Link(settings)


def call(call_id: str = "1", action: str = "DataTransfer", payload: str = "{}") -> str:
    return f'[2,"{call_id}","{action}",{payload}]'


def result(call_id: str = "1", payload: str = "{}") -> str:
    return f'[3,"{call_id}",{payload}]'


def error(call_id: str = "1") -> str:
    return f'[4,"{call_id}","GenericError","",{{}}]'


def hear(link: Link, side: Side, text: str, now: float = 0.0) -> list[Command]:
    return link.handle(Received(side, text), now)


def ask(link: Link, side: Side, call_id: str, now: float = 0.0) -> None:
    """A CALL that goes out and is written at once."""
    assert hear(link, side, call(call_id), now) == [Send(side.other, call(call_id))]
    assert link.handle(Flushed(side.other), now) == []


def pass_time(link: Link) -> tuple[float, list[Command]]:
    moment = link.deadline()
    assert moment is not None
    return moment, link.handle(TimePassed(), moment)


# --- Order and slots ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_r10_calls_keep_their_order_and_wait_for_the_one_slot(side: Side) -> None:
    link = a_link()
    ask(link, side, "1")

    assert hear(link, side, call("2")) == []
    assert hear(link, side, call("3")) == []
    assert link.queue == 2
    assert hear(link, side.other, result("1")) == [Send(side, result("1")), Send(side.other, call("2"))]
    assert hear(link, side.other, error("2")) == [Send(side, error("2")), Send(side.other, call("3"))]
    assert hear(link, side.other, result("3")) == [Send(side, result("3"))]
    assert link.queue == 0


def test_r10_calls_of_both_directions_cross_without_waiting_for_each_other() -> None:
    link = a_link()

    assert hear(link, STATION, call("1")) == [Send(SUPERVISION, call("1"))]
    assert hear(link, SUPERVISION, call("1", "Reset")) == [Send(STATION, call("1", "Reset"))]
    assert hear(link, STATION, result("1", '{"of":"station"}')) == [Send(SUPERVISION, result("1", '{"of":"station"}'))]
    assert hear(link, SUPERVISION, result("1", "{}")) == [Send(STATION, result("1", "{}"))]


@pytest.mark.parametrize("side", SIDES)
def test_r10_a_result_passes_calls_that_wait(side: Side) -> None:
    link = a_link()
    ask(link, side, "1")
    hear(link, side, call("2"))
    hear(link, side.other, call("a"))

    assert hear(link, side, result("a")) == [Send(side.other, result("a"))]


@pytest.mark.parametrize(
    "text",
    [
        ' [2, "a\\u0062c",\t"DataTransfer",{"n":1.10e+2,"n":1e400,  "x":[ ],"é":"\\u00e9"}]\n',
        '\ufeff[2,"abc","DataTransfer",{}]',
        '[2,"abc","DataTransfer",{"a":"\x00"}',
        '[2,"abc","DataTransfer"]',
        '[2,"abc","Vendor:Thing-Signed",{"payload":"e30","signatures":[]}]',
        '[2,"abc","Authorize",{"idTag":5,"more":true}]',
    ],
    ids=["odd", "BOM", "NUL and cut", "no payload", "signed and unknown", "against the schema"],
)
@pytest.mark.parametrize("side", SIDES)
def test_r11_and_r17_a_call_is_forwarded_byte_for_byte_whatever_its_payload(side: Side, text: str) -> None:
    assert hear(a_link(), side, text) == [Send(side.other, text)]


@pytest.mark.parametrize("side", SIDES)
def test_r11_results_are_forwarded_byte_for_byte(side: Side) -> None:
    link, text = a_link(), ' [3 , "a\\u0062c",{"n":0.10,"n":1}] '
    ask(link, side, "abc")

    assert hear(link, side.other, text) == [Send(side, text)]


@pytest.mark.parametrize("side", SIDES)
def test_r12_a_call_that_waited_for_message_timeout_is_dropped_unforwarded(side: Side) -> None:
    link = a_link()
    hear(link, side, call("1"), 0.0)  # never flushed, so that it has no deadline of its own
    hear(link, side, call("2"), 10.0)
    hear(link, side, call("3"), 11.0)

    assert pass_time(link) == (40.0, [Drop(side, "waited-too-long", call("2"))])
    assert pass_time(link) == (41.0, [Drop(side, "waited-too-long", call("3"))])
    assert hear(link, side.other, result("1"), 42.0) == [Send(side, result("1"))]
    assert link.queue == 0


@pytest.mark.parametrize("side", SIDES)
def test_r12_a_slot_that_comes_free_too_late_skips_those_that_gave_up(side: Side) -> None:
    link = a_link()
    hear(link, side, call("1"), 0.0)
    hear(link, side, call("2"), 1.0)
    hear(link, side, call("3"), 20.0)

    assert hear(link, side.other, result("1"), 31.0) == [
        Send(side, result("1")),
        Drop(side, "waited-too-long", call("2")),
        Send(side.other, call("3")),
    ]


@pytest.mark.parametrize("since", [0.3, 1e6 + 0.3, 123456.789, 2**31 + 0.1])
def test_r12_the_moment_of_dropping_is_the_deadline_whatever_floats_round_to(since: float) -> None:
    for timeout in (1.1, 7.0, 30.0, 59.9):
        link = a_link(msgspec.structs.replace(SETTINGS, message_timeout=timeout))
        hear(link, STATION, call("1"), since)
        hear(link, STATION, call("2"), since)

        _, commands = pass_time(link)

        assert commands == [Drop(STATION, "waited-too-long", call("2"))]


# --- Results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_r13_a_result_of_an_unknown_id_and_a_second_one_are_dropped(side: Side) -> None:
    link = a_link()

    assert hear(link, side, result("nobody")) == [Drop(side, "unexpected-result", result("nobody"))]
    ask(link, side.other, "1")
    assert hear(link, side, result("1")) == [Send(side.other, result("1"))]
    assert hear(link, side, result("1")) == [Drop(side, "unexpected-result", result("1"))]
    assert hear(link, side, error("1")) == [Drop(side, "unexpected-result", error("1"))]


def test_r13_a_result_goes_only_to_the_side_that_asked() -> None:
    link = a_link()
    ask(link, STATION, "1")

    assert hear(link, STATION, result("1")) == [Drop(STATION, "unexpected-result", result("1"))]
    assert hear(link, SUPERVISION, result("1")) == [Send(STATION, result("1"))]


def test_r13_a_result_of_a_call_that_still_waits_is_nobodys() -> None:
    link = a_link()
    ask(link, STATION, "1")
    hear(link, STATION, call("2"))

    assert hear(link, SUPERVISION, result("2")) == [Drop(SUPERVISION, "unexpected-result", result("2"))]


def test_r13_a_first_late_result_still_goes_to_the_asker_and_a_second_does_not() -> None:
    link = a_link()
    ask(link, SUPERVISION, "1")
    moment, commands = pass_time(link)

    assert commands == [Drop(SUPERVISION, "unanswered", call("1"))]
    assert hear(link, STATION, result("1"), moment) == [Send(SUPERVISION, result("1"))]
    assert hear(link, STATION, result("1"), moment) == [Drop(STATION, "unexpected-result", result("1"))]


@pytest.mark.parametrize(("more", "is_known"), [(FREED_IDS_KEPT - 1, True), (FREED_IDS_KEPT, False)])
def test_r13_the_last_256_freed_ids_are_remembered(more: int, is_known: bool) -> None:
    link = a_link(SETTINGS_21)
    ask(link, SUPERVISION, "late")
    moment, _ = pass_time(link)
    for number in range(more):
        ask(link, SUPERVISION, str(number), moment)
        hear(link, STATION, result(str(number)), moment)

    (command,) = hear(link, STATION, result("late"), moment)

    assert isinstance(command, Send) is is_known


def test_r13_where_nobody_can_complain_of_answers_they_push_no_late_one_out() -> None:
    link = a_link()
    ask(link, SUPERVISION, "late")
    moment, _ = pass_time(link)
    for number in range(2 * FREED_IDS_KEPT):
        ask(link, SUPERVISION, str(number), moment)
        hear(link, STATION, result(str(number)), moment)

    assert hear(link, STATION, result("late"), moment) == [Send(SUPERVISION, result("late"))]
    assert hear(link, STATION, result("0"), moment) == [Drop(STATION, "unexpected-result", result("0"))]


def test_r29_freed_ids_of_any_length_are_answered_but_not_remembered() -> None:
    link, long_id = a_link(), "x" * (LONGEST_FREED_ID + 1)
    ask(link, SUPERVISION, long_id)
    assert hear(link, STATION, result(long_id)) == [Send(SUPERVISION, result(long_id))]
    ask(link, SUPERVISION, long_id)
    moment, _ = pass_time(link)

    assert hear(link, STATION, result(long_id), moment) == [Drop(STATION, "unexpected-result", result(long_id))]


# --- Repeats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_r14_a_repeat_is_not_forwarded_while_open_and_not_queued_while_waiting(side: Side) -> None:
    link = a_link()
    ask(link, side, "1")
    hear(link, side, call("2"))

    for call_id in ("1", "2"):
        other_text = call(call_id, "Heartbeat", '{"a":1}')
        assert hear(link, side, call(call_id)) == [Drop(side, "repeated", call(call_id))]
        assert hear(link, side, other_text) == [Drop(side, "id-reused", other_text)]
    assert link.queue == 1


def test_r14_an_id_is_the_same_however_it_is_escaped() -> None:
    link = a_link()
    ask(link, STATION, "A")

    assert hear(link, STATION, '[2,"\\u0041","Heartbeat",{}]') == [
        Drop(STATION, "id-reused", '[2,"\\u0041","Heartbeat",{}]')
    ]


def test_r14_an_id_that_was_answered_may_be_used_again() -> None:
    link = a_link()
    for _ in range(3):
        ask(link, STATION, "1")
        assert hear(link, SUPERVISION, result("1")) == [Send(STATION, result("1"))]


# --- Message types ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_r16_send_passes_at_once_on_21_and_is_unknown_before(side: Side) -> None:
    text = '[6,"1","NotifyPeriodicEventStream",{}]'
    link = a_link(SETTINGS_21)
    ask(link, side, "0")

    assert hear(link, side, text) == [Send(side.other, text)]
    assert hear(a_link(), side, text) == [Drop(side, "unknown-type", text)]


@pytest.mark.parametrize("side", SIDES)
def test_r13_and_r16_a_result_error_passes_only_from_who_asked_and_was_answered(side: Side) -> None:
    text = '[5,"1","FormatViolation","",{}]'
    link = a_link(SETTINGS_21)

    assert hear(link, side, text) == [Drop(side, "unexpected-result-error", text)]
    ask(link, side, "1")
    assert hear(link, side, text) == [Drop(side, "unexpected-result-error", text)]
    hear(link, side.other, result("1"))
    assert hear(link, side.other, text) == [Drop(side.other, "unexpected-result-error", text)]
    assert hear(link, side, text) == [Send(side.other, text)]
    assert hear(a_link(), side, text) == [Drop(side, "unknown-type", text)]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[0,"1",{}]', "unknown-type"),
        ('[7,"1",{}]', "unknown-type"),
        ("hello", "envelope"),
        ("", "envelope"),
        ('[2,"1"]', "envelope"),
        ("[" * 100_000, "envelope"),
        ('[2,"1","Heart', "envelope"),
    ],
)
def test_r16_and_r18_what_cannot_be_read_is_dropped_and_the_link_lives(side: Side, text: str, why: str) -> None:
    link = a_link()

    assert hear(link, side, text) == [Drop(side, why, text)]
    assert not link.is_over
    ask(link, side, "1")


# --- What the agent takes for itself ------------------------------------------------------------------------------


def test_r20_a_security_event_is_kept_then_answered_and_never_forwarded() -> None:
    link = a_link()

    assert hear(link, STATION, SECURITY_EVENT) == [Keep(parse(SECURITY_EVENT))]
    assert link.handle(Stored("s1"), 1.0) == [Send(STATION, '[3,"s1",{}]')]
    assert link.handle(Stored("s1"), 1.0) == []
    assert link.deadline() is None


def test_r20_a_held_call_takes_no_slot_and_its_repeats_are_dropped() -> None:
    link = a_link()
    hear(link, STATION, SECURITY_EVENT)

    ask(link, STATION, "1")
    assert hear(link, STATION, SECURITY_EVENT) == [Drop(STATION, "repeated", SECURITY_EVENT)]
    other = call("s1", "Heartbeat")
    assert hear(link, STATION, other) == [Drop(STATION, "id-reused", other)]
    assert hear(link, SUPERVISION, result("s1")) == [Drop(SUPERVISION, "unexpected-result", result("s1"))]


def test_r19_and_r36_a_held_call_that_was_not_stored_in_time_stays_unanswered() -> None:
    link = a_link()
    hear(link, STATION, SECURITY_EVENT, 5.0)

    assert pass_time(link) == (5.0 + DECIDE_WITHIN_S, [Drop(STATION, "undecided", SECURITY_EVENT)])
    assert link.handle(Stored("s1"), 20.0) == []
    assert hear(link, STATION, SECURITY_EVENT, 21.0) == [Keep(parse(SECURITY_EVENT))]


def test_r36_an_event_that_could_not_be_stored_stays_unanswered_and_may_come_again() -> None:
    link = a_link()
    hear(link, STATION, SECURITY_EVENT)

    assert link.handle(Stored("s1", STATION, is_stored=False), 1.0) == [Drop(STATION, "undecided", SECURITY_EVENT)]
    assert hear(link, STATION, SECURITY_EVENT, 2.0) == [Keep(parse(SECURITY_EVENT))]


def test_r23_an_answer_that_comes_after_the_end_is_discarded() -> None:
    link = a_link()
    hear(link, STATION, SECURITY_EVENT)
    link.handle(Closed(SUPERVISION, 1000, ""), 1.0)

    assert link.handle(Stored("s1"), 1.0) == []


def test_r29_held_calls_are_bounded_in_number_and_in_text() -> None:
    def event(number: int, text: str = "") -> str:
        return call(str(number), "SecurityEventNotification", f'{{"techInfo":"{text}"}}')

    many, large = a_link(), a_link()
    for number in range(MOST_WAITING):
        assert hear(many, STATION, event(number)) == [Keep(parse(event(number)))]
    hear(large, STATION, event(0, "x" * (MOST_HELD_CHARACTERS - 200)))

    assert hear(many, STATION, event(99)) == [Drop(STATION, "undecided", event(99))]
    assert hear(large, STATION, event(1, "y" * 200)) == [Drop(STATION, "undecided", event(1, "y" * 200))]
    assert hear(large, STATION, event(2)) == [Keep(parse(event(2)))]
    assert many.handle(Stored("0"), 0.0) == [Send(STATION, result("0"))]
    assert hear(many, STATION, event(99)) == [Keep(parse(event(99)))]


def test_r20_a_supervision_that_wants_security_events_gets_them_untouched() -> None:
    link = a_link(msgspec.structs.replace(SETTINGS, forward_security_events=True))

    assert hear(link, STATION, SECURITY_EVENT) == [Send(SUPERVISION, SECURITY_EVENT)]


# --- Time ---------------------------------------------------------------------------------------------------------


def test_r25_the_time_of_a_call_runs_from_its_last_byte() -> None:
    link = a_link()
    hear(link, STATION, call("1", "Authorize"), 0.0)
    assert link.deadline() is None

    link.handle(Flushed(SUPERVISION), 12.0)
    link.handle(Flushed(SUPERVISION), 20.0)

    assert pass_time(link) == (
        42.0,
        [
            Lost(SUPERVISION, "message-timeout", "Authorize unanswered for 30 s", "Authorize"),
            Close(STATION, 1001, "supervision does not answer"),
            Close(SUPERVISION, 1001, "supervision does not answer"),
        ],
    )
    assert link.is_over


def test_r25_a_flush_of_the_other_side_starts_no_clock() -> None:
    link = a_link()
    hear(link, STATION, call("1"), 0.0)

    link.handle(Flushed(STATION), 1.0)

    assert link.deadline() is None


def test_r25_a_call_that_a_station_leaves_unanswered_frees_the_slot_and_condemns_nobody() -> None:
    link = a_link()
    ask(link, SUPERVISION, "1", 0.0)
    hear(link, SUPERVISION, call("2"), 20.0)

    assert pass_time(link) == (30.0, [Drop(SUPERVISION, "unanswered", call("1")), Send(STATION, call("2"))])
    assert not link.is_over


def test_r25_a_silent_supervision_alone_is_condemned_where_the_site_says_so() -> None:
    lenient = msgspec.structs.replace(SETTINGS, condemn_any=False)
    silent, talking = a_link(lenient), a_link(lenient)
    for link in (silent, talking):
        ask(link, STATION, "1", 5.0)
    hear(talking, SUPERVISION, call("x", "Reset"), 6.0)
    hear(talking, STATION, call("2"), 20.0)

    _, condemned = pass_time(silent)
    _, spared = pass_time(talking)

    assert [type(command) for command in condemned] == [Lost, Close, Close]
    assert spared == [Drop(STATION, "unanswered", call("1")), Send(SUPERVISION, call("2"))]


def test_r25_what_a_supervision_said_before_it_was_asked_does_not_spare_it() -> None:
    link = a_link(msgspec.structs.replace(SETTINGS, condemn_any=False))
    hear(link, SUPERVISION, call("x", "Reset"), 4.9)
    ask(link, STATION, "1", 5.0)

    hear(link, STATION, result("x"), 6.0)

    assert [type(command) for command in pass_time(link)[1]] == [Lost, Close, Close]


def test_r25_and_r43_another_message_timeout_acts_at_once_on_calls_that_are_open() -> None:
    link = a_link(msgspec.structs.replace(SETTINGS, condemn_any=False))
    hear(link, SUPERVISION, call("x", "Reset"), 1.0)
    ask(link, STATION, "1", 5.0)

    link.settings = msgspec.structs.replace(link.settings, message_timeout=10.0)

    assert link.deadline() == 15.0
    assert [type(command) for command in pass_time(link)[1]] == [Lost, Close, Close]


def test_time_that_passes_before_anything_is_due_does_nothing() -> None:
    link = a_link()
    ask(link, STATION, "1", 0.0)
    hear(link, STATION, call("2"), 0.0)
    hear(link, STATION, SECURITY_EVENT, 0.0)

    assert link.handle(TimePassed(), 9.9) == []
    assert a_link().deadline() is None


# --- The end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("code", "reason", "passed"),
    [
        (1000, "done", (1000, "done")),
        (1001, "", (1001, "")),
        (1003, "", (1003, "")),
        (1005, "", (1005, "")),
        (1011, "oops", (1011, "oops")),
        (1012, "", (1012, "")),
        (1014, "", (1014, "")),
        (3000, "", (3000, "")),
        (4999, "mine", (4999, "mine")),
        (1004, "x", (1001, None)),
        (1006, "x", (1001, None)),
        (1015, "x", (1001, None)),
        (0, "x", (1001, None)),
        (999, "x", (1001, None)),
        (1016, "x", (1001, None)),
        (2999, "x", (1001, None)),
        (5000, "x", (1001, None)),
        (65535, "x", (1001, None)),
        (-1, "x", (1001, None)),
    ],
)
def test_r26_a_close_passes_with_code_and_reason_or_as_going_away(
    side: Side, code: int, reason: str, passed: tuple[int, str | None]
) -> None:
    lost, close = a_link().handle(Closed(side, code, reason), 0.0)

    assert isinstance(lost, Lost)
    assert lost.side is side
    assert str(code) in lost.detail
    assert close == Close(side.other, passed[0], f"{side.name.lower()} lost" if passed[1] is None else passed[1])


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("", ""),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("é" * 61 + "x", "é" * 61 + "x"),
        ("é" * 62, "é" * 61),
        ("x" * 122 + "😀", "x" * 122),
        ("\ud800", "?"),
    ],
)
def test_r26_a_reason_is_cut_at_123_bytes_on_a_character(reason: str, cut: str) -> None:
    assert cut_reason(reason) == cut
    assert a_link().handle(Closed(STATION, 1000, reason), 0.0)[-1] == Close(SUPERVISION, 1000, cut)


def test_r26_a_lost_leg_keeps_the_class_of_its_loss() -> None:
    assert a_link().handle(Closed(STATION, 1006, "no answer to pings", "ping"), 0.0) == [
        Lost(STATION, "ping", "station closed with 1006 (no answer to pings)"),
        Close(SUPERVISION, 1001, "station lost"),
    ]


def test_the_agents_own_end_closes_both_sides_the_station_with_its_code() -> None:
    assert a_link().handle(EndRequested(1012, "configuration changed", "closed"), 0.0) == [
        Lost(None, "closed", "configuration changed"),
        Close(STATION, 1012, "configuration changed"),
        Close(SUPERVISION, 1001, "configuration changed"),
    ]


def test_r26_nothing_is_done_after_the_end() -> None:
    link = a_link()
    ask(link, STATION, "1")
    hear(link, STATION, SECURITY_EVENT)
    link.handle(Closed(STATION, 1000, ""), 0.0)

    for event in (
        Received(SUPERVISION, result("1")),
        Received(STATION, call("2")),
        Flushed(SUPERVISION),
        Closed(SUPERVISION, 1000, ""),
        EndRequested(1001, "", "closed"),
        Stored("s1"),
        TimePassed(),
    ):
        assert link.handle(event, 100.0) == []


@pytest.mark.parametrize("side", SIDES)
def test_r29_more_than_64_waiting_calls_end_the_link_as_slow(side: Side) -> None:
    link = a_link()
    ask(link, side, "open")
    for number in range(MOST_WAITING):
        assert hear(link, side, call(str(number))) == []

    commands = hear(link, side, call("one more"))

    assert [type(command) for command in commands] == [Lost, Close, Close]
    assert isinstance(commands[0], Lost)
    assert (commands[0].side, commands[0].error) == (side.other, "slow")


@pytest.mark.parametrize(("excess", "is_over"), [(0, False), (1, True)])
def test_r29_a_mebibyte_of_waiting_calls_is_the_most(excess: int, is_over: bool) -> None:
    link = a_link()
    ask(link, STATION, "open")
    frame = len(call("big", "X", '""'))
    hear(link, STATION, call("big", "X", f'"{"x" * (MOST_WAITING_CHARACTERS - frame + excess)}"'))

    assert link.is_over is is_over


def test_r29_a_queue_that_drains_has_room_again() -> None:
    link = a_link()
    large = call("{}", "X", f'"{"x" * (MOST_WAITING_CHARACTERS // 2)}"')
    ask(link, STATION, "open")
    previous = "open"
    for number in range(10):
        hear(link, STATION, large.replace("{}", str(number)))
        hear(link, SUPERVISION, result(previous))
        previous = str(number)

    assert not link.is_over
    assert link.queue == 0
