"""What the agent says in numbers: names that dashboards ask for, bounded labels, figures that are true."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2
import pytest
import trio
import trustme
from pointsman_agent import exposition
from pointsman_agent.client import Access
from pointsman_agent.exposition import CONTENT_TYPE, FAMILIES, Exposition
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.metrics import Metrics
from pointsman_agent.ocpp.events import Received
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.link import Link
from pointsman_agent.ports import Failure, JournalFault
from pointsman_agent.routing import Routing
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.tallies import COMMITS_FROM_S, Durations, Exchanged
from pointsman_schema.bundle import Config, KeyPair, read_payload
from pointsman_schema.envelope import open_unverified
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from prometheus_client.parser import text_string_to_metric_families
from support.agents import running_agent
from support.fakes import FakeClock
from support.sites import (
    STAFF_BADGE,
    a_bundle,
    a_config,
    a_listener,
    a_local_group,
    a_remote_group,
    a_station,
    a_supervision,
    a_unique_config,
)

UNREADABLE: Final = "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"
CONFIG: Final = a_config(
    supervisions={"acme": a_supervision("ws://acme/")},
    groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
    stations={"R-1": a_station("acme", "visitors"), "L-1": a_station()},
)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: bytes) -> Samples:
    """Return the samples of a text in Prometheus' format, by name and labels beside the site."""
    return {
        (
            sample.name,
            tuple(sorted((name, value) for name, value in sample.labels.items() if name != "site")),
        ): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(samples: Samples, metric: str, /, **labels: str) -> float:
    """Return one sample."""
    return samples[metric, tuple(sorted(labels.items()))]


async def none_open() -> dict[str, int]:
    """Return what a journal without open transactions says."""
    await trio.lowlevel.checkpoint()
    return {}


def of(status: Status, config: Config | None = CONFIG) -> Metrics:
    """Return the metrics of an agent that has `config` in force."""
    holder = Holder()
    if config is not None:
        holder.current = InForce(Routing(read_payload(open_unverified(a_bundle(config)))), {}, {}, {}, {})
    return Metrics(holder, status, none_open, Durations(COMMITS_FROM_S))


def a_status() -> Status:
    """Return the status of an agent that has a bundle in force."""
    status = Status("0.1.0", FakeClock())
    status.site = "test-site"
    status.active = BundleInForce("sha256:a", 7, "2026-11-22T12:00:00Z")
    return status


async def test_every_metric_has_the_site_and_what_is_not_known_is_absent() -> None:
    text = (await of(Status("0.1.0", FakeClock()), None).text()).decode()

    assert 'pointsman_agent_info{site="",version="0.1.0"} 1.0' in text
    assert value(read(text.encode()), "pointsman_state", state="waiting") == 1.0
    assert "pointsman_bundle_sequence{" not in text
    assert "pointsman_supervision_reachable{" not in text


async def test_state_and_bundles_are_told() -> None:
    status = a_status()
    status.last_failed = Failure("sha256:b", 8, "2026-11-22T13:00:00Z", "unsigned", "not signed")
    status.journal_fault = "disk full"
    samples = read(await of(status).text())

    assert value(samples, "pointsman_state", state="degraded") == 1.0
    assert value(samples, "pointsman_state", state="running") == 0.0
    assert value(samples, "pointsman_bundle_sequence", bundle="active") == 7.0
    assert value(samples, "pointsman_bundle_info", bundle="active", digest="sha256:a") == 1.0
    at = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert value(samples, "pointsman_bundle_active_since_timestamp_seconds") == at
    assert value(samples, "pointsman_bundle_refused", code="unsigned") == 1.0
    assert value(samples, "pointsman_journal_fault") == 1.0


async def test_stations_are_added_up_by_operator() -> None:
    status = a_status()
    station = status.station("R-1")
    station.is_connected, station.queue = True, 3
    station.count_drop("envelope")
    station.count_notice("key-set")
    samples = read(await of(status).text())

    assert value(samples, "pointsman_stations", operator="acme") == 1.0
    assert value(samples, "pointsman_stations_connected", operator="acme") == 1.0
    assert value(samples, "pointsman_stations_connected", operator="local") == 0.0
    assert value(samples, "pointsman_calls_queued", operator="acme") == 3.0
    assert value(samples, "pointsman_messages_dropped_total", why="envelope") == 1.0
    assert value(samples, "pointsman_messages_noticed_total", what="key-set") == 1.0


async def test_a_station_that_leaves_the_bundle_takes_no_count_along() -> None:
    status = a_status()
    status.station("R-1").count_drop("envelope")
    status.station("OLD").count_drop("envelope")
    status.station("OLD").count_notice("key-set")
    before = read(await of(status).text())
    status.forget_absent(Routing(read_payload(open_unverified(a_bundle(CONFIG)))))
    after = read(await of(status).text())

    assert value(before, "pointsman_messages_dropped_total", why="envelope") == 1.0
    assert value(after, "pointsman_messages_dropped_total", why="envelope") == 2.0
    assert value(after, "pointsman_messages_noticed_total", what="key-set") == 1.0


async def test_supervisions_and_certificates_are_told() -> None:
    status = a_status()
    until = datetime(2031, 5, 1, tzinfo=UTC)
    chain = trustme.CA().issue_cert("controller", not_after=until).cert_chain_pems[0].bytes().decode()
    listener = a_listener(9443, security_profile=2, certificate=KeyPair(chain=chain, key="tls"))
    config = a_config(
        supervisions={"acme": a_supervision("wss://acme/", client_certificate=KeyPair(chain=UNREADABLE, key="tls"))},
        stations={"R-1": a_station("acme", None)},
        listeners={"lan": listener},
    )
    acme = status.supervision("acme")
    acme.is_reachable, acme.clock_offset_s, acme.certificate_expires = False, -42.5, datetime(2027, 1, 1, tzinfo=UTC)
    samples = read(await of(status, config).text())

    assert value(samples, "pointsman_supervision_reachable", supervision="acme") == 0.0
    assert value(samples, "pointsman_supervision_clock_offset_seconds", supervision="acme") == -42.5
    name = "pointsman_certificate_expiry_timestamp_seconds"
    assert value(samples, name, kind="supervision", name="acme") == acme.certificate_expires.timestamp()
    assert value(samples, name, kind="listener", name="lan") == until.timestamp()
    assert (name, (("kind", "client"), ("name", "acme"))) not in samples  # it cannot be read: the doctor says so


async def test_a_journal_that_does_not_answer_leaves_the_rest() -> None:
    async def broken() -> dict[str, int]:
        await trio.lowlevel.checkpoint()
        raise JournalFault("the disk did not store")

    holder = Holder()
    samples = read(await Metrics(holder, a_status(), broken, Durations(COMMITS_FROM_S)).text())

    assert value(samples, "pointsman_transactions_open") == 0.0


def test_durations_are_counted_below_bounds_that_double() -> None:
    durations = Durations(0.001)
    for seconds in (0.0, 0.0009, 0.0011, 0.003, 0.0039, 1000.0):
        durations.add(seconds)
    page = Exposition("x")
    page.say_durations(exposition.ANSWERS, [(("acme", "station"), durations)])
    samples = read(page.text())

    def below(bound: str) -> float:
        return value(samples, "pointsman_answer_seconds_bucket", operator="acme", asker="station", le=bound)

    assert [below(bound) for bound in ("0.001", "0.002", "0.004", "65.536", "+Inf")] == [2.0, 3.0, 5.0, 5.0, 6.0]
    assert value(samples, "pointsman_answer_seconds_sum", operator="acme", asker="station") == pytest.approx(1000.0089)


def test_what_passes_a_link_is_counted_by_side_and_kind() -> None:
    exchanged = Exchanged()
    link = Link(LinkSettings(message_timeout=30.0, forward_security_events=True, protocol="ocpp1.6"), exchanged)
    for side, text, now in [
        (Side.STATION, '[2,"1","Heartbeat",{}]', 1.0),
        (Side.SUPERVISION, '[3,"1",{"currentTime":"2026-11-22T12:00:00Z"}]', 1.5),  # its time is read: the long way
        (Side.STATION, '[2,"2","DataTransfer",{"vendorId":"x"}]', 2.0),
        (Side.SUPERVISION, '[3,"2",{}]', 2.003),  # the short way
        (Side.SUPERVISION, '[2,"3","Reset",{"type":"Soft"}]', 3.0),
        (Side.STATION, '[4,"3","InternalError","",{}]', 3.1),
        (Side.STATION, '[3,"nobody-asked",{}]', 4.0),
        (Side.STATION, "[2,", 4.0),
        (Side.STATION, '[6,"4","NotifyPeriodicEventStream",{}]', 4.0),
    ]:
        link.handle(Received(side, text), now)
        link.flushed(side.other, now)

    station, supervision = exchanged.station_asks, exchanged.supervision_asks
    assert (station.calls, station.results, station.errors, station.others) == (2, 2, 0, 2)
    assert (supervision.calls, supervision.results, supervision.errors, supervision.others) == (1, 1, 1, 0)
    assert station.answers.seconds == pytest.approx(0.503)
    assert sum(station.answers.counts) == 2
    assert supervision.results_untimed == 1


# --- Of a running agent ---------------------------------------------------------------------------------------------


async def scraped(access: Access) -> Samples:
    """Ask as Prometheus does."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{access.url}/metrics", headers={"Authorization": f"Bearer {access.token}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    return read(answer.content)


async def test_r50_metrics_of_a_relayed_station(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
    ):
        async with connect_station(agent.url("CP-1")) as station:
            assert (await run_session(station)).completed
            during = await scraped(agent.access)
            messages = len(supervision.received) + len(supervision.sent)
        await agent.wait_status(lambda status: not status["stations"][0]["connected"])
        after = await scraped(agent.access)

    kinds = {key: count for key, count in during.items() if key[0] == "pointsman_messages_total"}
    assert sum(kinds.values()) == messages
    came = value(during, "pointsman_messages_total", operator="acme", direction="from_supervision", kind="result")
    assert came == value(during, "pointsman_answer_seconds_count", operator="acme", asker="station") > 5
    assert value(during, "pointsman_stations_connected", operator="acme") == 1.0
    assert value(after, "pointsman_stations_connected", operator="acme") == 0.0
    assert value(after, "pointsman_links_opened_total", operator="acme") == 1.0
    assert value(after, "pointsman_links_ended_total", operator="acme", reason="closed") == 1.0
    assert value(after, "process_open_fds") > 5


async def test_metrics_of_a_local_station(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        async with connect_station(agent.url("LOC-01")) as station:
            assert (await run_session(station, STAFF_BADGE)).completed
        await agent.wait_status(lambda status: not status["stations"][0]["connected"])
        samples = await scraped(agent.access)

    def count(direction: str, kind: str) -> float:
        return value(samples, "pointsman_messages_total", operator="local", direction=direction, kind=kind)

    # Each was answered before the next was sent. What the agent asks may be cut off by the end.
    assert count("from_station", "call") == count("to_station", "result") == len(station.sent.actions) > 5
    assert count("to_station", "call") >= count("from_station", "result")
    assert value(samples, "pointsman_journal_commit_seconds_count") > 0
    assert value(samples, "pointsman_transactions_open") == 0.0


async def test_a_refused_station_is_counted_by_its_reason(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_unique_config("ws://127.0.0.1:1/ocpp")) as agent:
        async with httpx2.AsyncClient(trust_env=False) as client:
            for identity in ("CP-1", "NOBODY"):
                await client.get(f"http://127.0.0.1:{agent.port}/ocpp/{identity}", headers=_OPENING)
        samples = await scraped(agent.access)

    assert value(samples, "pointsman_stations_refused_total", reason="tcp") == 1.0
    assert value(samples, "pointsman_supervision_reachable", supervision="acme") == 0.0


_OPENING: Final = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp1.6",
}


# --- Names -----------------------------------------------------------------------------------------------------------


def test_names_follow_prometheus_and_no_label_is_a_station_or_a_badge() -> None:
    for family in FAMILIES:
        assert re.fullmatch(r"pointsman_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert not {"station", "badge", "identity", "address"} & {*family.labels}
        assert (family.buckets > 0) == (family.kind == "histogram")
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
