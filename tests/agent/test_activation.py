"""A bundle takes over from another: who is touched, who waits, and how it goes back (rules 43 to 48)."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from pointsman_agent.activation.movement import SWEEP_EVERY_S
from pointsman_agent.activation.refusals import ASK_AGAIN_S
from pointsman_agent.activation.walk import RESUME_AGAIN_S, RETURN_AGAIN_S
from pointsman_agent.entries import TransactionStart, TransactionStop
from pointsman_agent.listener import ListenerFault
from pointsman_agent.routing import Route
from pointsman_schema.bundle import LOCAL, Activation, Config, UplinkPassword
from support.fakes import MemoryJournal, MemoryStore
from support.houses import RETRY_S, FakeStation, House, TiedClock, a_house, inline
from support.sites import a_config, a_listener, a_local_group, a_remote_group, a_station, a_supervision

OLD, NEW = "ws://127.0.0.1:1/old", "ws://127.0.0.1:1/new"
VOLT = "ws://127.0.0.1:1/volt"
PROBATION, DRAIN = 120, 3600
ALL_FREE = '[2,"1","StatusNotification",{"connectorId":1,"status":"Available","errorCode":"NoError"}]'
START = '[2,"2","StartTransaction",{"connectorId":1,"idTag":"A","meterStart":0,"timestamp":"t"}]'
STOP = '[2,"3","StopTransaction",{"transactionId":7,"meterStop":1,"timestamp":"t"}]'

Run = Callable[[], AbstractAsyncContextManager[House]]
Clock = trio.testing.MockClock


def site(stations: dict[str, str], *, url: str = OLD, spread: int = 0, drain: int = DRAIN, **acme: Any) -> Config:
    """A site of which `stations` says the operator of each: acme (at `url`), volt or local."""
    return a_config(
        supervisions={"acme": a_supervision(url, **acme), "volt": a_supervision(VOLT)},
        groups={"acme": a_remote_group("acme"), "volt": a_remote_group("volt"), LOCAL: a_local_group()},
        stations={name: a_station(operator, operator) for name, operator in stations.items()},
        badges={},
        activation=Activation(spread=spread, probation=PROBATION, drain_limit=drain),
    )


def many(count: int, operator: str = "acme") -> dict[str, str]:
    return {f"CP-{number:02}": operator for number in range(count)}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(TiedClock())


@pytest.fixture
def run(
    tmp_path: Path,
    store: MemoryStore,
    journal: MemoryJournal,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Begin a run of the agent on one state, again and again: each ends as by a power cut."""
    inline(monkeypatch)
    return lambda: a_house(tmp_path, store, journal, TiedClock())


@pytest.fixture
async def house(run: Run) -> AsyncIterator[House]:
    async with run() as begun:
        yield begun


async def settle(seconds: float = 0.1) -> None:
    """Let everybody do what there is to do by then."""
    await trio.sleep(seconds)


async def in_force(house: House, config: Config, *, come: bool = True) -> None:
    """Put the first bundle in force, and let its stations come."""
    assert await house.offer(config, 1)
    if come:
        house.come(*config.stations)
    await settle()


async def a_charging_station(house: House) -> FakeStation:
    """Put a bundle in force whose only station is acme's, and has a transaction open."""
    await in_force(house, site(many(1)))
    station = house.stations["CP-00"]
    station.say(ALL_FREE)
    station.say(START)
    return station


def failing(url: str, why: str = "tls (unknown authority)") -> Callable[[Route], str | None]:
    """No uplink to `url` is made."""

    def fails(route: Route) -> str | None:
        assert route.supervision is not None
        return why if route.supervision.url == url else None

    return fails


# --- Who is touched -----------------------------------------------------------------------------------------------


async def test_r43_another_url_touches_exactly_its_stations(autojump_clock: Clock, house: House) -> None:
    stations = many(3) | {"V-1": "volt", "L-1": LOCAL}
    await in_force(house, site(stations))

    assert await house.offer(site(stations, url=NEW), 2)
    await settle(RETRY_S + 1)

    for name in many(3):
        assert house.stations[name].past == [OLD, NEW]
    for name in ("V-1", "L-1"):
        assert len(house.stations[name].past) == 1


async def test_r43_a_flag_acts_at_once_on_connections_that_stay(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(2)))

    assert await house.offer(site(many(2), forward_security_events=True, message_timeout=5), 2)
    await settle()

    for station in house.stations.values():
        assert station.past == [OLD]
        (told,) = station.changes
        supervision = told.routing.routes[station.identity].supervision
        assert supervision is not None
        assert (supervision.forward_security_events, supervision.message_timeout) == (True, 5)


async def test_r43_an_unchanged_configuration_tells_nobody_anything(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(2)))
    before = house.holder.current

    assert await house.offer(site(many(2)), 2)
    await settle()

    assert house.holder.current is before
    assert all(not station.changes for station in house.stations.values())
    assert house.bundle["active"]["sequence"] == 2


async def test_r43_reconnects_are_spread(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(10), spread=60))

    assert await house.offer(site(many(10), url=NEW, spread=60), 2)
    seen = []
    for _ in range(7):
        await settle(10)
        seen.append(sum(1 for station in house.stations.values() if station.past == [OLD]))

    assert seen[-1] == 0
    assert all(1 <= before - after <= 2 for before, after in pairwise(seen[:6]))


async def test_a_listener_that_admits_otherwise_turns_its_stations_out(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(2)))
    changed = a_config(
        **{name: getattr(site(many(2)), name) for name in site(many(2)).__struct_fields__}
        | {"listeners": {"lan": a_listener(9000, security_profile=1)}}
    )

    assert await house.offer(changed, 2)
    await settle(RETRY_S + 1)

    assert all(station.past == [OLD, OLD] for station in house.stations.values())


async def test_a_station_that_is_gone_is_told_so(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(2)))

    assert await house.offer(site(many(1)), 2)
    await settle()

    assert house.served_by("CP-00") == "acme"
    assert house.served_by("CP-01") is None


# --- Moves --------------------------------------------------------------------------------------------------------


async def test_r44_a_free_station_moves_with_the_switch(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(1)))
    house.stations["CP-00"].say(ALL_FREE)

    assert await house.offer(site(many(1, "volt")), 2)
    await settle(RETRY_S + 1)

    assert house.stations["CP-00"].past == [OLD, VOLT]
    assert "moved" in house.events


async def test_r44_a_station_with_an_open_transaction_moves_when_it_has_ended(
    autojump_clock: Clock, house: House
) -> None:
    station = await a_charging_station(house)

    assert await house.offer(site(many(1, "volt")), 2)
    await settle(600)
    assert station.past == [OLD]
    row = house.status.pending_moves["CP-00"]
    assert (row.left, row.operator) == ("acme", "volt")

    station.say(STOP)
    await settle(SWEEP_EVERY_S + RETRY_S + 1)
    assert station.past == [OLD, VOLT]
    assert not house.status.pending_moves


async def test_r44_a_station_of_which_nothing_is_known_counts_as_charging(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(1)))

    assert await house.offer(site(many(1, "volt")), 2)
    await settle(600)

    assert house.stations["CP-00"].past == [OLD]


async def test_r44_from_the_drain_limit_on_it_moves_as_it_is_and_the_ids_are_named(
    autojump_clock: Clock, house: House, journal: MemoryJournal
) -> None:
    station = await a_charging_station(house)

    assert await house.offer(site(many(1, "volt")), 2)
    await settle(DRAIN - 5)
    assert station.past == [OLD]
    await settle(10)

    assert station.past == [OLD, VOLT]
    (event,) = [each for each in journal.entries if getattr(each, "what", "") == "moved-late"]
    assert "?1" in getattr(event, "detail", "")


async def test_r44_an_offline_station_goes_to_its_old_operator_first(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(1)))
    house.stations["CP-00"].say(ALL_FREE)
    house.stations["CP-00"].leave()
    await settle()
    assert await house.offer(site(many(1, "volt")), 2)
    await settle(2 * DRAIN)

    house.come("CP-00")
    station = house.stations["CP-00"]
    await settle(30)
    station.say(STOP)  # it was queued
    await settle(58)
    assert station.past == [OLD]

    await settle(10)
    assert station.past == [OLD, VOLT]


async def test_r44_an_offline_stations_time_begins_when_it_comes(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(1)), come=False)
    assert await house.offer(site(many(1, "volt")), 2)
    house.fails = failing(OLD)  # what it left cannot be reached any more
    house.come("CP-00")
    station = house.stations["CP-00"]

    await settle(DRAIN - 10)
    assert station.past == []
    await settle(20)

    assert station.past == [VOLT]


async def test_r44_moves_survive_a_restart_and_a_second_bundle(
    autojump_clock: Clock, run: Run, store: MemoryStore
) -> None:
    three = {"CP-00": "acme", "CP-01": "acme", "V-1": "volt"}
    async with run() as house:
        await in_force(house, site(three))
        assert await house.offer(site(three | {"CP-00": "volt", "CP-01": "volt"}), 2)
        await settle()
    assert set(store.state.moves) == {"CP-00", "CP-01"}

    async with run() as house:
        assert await house.offer(site(three | {"CP-00": "volt", "CP-01": LOCAL}, forward_security_events=True), 3)
        await settle()
        house.come(*three)
        await settle()
        assert [house.served_by(name) for name in three] == ["acme", "acme", "volt"]
        assert house.status.pending_moves["CP-01"].operator == LOCAL
    assert set(store.state.moves) == {"CP-00", "CP-01"}

    async with run() as house:
        assert await house.offer(site(three | {"CP-01": LOCAL}), 4)
        house.come(*three)
        await settle()
        assert list(house.status.pending_moves) == ["CP-01"]
    assert set(store.state.moves) == {"CP-01"}


async def test_r44_a_move_from_the_controller_waits_for_what_the_journal_has_open(
    autojump_clock: Clock, house: House, journal: MemoryJournal
) -> None:
    await in_force(house, site({"L-1": LOCAL}))
    start = TransactionStart("L-1", START, 1, "a", 0, "t")
    number = (await journal.append(start)).transaction_id
    assert number is not None

    assert await house.offer(site({"L-1": "acme"}), 2)
    await settle(300)
    assert house.stations["L-1"].past == [""]

    await journal.append(TransactionStop("L-1", STOP, number, 1, "t", "Local"))
    await settle(SWEEP_EVERY_S + RETRY_S + 1)
    assert house.stations["L-1"].past == ["", OLD]


async def test_r44_a_transaction_that_begins_before_its_turn_keeps_a_station(
    autojump_clock: Clock, house: House
) -> None:
    stations = many(2)
    await in_force(house, site(stations, spread=60))
    for station in house.stations.values():
        station.say(ALL_FREE)

    assert await house.offer(site(many(2, "volt"), spread=60), 2)
    await settle(5)
    house.stations["CP-01"].say(START)
    await settle(120)

    assert house.stations["CP-00"].past == [OLD, VOLT]
    assert house.stations["CP-01"].past == [OLD]


async def test_r44_a_transaction_that_begins_while_a_switch_holds_a_move_up_keeps_the_station(
    autojump_clock: Clock, house: House
) -> None:
    station = await a_charging_station(house)
    assert await house.offer(site(many(1, "volt")), 2)
    await settle(SWEEP_EVERY_S)

    async with house.one_at_a_time:
        station.say(STOP)
        await settle(2 * SWEEP_EVERY_S)
        station.say(START)
    await settle(2 * SWEEP_EVERY_S)
    assert station.past == [OLD]

    station.say(STOP)
    await settle(SWEEP_EVERY_S + RETRY_S + 1)
    assert station.past == [OLD, VOLT]


async def test_a_station_that_is_gone_is_forgotten(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(2)))
    for station in house.stations.values():
        station.say(ALL_FREE)

    assert await house.offer(site(many(1)), 2)

    assert [house.observer.of(name).may_be_charging for name in many(2)] == [False, True]


async def test_r47_a_supervision_that_fails_after_a_drained_move_brings_back_that_station_alone(
    autojump_clock: Clock, house: House, store: MemoryStore
) -> None:
    await in_force(house, site(many(2)))
    first, second = (house.stations[name] for name in many(2))
    for station in (first, second):
        station.say(ALL_FREE)
    second.say(START)
    assert await house.offer(site(many(2, "volt")), 2)
    await settle(PROBATION + 60)
    assert first.past == [OLD, VOLT]
    house.fails = lambda route: (
        "tcp (refused)" if route.identity == "CP-01" and route.supervision_name == "volt" else None
    )

    second.say(STOP)
    await settle(PROBATION + 2 * RETRY_S + 5)

    assert second.past == [OLD, OLD]
    assert first.past == [OLD, VOLT]
    assert house.bundle["active"]["sequence"] == 2
    assert house.status.pending_moves["CP-01"].has_returned
    assert "stayed" in house.events
    await settle(DRAIN * 2)
    assert second.operator == "acme"

    house.fails = lambda route: None
    await house.activation.retry()
    await settle(120)
    assert second.past == [OLD, OLD, VOLT]
    await settle(PROBATION)
    assert store.state.moves == {}


async def test_r46_a_power_cut_while_a_moved_station_proves_itself_takes_it_back_first(
    autojump_clock: Clock, run: Run, store: MemoryStore
) -> None:
    async with run() as house:
        await in_force(house, site(many(1)))
        station = house.stations["CP-00"]
        station.say(ALL_FREE)
        station.say(START)
        assert await house.offer(site(many(1, "volt")), 2)
        await settle(PROBATION * 2)
        house.fails = failing(VOLT)
        station.say(STOP)
        await settle(10)
        assert station.operator is None

    async with run() as house:
        house.fails = failing(VOLT)
        house.come("CP-00")
        await settle()
        assert house.served_by("CP-00") == "acme"


# --- Probation ----------------------------------------------------------------------------------------------------


async def test_r47_failing_uplinks_bring_the_previous_bundle_back_at_once(
    autojump_clock: Clock, house: House, store: MemoryStore
) -> None:
    await in_force(house, site(many(40)))
    house.fails = failing(NEW)

    assert await house.offer(site(many(40), url=NEW), 2)
    assert house.status.state() == "probation"
    await settle(2 * RETRY_S + 1)

    assert all(station.operator == "acme" and station.past[-1] == OLD for station in house.stations.values())
    assert house.bundle["active"]["sequence"] == 1
    assert house.bundle["lastFailed"]["code"] == "probation"
    assert "of 40 uplinks to acme failed within" in house.bundle["lastFailed"]["message"]
    assert house.bundle["lastFailed"]["message"].endswith("tls (unknown authority)")
    assert store.state.highest_sequence == 2
    assert house.events == ["activated", "activated", "returned"]


async def test_r47_what_went_back_is_not_tried_again_and_a_better_one_is(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(3)))
    house.fails = failing(NEW)
    assert await house.offer(site(many(3), url=NEW), 2)
    await settle(10)

    assert not await house.offer(site(many(3), url=NEW), 2)
    assert not await house.offer(site(many(3), url=NEW), 3)
    assert house.bundle["lastFailed"]["code"] == "probation"
    assert house.bundle["quarantine"]["why"] == house.bundle["lastFailed"]["message"]

    assert await house.offer(site(many(3), url=VOLT), 4)
    await settle(10)
    assert all(station.past[-1] == VOLT for station in house.stations.values())
    assert house.bundle["quarantine"] is None
    assert house.bundle["lastFailed"] is None


async def test_r47_the_quarantine_is_lifted_by_hand_and_ends_by_itself(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(3)))
    house.fails = failing(NEW)
    assert await house.offer(site(many(3), url=NEW), 2)
    await settle(10)
    await house.activation.retry()
    assert await house.offer(site(many(3), url=NEW), 2)
    await settle(10)
    assert not await house.offer(site(many(3), url=NEW), 2)

    house.fails = lambda route: None
    await settle(24 * 3600)
    assert house.asked_again == 1
    assert await house.offer(site(many(3), url=NEW), 2)


async def test_r47_a_station_that_is_off_does_not_undo_a_good_bundle(autojump_clock: Clock, house: House) -> None:
    stations = many(3)
    await in_force(house, site(stations))
    house.stations["CP-02"].leave()
    await settle()

    assert await house.offer(site(stations, url=NEW), 2)
    await settle(PROBATION + 1)

    assert house.bundle["active"]["sequence"] == 2
    assert house.status.state() == "running"
    assert house.events[-1] == "proven"
    assert "CP-02" in getattr(house.journal.entries[-1], "detail", "")


async def test_r47_the_only_station_of_a_supervision_brings_it_back_when_time_is_up(
    autojump_clock: Clock, house: House
) -> None:
    await in_force(house, site(many(1)))
    house.fails = failing(NEW)

    assert await house.offer(site(many(1), url=NEW), 2)
    await settle(PROBATION - 1)
    assert house.bundle["active"]["sequence"] == 2
    await settle(2 + RETRY_S)

    assert house.served_by("CP-00") == "acme"
    assert house.bundle["active"]["sequence"] == 1


async def test_r47_a_supervision_that_was_down_before_does_not_count(autojump_clock: Clock, house: House) -> None:
    house.fails = failing(OLD)
    await in_force(house, site(many(3)))
    house.status.supervision("acme").is_reachable = False
    house.fails = lambda route: "tcp (refused)"

    assert await house.offer(site(many(3), url=NEW), 2)
    await settle(PROBATION + 1)

    assert house.bundle["active"]["sequence"] == 2


async def test_r47_a_bundle_that_follows_in_the_probation_goes_back_to_the_last_proven_one(
    autojump_clock: Clock, house: House
) -> None:
    await in_force(house, site(many(3)))
    assert await house.offer(site(many(3), url=NEW), 2)
    await settle(10)
    house.fails = failing(VOLT)

    assert await house.offer(site(many(3), url=VOLT), 3)
    await settle(10)

    assert house.bundle["active"]["sequence"] == 1
    assert all(station.past[-1] == OLD for station in house.stations.values())


async def test_r46_a_power_cut_in_the_probation_starts_with_the_previous_bundle(
    autojump_clock: Clock, run: Run, store: MemoryStore
) -> None:
    async with run() as house:
        await in_force(house, site(many(2)))
        assert await house.offer(site(many(2), url=NEW), 2)
        await settle(10)

    async with run() as house:
        assert house.bundle["active"]["sequence"] == 1
        assert await house.offer(site(many(2), url=NEW), 2)  # the source still has it
        house.come(*many(2))
        await settle(PROBATION + 1)
        assert house.events[-2:] == ["activated", "proven"]

    async with run() as house:
        assert house.bundle["active"]["sequence"] == 2


async def test_r47_where_a_port_of_the_previous_bundle_is_not_to_be_had_it_is_tried_again(
    autojump_clock: Clock, house: House
) -> None:
    await in_force(house, site(many(3)))
    house.fails = failing(NEW)
    assert await house.offer(site(many(3), url=NEW), 2)
    house.listeners.fault = ListenerFault("in use")
    await settle(10)
    assert house.bundle["active"]["sequence"] == 2

    house.listeners.fault = None
    await settle(RETURN_AGAIN_S + RETRY_S + 1)
    assert house.bundle["active"]["sequence"] == 1
    assert all(station.operator for station in house.stations.values())


async def test_r47_a_full_disk_does_not_keep_a_bad_bundle_in_force(
    autojump_clock: Clock, house: House, store: MemoryStore, run: Run
) -> None:
    await in_force(house, site(many(3)))
    house.fails = failing(NEW)
    assert await house.offer(site(many(3), url=NEW), 2)
    store.fault = OSError(28, "No space left on device")
    await settle(10)

    assert all(station.past[-1] == OLD for station in house.stations.values())
    store.fault = None
    async with run() as again:
        assert again.bundle["active"]["sequence"] == 1


async def test_r43_secrets_that_changed_need_no_probation(autojump_clock: Clock, house: House) -> None:
    config = site(many(1), password=UplinkPassword(secret="up", format="text"))
    house.secrets.values["up"] = b"first"
    await in_force(house, config)
    house.secrets.values["up"] = b"other"

    assert await house.offer(config, 1)
    await settle(RETRY_S + 1)

    assert house.stations["CP-00"].past == [OLD, OLD]
    assert house.status.state() == "running"


# --- Starts and refusals ------------------------------------------------------------------------------------------


async def test_r48_where_the_last_bundle_cannot_be_read_the_one_before_it_is_in_force(
    autojump_clock: Clock, run: Run, store: MemoryStore
) -> None:
    async with run() as house:
        await in_force(house, site(many(1)), come=False)
        assert await house.offer(site(many(1), forward_security_events=True), 2)
        assert store.state.bundle is not None
    store.staged[store.state.bundle] = b"damaged"

    async with run() as house:
        assert house.bundle["active"]["sequence"] == 1


async def test_r48_a_proven_bundle_whose_port_is_taken_at_a_start_is_waited_for_and_not_given_up(
    autojump_clock: Clock, run: Run, store: MemoryStore
) -> None:
    async with run() as house:
        await in_force(house, site(many(1)))
        assert await house.offer(site(many(1), url=NEW), 2)
        await settle(PROBATION + 1)

    house = House(Path(), store, house.journal, house.clock)
    async with trio.open_nursery() as nursery:
        house.listeners.fault = ListenerFault("in use")
        await house.start(nursery)
        assert house.status.state() == "waiting"
        assert house.bundle["lastFailed"]["code"] == "listener"
        assert store.state.bundle is not None
        assert store.state.bundle.startswith("2-")

        house.listeners.fault = None
        await settle(RESUME_AGAIN_S + 1)
        assert house.bundle["active"]["sequence"] == 2
        assert house.bundle["lastFailed"] is None
        nursery.cancel_scope.cancel()


async def test_r46_a_host_that_has_no_address_is_refused_before_it_cuts_what_works(
    autojump_clock: Clock, house: House
) -> None:
    await in_force(house, site(many(1)))

    assert not await house.offer(site(many(1), url="ws://nowhere.invalid/ocpp"), 2)

    assert house.bundle["lastFailed"]["code"] == "unresolved"
    assert house.served_by("CP-00") == "acme"


async def test_a_refusal_for_what_is_beside_the_bundle_is_tried_again_by_itself(
    autojump_clock: Clock, house: House
) -> None:
    await in_force(house, site(many(1)), come=False)
    needs_secret = site(many(1), password=UplinkPassword(secret="up", format="text"))

    assert not await house.offer(needs_secret, 2)
    await settle(ASK_AGAIN_S[0] + 1)
    assert house.asked_again == 1
    assert not await house.offer(needs_secret, 2)
    await settle(ASK_AGAIN_S[0] + 1)
    assert house.asked_again == 1
    await settle(ASK_AGAIN_S[0])
    assert house.asked_again == 2

    house.secrets.values["up"] = b"key"
    assert await house.offer(needs_secret, 2)
    await settle(86400)
    assert house.asked_again == 2


async def test_a_refusal_is_told_once(autojump_clock: Clock, house: House) -> None:
    await in_force(house, site(many(1)), come=False)
    for _ in range(3):
        await house.activation.offer(b"nonsense")

    assert house.events == ["activated", "refused"]
