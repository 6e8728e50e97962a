"""What the messages of a station tell of it (rules 44 and 45)."""

import json
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.entries import StationFact
from pointsman_agent.observation import MOST_OPEN, MOST_PLACES, Kept, News, Observation
from pointsman_agent.observer import REST_S, SOON_S, Observer
from pointsman_agent.ocpp.frame import Frame, parse
from support.fakes import FakeClock, MemoryJournal


def a_call(action: str, payload: dict[str, Any], call_id: str = "1") -> Frame:
    return parse(json.dumps([2, call_id, action, payload]))


def an_answer(payload: dict[str, Any], call_id: str = "1") -> Frame:
    return parse(json.dumps([3, call_id, payload]))


def a_start(connector: int = 1) -> Frame:
    return a_call("StartTransaction", {"connectorId": connector, "idTag": "A", "meterStart": 0, "timestamp": "t"})


def a_stop(number: int) -> Frame:
    return a_call("StopTransaction", {"transactionId": number, "meterStop": 0, "timestamp": "t"})


def an_event(kind: str, transaction: str, evse: int = 1) -> Frame:
    fields = {"eventType": kind, "transactionInfo": {"transactionId": transaction}, "evse": {"id": evse}}
    return a_call("TransactionEvent", fields)


def a_status(connector: int, status: str) -> Frame:
    return a_call("StatusNotification", {"connectorId": connector, "status": status, "errorCode": "NoError"})


def heard(*calls: Frame, protocol: str = "ocpp1.6") -> Observation:
    observation = Observation()
    for call in calls:
        observation.hear(protocol, call, 0.0)
    return observation


def started(observation: Observation, number: int, connector: int = 1) -> None:
    start = a_start(connector)
    observation.hear("ocpp1.6", start, 0.0)
    observation.hear_answer(start, an_answer({"transactionId": number, "idTagInfo": {"status": "Accepted"}}), "acme")


def test_r44_a_station_of_which_nothing_was_heard_may_be_charging() -> None:
    assert Observation().may_be_charging
    assert heard(a_call("Heartbeat", {})).may_be_charging


def test_r44_a_station_whose_connectors_are_free_is_not_charging() -> None:
    assert not heard(a_status(0, "Available"), a_status(1, "Available"), a_status(2, "Faulted")).may_be_charging


@pytest.mark.parametrize("status", ["Charging", "SuspendedEV", "SuspendedEVSE", "Occupied"])
def test_r44_one_that_was_charging_before_it_was_heard_may_be_until_that_ended(status: str) -> None:
    observation = heard(a_status(0, "Available"), a_status(1, status), a_status(2, "Available"))
    assert observation.may_be_charging

    observation.hear("ocpp1.6", a_status(1, "Finishing"), 1.0)
    assert not observation.may_be_charging


def test_r44_the_state_of_the_station_itself_says_nothing_of_its_connectors() -> None:
    assert heard(a_status(0, "Available")).may_be_charging


def test_r44_a_transaction_of_16_is_open_from_its_start_under_the_id_of_the_answer() -> None:
    observation = heard(a_status(1, "Available"))
    start = a_start()

    assert observation.hear("ocpp1.6", start, 0.0) is News.NOW
    assert observation.may_be_charging
    assert observation.hear_answer(start, an_answer({"transactionId": 77}), "acme") is News.NOW
    assert list(observation.open) == ["77"]
    assert observation.hear("ocpp1.6", a_stop(77), 9.0) is News.NOW
    assert not observation.may_be_charging


def test_r44_a_stop_under_an_id_that_was_not_heard_ends_the_start_whose_answer_was_not() -> None:
    observation = heard(a_status(1, "Available"), a_start())

    observation.hear("ocpp1.6", a_stop(5), 1.0)

    assert not observation.open


def test_r44_a_stop_of_another_transaction_ends_none() -> None:
    observation = heard(a_status(1, "Available"))
    started(observation, 77)

    observation.hear("ocpp1.6", a_stop(78), 1.0)

    assert list(observation.open) == ["77"]


def test_r44_a_new_start_at_a_connector_ends_what_was_lost_there() -> None:
    observation = heard(a_status(1, "Available"))
    started(observation, 1, connector=1)
    started(observation, 2, connector=2)
    started(observation, 3, connector=1)

    assert observation.open == {"2": 2, "3": 1}


def test_r44_meter_values_tell_of_a_transaction_that_began_unheard() -> None:
    observation = heard(a_call("MeterValues", {"connectorId": 2, "transactionId": 9, "meterValue": []}))

    assert observation.open == {"9": 2}


def test_r44_a_transaction_of_2x_is_open_from_its_first_event_to_ended() -> None:
    observation = heard(an_event("Updated", "T-1"), protocol="ocpp2.0.1")
    assert observation.open == {"T-1": 1}

    assert observation.hear("ocpp2.0.1", an_event("Updated", "T-1"), 5.0) is News.NONE
    assert observation.heard_transaction == 5.0
    assert observation.hear("ocpp2.0.1", an_event("Ended", "T-1"), 6.0) is News.NOW
    assert not observation.open


def test_r45_boot_and_states_are_kept_as_they_came() -> None:
    boot = a_call("BootNotification", {"reason": "PowerUp"})
    status = a_call("StatusNotification", {"evseId": 1, "connectorId": 2, "connectorStatus": "Available"})
    observation = heard(boot, status, protocol="ocpp2.1")

    assert (observation.protocol, observation.boot, observation.statuses) == (
        "ocpp2.1",
        boot.text,
        {"1/2": status.text},
    )


def test_what_is_stored_comes_back_as_it_was() -> None:
    observation = heard(a_call("BootNotification", {}), a_status(1, "Charging"), a_start())

    assert Observation(observation.kept()).kept() == observation.kept()


def test_a_station_that_invents_things_fills_no_memory() -> None:
    observation = Observation()
    for number in range(MOST_PLACES + MOST_OPEN):
        observation.hear("ocpp1.6", a_status(number, "Available"), 0.0)
        observation.hear("ocpp2.0.1", an_event("Started", f"T-{number}", evse=number), 0.0)

    assert len(observation.statuses) == MOST_PLACES
    assert len(observation.open) == MOST_OPEN


_NAMES = st.sampled_from(
    ["connectorId", "evseId", "evse", "id", "transactionId", "transactionInfo", "eventType", "status"]
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["Ended", "Charging", "T-1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=4),
)
_ACTIONS = st.sampled_from(
    ["BootNotification", "StatusNotification", "StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"]
)


@given(calls=st.lists(st.tuples(_ACTIONS, st.dictionaries(_NAMES, _ANYTHING, max_size=4)), max_size=8))
def test_nothing_that_a_station_may_say_breaks_an_observation(calls: list[tuple[str, dict[str, Any]]]) -> None:
    observation = Observation()
    for action, payload in calls:
        call = a_call(action, payload)
        observation.hear("ocpp1.6", call, 0.0)
        observation.hear_answer(call, an_answer(payload), "acme")

    assert Observation(observation.kept()).kept() == observation.kept()


# --- The observer -------------------------------------------------------------------------------------------------


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(FakeClock())


async def kept_of(journal: MemoryJournal, station: str) -> Kept:
    observer = Observer(journal)
    await observer.load()
    return observer.of(station).kept()


async def test_r44_a_start_is_stored_at_once_and_a_state_soon(
    journal: MemoryJournal, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    observer = Observer(journal)
    nursery.start_soon(observer.run)
    await trio.testing.wait_all_tasks_blocked()

    observer.hear("CP-1", "ocpp1.6", a_status(1, "Charging"))
    await trio.testing.wait_all_tasks_blocked()
    assert await kept_of(journal, "CP-1") == Kept()
    observer.hear("CP-1", "ocpp1.6", a_start())
    await trio.testing.wait_all_tasks_blocked()
    assert (await kept_of(journal, "CP-1")).open == {"?1": 1}
    observer.hear("CP-1", "ocpp1.6", a_status(1, "Finishing"))
    mock_clock.jump(REST_S)
    await trio.testing.wait_all_tasks_blocked()
    mock_clock.jump(SOON_S + 0.1)
    await trio.testing.wait_all_tasks_blocked()
    assert "Finishing" in (await kept_of(journal, "CP-1")).statuses["0/1"]


async def test_r44_what_a_full_disk_did_not_take_is_stored_later(
    journal: MemoryJournal, autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    observer = Observer(journal)
    nursery.start_soon(observer.run)
    journal.fault = "disk full"
    observer.hear("CP-1", "ocpp1.6", a_start())
    await trio.testing.wait_all_tasks_blocked()

    journal.fault = None
    await trio.sleep(60)

    assert (await kept_of(journal, "CP-1")).open == {"?1": 1}


async def test_a_station_that_left_for_good_is_forgotten(journal: MemoryJournal) -> None:
    observer = Observer(journal)
    observer.hear("CP-1", "ocpp1.6", a_start())
    await observer.flush()

    observer.forget("CP-1")
    await observer.flush()

    assert await journal.facts_named("observed") == {}


async def test_a_stored_observation_that_is_damaged_stops_nobody(journal: MemoryJournal) -> None:
    await journal.append(StationFact("CP-1", "observed", "{"))

    assert await kept_of(journal, "CP-1") == Kept()


def test_r45_who_accepted_a_boot_is_known_and_what_it_asked_for() -> None:
    observation = Observation()
    boot = parse('[2,"1","BootNotification",{}]')

    assert observation.hear_answer(boot, an_answer({"status": "Pending", "interval": 5}), "ws://a") is News.NONE
    assert observation.hear_answer(boot, an_answer({"status": "Accepted", "interval": 60}), "ws://a") is News.NOW
    assert observation.hear_answer(boot, an_answer({"status": "Accepted", "interval": 60}), "ws://a") is News.NONE
    assert (observation.kept().accepted_by, observation.kept().interval) == ("ws://a", 60)
    assert Observation(observation.kept()).kept() == observation.kept()
