"""When the agent asks its stations, and what it does about those that do not answer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing
from pointsman_agent.entries import SecurityEvent, StationFact
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.keeper import AGAIN_AFTER_S, LOOK_EVERY_S, MOST_ATTEMPTS, REPORT_WITHIN_S, has_traces
from pointsman_agent.local import LEAVE_SETTLE_S, SETTLE_S, LocalOperator, LocalStations
from pointsman_agent.observer import Observer
from pointsman_agent.owncalls import ANSWER_WITHIN_S, CallFailed
from pointsman_agent.ports import WireClosed
from pointsman_agent.preparation import prepare
from pointsman_agent.session import Session
from pointsman_agent.status import Status
from pointsman_agent.strategy.keep import BEFORE_FACT
from pointsman_schema.bundle import Config, read_payload
from pointsman_schema.envelope import open_unverified
from support.asked import AskedStation
from support.fakes import FakeClock, FakeSecrets, MemoryJournal
from support.sites import STAFF_BADGE, a_badge, a_bundle, a_config, a_remote_group, a_station, a_supervision

BOOT_16 = json.dumps([2, "b", "BootNotification", {"chargePointVendor": "v", "chargePointModel": "m"}])
BOOT_2X = json.dumps(
    [2, "b", "BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "v", "model": "m"}}]
)


def in_force(config: Config) -> InForce:
    return prepare(read_payload(open_unverified(a_bundle(config))), FakeSecrets())


class Site:
    """A site in memory with one station."""

    def __init__(self, config: Config | None = None, protocol: str = "ocpp1.6") -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal(self.clock)
        self.status = Status("0", self.clock)
        self.holder = Holder()
        self.holder.current = in_force(config or a_config())
        self.stations = LocalStations()
        self.wire = AskedStation(protocol)
        self.protocol = protocol

    @property
    def report(self) -> dict[str, Any]:
        assert self.holder.current is not None
        (row,) = self.status.snapshot(self.holder.current.routing, {})["stations"]
        strategy: dict[str, Any] = row["strategy"]
        return strategy

    @asynccontextmanager
    async def serving(self, *, is_leaving: bool = False) -> AsyncIterator[AskedStation]:
        assert self.holder.current is not None
        operator = LocalOperator(
            Session("LOC-01"),
            self.holder.current.routing.routes["LOC-01"],
            self.wire,
            self.protocol,
            self.holder,
            self.stations,
            journal=self.journal,
            status=self.status,
            clock=self.clock,
            observer=Observer(self.journal),
            is_leaving=is_leaving,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(operator.run)
            yield self.wire
            nursery.cancel_scope.cancel()


def quiet(**changes: Any) -> Config:
    """A site whose station is not pinged, so that it may be silent for hours."""
    return a_config(stations={"LOC-01": a_station(ping_interval=0)}, **changes)


@pytest.mark.parametrize(("protocol", "boot"), [("ocpp1.6", BOOT_16), ("ocpp2.0.1", BOOT_2X), ("ocpp2.1", BOOT_2X)])
async def test_r37_a_station_is_asked_once_its_boot_was_accepted(protocol: str, boot: str) -> None:
    site = Site(protocol=protocol)
    async with site.serving() as station:
        await trio.testing.wait_all_tasks_blocked()
        before = station.actions()
        station.arrive(boot)
        await trio.testing.wait_all_tasks_blocked(0.05)

        assert before == []
        assert json.loads(station.sent[0])[2]["status"] == "Accepted"
        assert site.report == {"online": "known", "offline": "known", "state": "in force", "why": [], **notes(site)}
        assert list(station.memory.local_list) == [STAFF_BADGE]


def notes(site: Site) -> dict[str, Any]:
    return {"notes": site.report["notes"]}


async def test_r37_after_a_reconnect_without_a_boot_a_station_is_asked_when_it_has_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    async with site.serving() as station:
        await trio.sleep(SETTLE_S - 0.001)
        before = station.actions()
        await trio.sleep(1)

        assert before == []
        assert site.report["state"] == "in force"


async def test_r41_while_the_clock_is_behind_a_boot_is_pending_and_nothing_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    await site.journal.append(SecurityEvent("LOC-01", "k", "", ""))
    site.clock.advance(days=-1)
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(2 * SETTLE_S)
        pending = json.loads(station.sent[0])[2]
        asked = station.actions()
        site.clock.advance(days=1)
        station.arrive(BOOT_16)
        await trio.sleep(1)

    assert (pending["status"], pending["interval"], asked) == ("Pending", 30, [])
    assert json.loads(station.sent[1])[2]["status"] == "Accepted"
    assert site.report["state"] == "in force"


async def test_r37_a_capacity_that_is_told_in_a_report_counts(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(quiet(badges={f"{number:08}": a_badge("staff") for number in range(4)}), "ocpp2.0.1")
    del site.wire.memory.variables["LocalAuthListCtrlr.Entries#MaxSet"]
    site.wire.memory.reported_limits["LocalAuthListCtrlr.Entries"] = 3
    async with site.serving() as station:
        station.arrive(BOOT_2X)
        await trio.sleep(1)

    assert site.report["why"] == ["local list: 4 badges, and the station holds 3"]


async def test_r37_a_report_that_never_comes_holds_nothing_up_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(quiet(), "ocpp2.0.1")
    del site.wire.memory.variables["LocalAuthListCtrlr.Entries#MaxSet"]
    site.wire.reports = False
    async with site.serving() as station:
        station.arrive(BOOT_2X)
        await trio.sleep(REPORT_WITHIN_S - 1)
        before = site.report["state"]
        await trio.sleep(2)

    assert (before, site.report["state"]) == ("pending", "in force")


async def test_r37_a_silent_station_is_reported_and_asked_again_later(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(quiet())
    async with site.serving() as station:
        station.is_silent = True
        station.arrive(BOOT_16)
        await trio.sleep(ANSWER_WITHIN_S + 1)
        silent = site.report
        station.is_silent = False
        await trio.sleep(AGAIN_AFTER_S)

    assert (silent["state"], silent["why"]) == ("pending", ["no answer to GetConfiguration within 30 s"])
    assert site.report["state"] == "in force"


async def test_r37_a_changed_badge_list_reaches_the_station_that_is_connected(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(1)
        station.asked.clear()
        badges = {STAFF_BADGE: a_badge("staff"), "0badcafe": a_badge("staff")}
        site.holder.current = in_force(quiet(badges=badges))
        await trio.sleep(LOOK_EVERY_S + 1)

    (sent,) = [payload for action, payload in station.asked if action == "SendLocalList"]
    assert (sent["updateType"], len(sent["localAuthorizationList"])) == ("Differential", 1)
    assert sorted(station.memory.local_list) == [STAFF_BADGE, "0badcafe"]


async def test_r37_a_badge_that_runs_out_leaves_the_list(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(quiet(badges={STAFF_BADGE: a_badge("staff"), "0badcafe": a_badge("staff", until="2026-11-22")}))
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(1)
        before = sorted(station.memory.local_list)
        site.clock.advance(hours=11)  # NOON is 13:00 in Paris
        await trio.sleep(LOOK_EVERY_S + 1)

    assert before == [STAFF_BADGE, "0badcafe"]
    assert sorted(station.memory.local_list) == [STAFF_BADGE]


@pytest.mark.parametrize(
    ("zone", "change", "before", "after"),
    [
        ("Europe/Paris", "2027-03-28T01:00:00", "+01:00", "+02:00"),
        ("Australia/Lord_Howe", "2027-04-03T15:00:00", "+11:00", "+10:30"),
        ("America/St_Johns", "2027-03-14T05:30:00", "-03:30", "-02:30"),
    ],
)
async def test_r42_the_clock_variables_are_refreshed_in_the_night_of_a_change(
    autojump_clock: trio.testing.MockClock, zone: str, change: str, before: str, after: str
) -> None:
    site = Site(quiet(time_zone=zone), "ocpp2.0.1")
    site.clock.moment = datetime.fromisoformat(change).replace(tzinfo=UTC)
    site.clock.advance(seconds=-1)
    variables = site.wire.memory.variables
    async with site.serving() as station:
        station.arrive(BOOT_2X)
        await trio.sleep(1)
        told = (variables["ClockCtrlr.TimeOffset"], variables["ClockCtrlr.TimeOffset[NextTransition]"])
        site.clock.advance(seconds=1)
        await trio.sleep(LOOK_EVERY_S + 1)

    assert told == (before, after)
    assert variables["ClockCtrlr.TimeOffset"] == after
    assert variables["ClockCtrlr.TimeOffset[NextTransition]"] == before


async def test_r37_what_was_refused_is_asked_again_after_a_boot(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(quiet())
    site.wire.memory.refused["LocalAuthorizeOffline"] = "Rejected"
    site.wire.memory.keys["LocalAuthorizeOffline"] = "false"
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(1)
    refused = site.report
    site.wire = AskedStation()
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(1)

    assert (refused["state"], refused["why"]) == ("refused", ["LocalAuthorizeOffline=true: Rejected"])
    assert site.report["state"] == "in force"


async def test_r37_a_journal_that_cannot_store_keeps_the_station_as_it_was(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    async with site.serving() as station:
        site.journal.fault = "disk full"
        station.arrive(BOOT_16)
        await trio.sleep(1)

    assert json.loads(station.sent[0])[2]["status"] == "Accepted"
    assert site.report["state"] == "pending"
    assert not {"ChangeConfiguration", "SendLocalList"} & set(station.actions())


async def test_r39_a_station_that_never_answers_is_let_go_after_three_attempts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    await site.journal.append(StationFact("LOC-01", BEFORE_FACT, "{}"))
    traces = []
    for _ in range(MOST_ATTEMPTS):
        site.wire = AskedStation()
        site.wire.is_silent = True
        async with site.serving(is_leaving=True) as station:
            await station.wait_closed()
        traces.append(has_traces(site.journal, "LOC-01"))

    assert traces == [True, True, False]
    assert await site.journal.facts_of("LOC-01") == {}


@pytest.mark.parametrize(("protocol", "boot"), [("ocpp1.6", BOOT_16), ("ocpp2.0.1", BOOT_2X)])
async def test_r37_nothing_is_asked_before_the_answer_to_the_boot_has_left(protocol: str, boot: str) -> None:
    site = Site(protocol=protocol)
    async with site.serving() as station:
        station.mute = trio.Event()
        station.arrive(boot)
        await trio.testing.wait_all_tasks_blocked(0.05)
        before = list(station.sent)
        station.mute.set()
        await trio.testing.wait_all_tasks_blocked(0.05)

        assert before == []
        assert json.loads(station.sent[0])[:2] == [3, "b"]
        assert len(station.sent) > 1


@pytest.mark.parametrize("boots", [True, False])
async def test_r39_a_station_on_its_way_to_a_supervision_is_cleared_and_sent_away(
    autojump_clock: trio.testing.MockClock, boots: bool
) -> None:
    site = Site(quiet())
    async with site.serving() as station:
        station.arrive(BOOT_16)
        await trio.sleep(1)
    memory = station.memory
    had_list = dict(memory.local_list)
    site.holder.current = in_force(
        a_config(
            supervisions={"acme": a_supervision("ws://127.0.0.1:1")},
            groups={"visitors": a_remote_group("acme")},
            badges={},
            stations={"LOC-01": a_station("acme", "visitors")},
        )
    )
    site.wire = AskedStation()
    site.wire.memory = memory
    began = trio.current_time()
    async with site.serving(is_leaving=True) as station:
        if boots:
            station.arrive(BOOT_16)
        station.arrive(json.dumps([2, "a", "Authorize", {"idTag": STAFF_BADGE}]))
        await station.wait_closed()

    answers = {call_id: payload for kind, call_id, payload, *_ in map(json.loads, station.sent) if kind == 3}
    assert had_list
    assert memory.local_list == {}
    assert memory.keys["AuthorizationCacheEnabled"] == "true"
    assert station.closed == (1012, "another operator serves this station")
    assert answers["a"] == {"idTagInfo": {"status": "Invalid"}}
    assert boots is (answers.get("b", {}).get("status") == "Pending")
    assert trio.current_time() - began == (0 if boots else LEAVE_SETTLE_S)
    assert BEFORE_FACT not in await site.journal.facts_of("LOC-01")


async def test_r15_calls_of_the_agents_own_go_one_after_the_other_each_with_a_bound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    found: list[object] = []
    async with site.serving() as station:
        await trio.testing.wait_all_tasks_blocked()
        operator = site.stations.find("LOC-01")
        assert operator is not None

        async def ask() -> None:
            try:
                found.append((await operator.call("ClearCache", {})).word())
            except CallFailed as error:
                found.append(str(error))

        station.is_silent = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.sleep(1)
            open_at_once = len(station.asked)
            station.is_silent = False
        station.arrive('[3,"nobody",{}]')
        await trio.sleep(1)

    assert open_at_once == 1
    assert sorted(map(str, found)) == ["Accepted", "no answer to ClearCache within 30 s"]
    assert site.status.station("LOC-01").drops == {"unexpected-result": 1}
    assert site.stations.find("LOC-01") is None


async def test_a_link_that_ends_while_the_station_is_asked_ends_in_peace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site(quiet())
    await site.journal.append(StationFact("LOC-01", "x", "y"))
    async with site.serving() as station:
        station.is_silent = True
        station.arrive(BOOT_16)
        await trio.sleep(1)
        station.arrive(WireClosed(1006, "", "closed"))
        await station.wait_closed()

    assert site.report["state"] == "pending"
