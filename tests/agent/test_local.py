"""The agent as operator, on a fake wire and a journal in memory: decided, stored, then answered."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from pointsman_agent.entries import SecurityEvent, TransactionEvent, TransactionStart, TransactionStop
from pointsman_agent.inforce import Holder
from pointsman_agent.local import LocalOperator, LocalStations
from pointsman_agent.observer import Observer
from pointsman_agent.ports import WireClosed
from pointsman_agent.preparation import prepare
from pointsman_agent.session import Session
from pointsman_agent.status import BundleInForce, Status
from pointsman_schema.bundle import Config, read_payload
from pointsman_schema.envelope import open_unverified
from support.fakes import FakeClock, FakeSecrets, FakeWire, MemoryJournal
from support.sites import STAFF_BADGE, a_badge, a_bundle, a_config, a_local_group, a_station

AT = "2026-11-22T12:00:00Z"


class Site:
    """A local site in memory: its clock, journal and status, and a way to serve its stations."""

    def __init__(self, config: Config | None = None) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal(self.clock)
        self.status = Status("0", self.clock)
        bundle = read_payload(open_unverified(a_bundle(config or a_config())))
        self._in_force = prepare(bundle, FakeSecrets())
        self.holder = Holder()
        self.holder.current = self._in_force
        self.session = Session("LOC-01")

    @asynccontextmanager
    async def serving(self, identity: str = "LOC-01", protocol: str = "ocpp1.6") -> AsyncIterator[FakeWire]:
        """Serve `identity` on a wire until the block ends or the operator is done."""
        wire = FakeWire(protocol)
        self.session = Session(identity)
        route = self._in_force.routing.routes[identity]
        operator = LocalOperator(
            self.session,
            route,
            wire,
            protocol,
            self.holder,
            LocalStations(),
            journal=self.journal,
            status=self.status,
            clock=self.clock,
            observer=Observer(self.journal),
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(operator.run)
            yield wire
            nursery.cancel_scope.cancel()

    async def answers(self, *texts: str, identity: str = "LOC-01", protocol: str = "ocpp1.6") -> list[Any]:
        """What the station gets for `texts`, in its order."""
        async with self.serving(identity, protocol) as wire:
            wire.arrive(*texts)
            await trio.testing.wait_all_tasks_blocked()
            return [json.loads(text) for text in wire.sent]


def call(action: str, payload: object, call_id: str = "1") -> str:
    return json.dumps([2, call_id, action, payload])


def a_start(badge: str = STAFF_BADGE, *, at: str = AT, call_id: str = "1") -> str:
    fields = {"connectorId": 1, "idTag": badge, "meterStart": 10, "timestamp": at}
    return call("StartTransaction", fields, call_id)


def an_event(
    badge: str, transaction: str = "t-1", kind: str = "Started", sequence: int = 0, evse: int | None = None
) -> str:
    fields: dict[str, object] = {} if evse is None else {"evse": {"id": evse}}
    fields |= {
        "eventType": kind,
        "timestamp": AT,
        "seqNo": sequence,
        "transactionInfo": {"transactionId": transaction},
        "idToken": {"idToken": badge, "type": "ISO14443"},
    }
    return call("TransactionEvent", fields)


async def test_r33_and_r38_a_badge_gets_the_same_decision_in_every_version() -> None:
    site = Site()

    for badge, word_16, word_2x in ((STAFF_BADGE.upper(), "Accepted", "Accepted"), ("FF", "Invalid", "Unknown")):
        assert await site.answers(call("Authorize", {"idTag": badge})) == [[3, "1", {"idTagInfo": {"status": word_16}}]]
        for protocol in ("ocpp2.0.1", "ocpp2.1"):
            token = {"idToken": {"idToken": badge, "type": "ISO14443"}}
            assert await site.answers(call("Authorize", token), protocol=protocol) == [
                [3, "1", {"idTokenInfo": {"status": word_2x}}]
            ]


async def test_r35_a_start_is_checked_again_and_its_repeat_gets_the_same_id() -> None:
    site = Site()
    first, again, unknown = await site.answers(a_start(), a_start(call_id="2"), a_start("FF", call_id="3"))

    assert first[2]["idTagInfo"] == {"status": "Accepted"}
    assert again[2] == first[2]
    assert unknown[2]["idTagInfo"] == {"status": "Invalid"}
    assert unknown[2]["transactionId"] != first[2]["transactionId"]
    assert [type(entry) for entry in site.journal.entries] == [TransactionStart, TransactionStart]


async def test_r36_a_stop_is_stored_and_answered_whatever_its_number() -> None:
    site = Site()
    stop = {"transactionId": -1, "meterStop": 5, "timestamp": AT}

    assert await site.answers(call("StopTransaction", stop)) == [[3, "1", {}]]
    assert [type(entry) for entry in site.journal.entries] == [TransactionStop]


async def test_r32_odd_transaction_messages_are_stored_and_answered() -> None:
    site = Site()
    texts = [
        '[2,"1","StartTransaction",null]',
        '[2,"1","StopTransaction",{"transactionId":1e400}]',
        '[2,"1","MeterValues",{"meterValue":"\\ud800\x00"}]',
    ]

    answers = await site.answers(*texts)

    assert [answer[0] for answer in answers] == [3, 3, 3]
    assert [getattr(entry, "text", None) for entry in site.journal.entries] == texts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[2,"1","Nothing",{}]', [4, "1", "NotImplemented"]),
        ('[2,"1","Authorize",[]]', [4, "1", "FormationViolation"]),
        ('[2,"1","Authorize",{', [4, "1", "FormationViolation"]),
    ],
)
async def test_r32_what_cannot_be_answered_gets_a_call_error(text: str, answer: list[Any]) -> None:
    (error,) = await Site().answers(text)

    assert error[:3] == answer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("garbage", "envelope"),
        ('[3,"1",{}]', "unexpected-result"),
        ('[4,"1","GenericError","",{}]', "unexpected-result"),
        ('[6,"1","NotifyPeriodicEventStream",{}]', "send"),
    ],
)
async def test_r32_what_asks_nothing_gets_no_answer_and_is_counted(text: str, why: str) -> None:
    site = Site()

    assert await site.answers(text, protocol="ocpp2.1") == []
    assert site.status.station("LOC-01").drops == {why: 1}


async def test_r36_while_the_journal_cannot_store_the_link_closes_unanswered() -> None:
    site = Site()
    site.journal.fault = "disk full"
    site.status.active = BundleInForce("sha256:a", 1, AT)
    with trio.fail_after(5):
        async with site.serving() as wire:
            wire.arrive(call("Heartbeat", {}), a_start())
            await trio.testing.wait_all_tasks_blocked()

    assert [json.loads(text)[2] for text in wire.sent] == [{"currentTime": AT}]
    assert wire.closed is not None
    assert wire.closed[0] == 1011
    assert site.status.state() == "degraded"
    site.journal.fault = None
    assert len(await site.answers(a_start())) == 1
    assert site.status.state() == "running"


def a_two_station_site(concurrent: str) -> Site:
    return Site(
        a_config(
            groups={"staff": a_local_group(concurrent=concurrent), "others": a_local_group(concurrent=concurrent)},
            stations={"LOC-01": a_station(), "LOC-02": a_station(), "OTH-01": a_station(group="others")},
            badges={STAFF_BADGE: a_badge("staff", "others")},
        )
    )


async def test_a_badge_that_charges_is_refused_elsewhere_in_its_group_only() -> None:
    site = a_two_station_site("refuse")
    await site.answers(a_start())

    async def status_at(identity: str, text: str) -> str:
        (answer,) = await site.answers(text, identity=identity)
        status: str = answer[2]["idTagInfo"]["status"]
        return status

    assert await status_at("LOC-02", a_start(STAFF_BADGE.upper())) == "ConcurrentTx"
    assert await status_at("OTH-01", a_start()) == "Accepted"
    assert await status_at("LOC-01", a_start()) == "Accepted"  # the same start sent again
    assert await status_at("LOC-02", a_start(STAFF_BADGE.upper())) == "ConcurrentTx"
    assert await status_at("LOC-01", a_start(at="2026-11-22T12:30:00Z")) == "ConcurrentTx"


@pytest.mark.parametrize(
    ("protocol", "text"),
    [("ocpp1.6", a_start()), ("ocpp2.0.1", an_event(STAFF_BADGE)), ("ocpp2.1", an_event(STAFF_BADGE))],
)
async def test_of_two_starts_of_a_badge_at_the_same_moment_one_is_accepted(protocol: str, text: str) -> None:
    site = a_two_station_site("refuse")
    async with site.serving("LOC-01", protocol) as first, site.serving("LOC-02", protocol) as second:
        first.arrive(text)
        second.arrive(text)
        await trio.testing.wait_all_tasks_blocked()
        answers = [json.loads(sent)[2] for wire in (first, second) for sent in wire.sent]

    infos = [answer["idTagInfo" if protocol == "ocpp1.6" else "idTokenInfo"] for answer in answers]
    assert sorted(info["status"] for info in infos) == ["Accepted", "ConcurrentTx"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"connectorId": 2}, "ConcurrentTx"), ({"meterStart": 11}, "Accepted")],
    ids=["connector", "meter"],
)
async def test_r35_another_start_with_the_same_time_is_a_second_one(changes: dict[str, int], status: str) -> None:
    """One at the same connector ends the first; one at another would be beside it."""
    site = a_two_station_site("refuse")
    fields = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": 10, "timestamp": AT}

    first, second = await site.answers(a_start(), call("StartTransaction", fields | changes, "2"))

    assert second[2]["idTagInfo"] == {"status": status}
    assert second[2]["transactionId"] != first[2]["transactionId"]


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_a_badge_is_accepted_where_it_charges_so_that_its_driver_can_end_it(protocol: str) -> None:
    site = a_two_station_site("refuse")
    is_16 = protocol == "ocpp1.6"
    start = a_start() if is_16 else an_event(STAFF_BADGE)
    asked = {"idTag": STAFF_BADGE} if is_16 else {"idToken": {"idToken": STAFF_BADGE, "type": "ISO14443"}}
    info = "idTagInfo" if is_16 else "idTokenInfo"

    _, here = await site.answers(start, call("Authorize", asked, "2"), protocol=protocol)
    (elsewhere,) = await site.answers(call("Authorize", asked), identity="LOC-02", protocol=protocol)
    await site.answers(start, identity="LOC-02", protocol=protocol)  # refused, and open until its station ends it
    (here_again,) = await site.answers(call("Authorize", asked, "3"), protocol=protocol)

    answers = (here, elsewhere, here_again)
    assert [each[2][info]["status"] for each in answers] == ["Accepted", "ConcurrentTx", "Accepted"]


async def test_a_2x_start_at_another_evse_is_a_second_one_and_one_at_the_same_is_not() -> None:
    site = a_two_station_site("refuse")
    events = [an_event(STAFF_BADGE, f"t-{number}", evse=evse) for number, evse in enumerate((1, 1, 2))]

    answers = await site.answers(*events, protocol="ocpp2.0.1")

    assert [each[2]["idTokenInfo"]["status"] for each in answers] == ["Accepted", "Accepted", "ConcurrentTx"]


async def test_a_badge_may_charge_twice_where_the_group_allows_it() -> None:
    site = a_two_station_site("allow")
    await site.answers(a_start())

    (answer,) = await site.answers(a_start(), identity="LOC-02")

    assert answer[2]["idTagInfo"] == {"status": "Accepted"}


async def test_the_events_of_a_transaction_are_no_second_one() -> None:
    site = a_two_station_site("refuse")
    events = [an_event(STAFF_BADGE), an_event(STAFF_BADGE, kind="Ended", sequence=1)]

    answers = await site.answers(*events, protocol="ocpp2.0.1")

    assert [answer[2]["idTokenInfo"]["status"] for answer in answers] == ["Accepted", "Accepted"]
    assert [type(entry) for entry in site.journal.entries] == [TransactionEvent, TransactionEvent]


async def test_a_security_event_is_kept() -> None:
    site = Site()
    await site.answers(call("SecurityEventNotification", {"type": "TamperDetectionActivated", "timestamp": AT}))

    (entry,) = site.journal.entries
    assert isinstance(entry, SecurityEvent)
    assert (entry.station, entry.kind) == ("LOC-01", "TamperDetectionActivated")


# --- How it ends -------------------------------------------------------------------------------------------------


def last_error_of(site: Site) -> str:
    error = site.status.station("LOC-01").last_error
    assert error is not None
    return error.error


async def test_a_station_that_leaves_ends_the_service() -> None:
    site = Site()
    with trio.fail_after(5):
        async with site.serving() as wire:
            wire.arrive(WireClosed(1001, "bye"))
            await trio.testing.wait_all_tasks_blocked()

    assert wire.closed == (1001, "bye")
    assert last_error_of(site) == "closed"


async def test_r7_a_session_that_is_replaced_closes_its_wire_and_says_why() -> None:
    site = Site()
    async with site.serving() as wire:
        await trio.testing.wait_all_tasks_blocked()
        site.session.end(1000, "replaced by a newer connection", "replaced")
        await trio.testing.wait_all_tasks_blocked()

    assert wire.closed == (1000, "replaced by a newer connection")
    assert last_error_of(site) == "replaced"


async def test_r28_a_silent_station_is_closed_and_its_error_is_the_ping(
    autojump_clock: trio.testing.MockClock,
) -> None:
    site = Site()
    began = trio.current_time()
    async with site.serving() as wire:
        wire.last_heard = began
        await wire.wait_closed()

    assert trio.current_time() - began == pytest.approx(60.0)
    assert wire.pings == 1
    assert wire.closed == (1001, "no answer to pings")
    assert last_error_of(site) == "ping"


async def test_r28_a_station_without_pings_is_never_pinged(autojump_clock: trio.testing.MockClock) -> None:
    site = Site(a_config(stations={"LOC-01": a_station(ping_interval=0)}))
    async with site.serving() as wire:
        await trio.sleep(3600.0)

    assert wire.pings == 0
    assert wire.closed is None


async def test_a_station_that_is_lost_while_it_is_answered_ends_the_service_by_its_reader() -> None:
    site = Site()
    async with site.serving() as wire:
        wire.is_lost = True
        wire.arrive(call("Heartbeat", {}), WireClosed(1006, "", "closed"))
        await trio.testing.wait_all_tasks_blocked()

    assert wire.sent == []
    assert wire.closed is not None
    assert last_error_of(site) == "closed"
