"""What a new operator is told of a station that booted under another one, step by step (rule 45)."""

import json
from collections.abc import Callable

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.bootreplay import (
    AGAIN_AFTER_S,
    LONGEST_WAIT_S,
    MOST_ATTEMPTS,
    TRIGGERED_WITHIN_S,
    Ask,
    AwaitBoot,
    Outcome,
    Replay,
    Step,
    Told,
    is_due,
    replay,
)
from pointsman_agent.observation import Kept
from pointsman_agent.ocpp.events import Event, OwnCallAsked
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.replay import RunningReplay

STATION, SUPERVISION = Side.STATION, Side.SUPERVISION
BOOT = {"chargePointVendor": "v", "chargePointModel": "m"}
ACCEPTED = OwnAnswer({"status": "Accepted", "interval": 300})
NOT_SUPPORTED = OwnAnswer({}, "NotSupported")


def status_of(connector: int) -> dict[str, object]:
    return {"connectorId": connector, "status": "Available", "errorCode": "NoError"}


def known(protocol: str = "ocpp1.6", interval: int = 300, connectors: int = 2) -> Kept:
    return Kept(
        protocol,
        json.dumps([2, "old", "BootNotification", BOOT]),
        {f"0/{each}": json.dumps([2, "old", "StatusNotification", status_of(each)]) for each in range(connectors)},
        accepted_by="ws://old",
        interval=interval,
    )


Answers = Callable[[Step], OwnAnswer | None]


def told(kept: Kept, protocol: str, answers: Answers) -> tuple[list[Step], Told]:
    """Run a replay; return its steps, and what came of it."""
    steps: list[Step] = []
    ends: list[Told] = []

    def watched() -> Replay:
        ends.append((yield from replay(kept, protocol)))
        return ends[0]

    running = watched()
    step = next(running, None)
    while step is not None and len(steps) < 300:
        steps.append(step)
        try:
            step = running.send(answers(step))
        except StopIteration:
            break
    return steps, ends[0]


def boots(steps: list[Step]) -> list[Step]:
    return [step for step in steps if isinstance(step, Ask) and step.action == "BootNotification"]


def test_r45_is_due_only_where_another_operator_accepted_the_boot() -> None:
    assert is_due(known(), "ws://new")
    assert not is_due(known(), "ws://old")
    assert not is_due(Kept(boot="[]"), "ws://new")  # its station repeats it
    assert not is_due(Kept(accepted_by="ws://old"), "ws://new")


def test_r45_a_2x_stations_boot_and_connectors_are_told_for_it() -> None:
    steps, outcome = told(known("ocpp2.0.1"), "ocpp2.0.1", lambda _: ACCEPTED)

    assert steps == [
        Ask(SUPERVISION, "BootNotification", BOOT),
        Ask(SUPERVISION, "StatusNotification", status_of(0)),
        Ask(SUPERVISION, "StatusNotification", status_of(1)),
    ]
    assert outcome == Told(Outcome.ACCEPTED, 300)


def test_r45_a_16_station_that_can_is_asked_to_say_it_itself() -> None:
    steps, outcome = told(known(), "ocpp1.6", lambda _: ACCEPTED)

    assert steps == [
        Ask(STATION, "TriggerMessage", {"requestedMessage": "BootNotification"}),
        AwaitBoot(TRIGGERED_WITHIN_S),
        Ask(SUPERVISION, "StatusNotification", status_of(0)),  # of the whole station nothing can be triggered
        Ask(STATION, "TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
    ]
    assert outcome.outcome is Outcome.BOOTED


def test_r45_a_16_station_that_cannot_is_spoken_for() -> None:
    for refusal in (NOT_SUPPORTED, OwnAnswer({"status": "Rejected"}), OwnAnswer({"status": "NotImplemented"}), None):

        def answer(step: Step, why: OwnAnswer | None = refusal) -> OwnAnswer | None:
            return why if isinstance(step, Ask) and step.side is STATION else ACCEPTED

        steps, outcome = told(known(), "ocpp1.6", answer)
        assert steps[1:] == [
            Ask(SUPERVISION, "BootNotification", BOOT),
            Ask(SUPERVISION, "StatusNotification", status_of(0)),
            Ask(SUPERVISION, "StatusNotification", status_of(1)),
        ]
        assert outcome.outcome is Outcome.ACCEPTED


def test_r45_a_station_that_promises_a_boot_and_sends_none_is_spoken_for() -> None:
    steps, outcome = told(known(), "ocpp1.6", lambda step: None if isinstance(step, AwaitBoot) else ACCEPTED)

    assert Ask(SUPERVISION, "BootNotification", BOOT) in steps
    assert outcome.outcome is Outcome.ACCEPTED


def test_r45_another_heartbeat_interval_is_set_on_the_station_once() -> None:
    accepted = OwnAnswer({"status": "Accepted", "interval": 60})
    for protocol, setting in (
        ("ocpp1.6", Ask(STATION, "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"})),
        (
            "ocpp2.1",
            Ask(
                STATION,
                "SetVariables",
                {
                    "setVariableData": [
                        {
                            "component": {"name": "OCPPCommCtrlr"},
                            "variable": {"name": "HeartbeatInterval"},
                            "attributeValue": "60",
                        }
                    ]
                },
            ),
        ),
    ):
        steps, outcome = told(
            known(protocol),
            protocol,
            lambda step: NOT_SUPPORTED if getattr(step, "action", "") == "TriggerMessage" else accepted,
        )
        assert steps.count(setting) == 1
        assert outcome == Told(Outcome.ACCEPTED, 60)


def test_r45_an_operator_that_does_not_accept_is_asked_again_after_its_interval_three_times() -> None:
    pending = OwnAnswer({"status": "Pending", "interval": 20})
    steps, outcome = told(
        known("ocpp2.0.1"), "ocpp2.0.1", lambda step: None if isinstance(step, AwaitBoot) else pending
    )

    assert steps == [
        Ask(SUPERVISION, "BootNotification", BOOT),
        AwaitBoot(20),
        Ask(SUPERVISION, "BootNotification", BOOT),
        AwaitBoot(20),
        Ask(SUPERVISION, "BootNotification", BOOT),
    ]
    assert outcome == Told(Outcome.REFUSED, words="Pending")


def test_r45_an_operator_that_does_not_answer_loses_no_station() -> None:
    steps, outcome = told(known("ocpp2.0.1"), "ocpp2.0.1", lambda _: None)

    assert [step.seconds for step in steps if isinstance(step, AwaitBoot)] == [AGAIN_AFTER_S] * 2
    assert outcome.outcome is Outcome.SILENT


def test_r45_a_station_that_boots_itself_is_left_to_it() -> None:
    rejected = OwnAnswer({"status": "Rejected", "interval": 5})
    steps, outcome = told(known("ocpp2.0.1"), "ocpp2.0.1", lambda _: rejected)

    assert len(boots(steps)) == 1
    assert outcome.outcome is Outcome.BOOTED


def test_r45_what_was_heard_in_another_protocol_is_not_told() -> None:
    steps, outcome = told(known("ocpp1.6"), "ocpp2.0.1", lambda _: ACCEPTED)

    assert steps == []
    assert outcome.outcome is Outcome.SILENT


words = st.sampled_from(["Accepted", "Pending", "Rejected", "NotImplemented", "", "\x00"])
answers = st.one_of(
    st.none(),
    st.builds(lambda word, interval: OwnAnswer({"status": word, "interval": interval}), words, st.integers(-5, 10**9)),
    st.builds(lambda value: OwnAnswer({"status": value, "interval": value}), st.none() | st.booleans() | st.text()),
    st.just(NOT_SUPPORTED),
)


@given(st.sampled_from(["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]), st.integers(0, 6), st.data())
def test_r45_whatever_is_answered_it_ends_and_asks_for_little(
    protocol: str, connectors: int, data: st.DataObject
) -> None:
    kept = known(protocol, connectors=connectors)

    steps, _ = told(kept, protocol, lambda _: data.draw(answers))

    assert len(boots(steps)) <= MOST_ATTEMPTS
    assert len(steps) <= 2 * MOST_ATTEMPTS + 3 + 2 * connectors
    assert all(0 < step.seconds <= LONGEST_WAIT_S for step in steps if isinstance(step, AwaitBoot))


async def test_the_first_call_is_at_hand_before_anything_runs(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    running = RunningReplay(replay(known("ocpp2.0.1", connectors=0), "ocpp2.0.1"))
    asked: list[Event] = []
    outcomes: list[Told | None] = []

    async def run() -> None:
        outcomes.append(await running.run(asked.append))

    assert json.loads(running.first.text)[2:] == ["BootNotification", BOOT]
    nursery.start_soon(run)
    running.answered("another", None)
    running.answered(running.first.call_id, f'[3,"{running.first.call_id}",{{"status":"Pending","interval":7}}]')
    await trio.sleep(8)
    (again,) = asked
    assert isinstance(again, OwnCallAsked)
    running.answered(again.call_id, f'[3,"{again.call_id}",{{"status":"Accepted","interval":300}}]')
    await trio.sleep(1)

    assert outcomes == [Told(Outcome.ACCEPTED, 300)]


async def test_a_telling_ends_with_its_link(autojump_clock: trio.testing.MockClock) -> None:
    running = RunningReplay(replay(known("ocpp2.0.1"), "ocpp2.0.1"))
    running.over()
    told: list[Event] = []

    assert await running.run(told.append) is None
    assert told == []
