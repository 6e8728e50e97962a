"""The agent as operator: stations of local groups on real sockets, transactions in a real journal."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pointsman_simulator.station import connect_station, report_security_event, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import running_agent, started
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_config,
    a_local_group,
    a_remote_group,
    a_station,
    a_supervision,
)

PROTOCOLS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]


def rows(state: Path, sql: str) -> list[tuple[object, ...]]:
    """Read the journal beside the agent, as a technician would."""
    database = sqlite3.connect(f"file:{state / 'journal.sqlite3'}?mode=ro", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_r33_a_known_badge_charges(tmp_path: Path, protocol: str) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol]) as station,
    ):
        result = await run_session(station, STAFF_BADGE.upper())

        assert result.completed, result.reason
        assert result.faults == ()
        kept = rows(agent.state, "SELECT station, badge, stopped IS NOT NULL FROM transactions")
        assert kept == [("LOC-01", STAFF_BADGE, 1)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_r33_an_unknown_badge_does_not_charge(tmp_path: Path, protocol: str) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol]) as station,
    ):
        result = await run_session(station, "0BADBADGE0")

        assert not result.completed
        assert result.authorization_status == ("Invalid" if protocol == "ocpp1.6" else "Unknown")
        assert result.faults == ()
        assert rows(agent.state, "SELECT * FROM transactions") == []


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_r33_a_known_badge_that_is_not_authorized_is_blocked(tmp_path: Path, protocol: str) -> None:
    config = a_config(badges={STAFF_BADGE: a_badge("staff", authorized=False)})
    async with (
        running_agent(tmp_path, config) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol]) as station,
    ):
        assert (await run_session(station, STAFF_BADGE)).authorization_status == "Blocked"


async def test_r33_any_badge_charges_where_online_is_any(tmp_path: Path) -> None:
    config = a_config(groups={"staff": a_local_group(online="any")}, badges={})
    async with (
        running_agent(tmp_path, config) as agent,
        connect_station(agent.url("LOC-01")) as station,
    ):
        assert (await run_session(station, "NEVERSEEN")).completed


async def test_r34_a_badge_counts_in_its_own_groups_only(tmp_path: Path) -> None:
    config = a_config(
        groups={"staff": a_local_group(), "fleet": a_local_group()},
        stations={"S-1": a_station(group="staff"), "F-1": a_station(group="fleet")},
        badges={STAFF_BADGE: a_badge("staff")},
    )
    async with (
        running_agent(tmp_path, config) as agent,
        connect_station(agent.url("S-1")) as own,
        connect_station(agent.url("F-1")) as other,
    ):
        assert (await run_session(own, STAFF_BADGE)).completed
        assert (await run_session(other, STAFF_BADGE)).authorization_status == "Invalid"


async def test_concurrent_refuse_lets_a_badge_charge_at_one_station_of_the_group_only(tmp_path: Path) -> None:
    config = a_config(
        groups={"staff": a_local_group(concurrent="refuse")}, stations={"S-1": a_station(), "S-2": a_station()}
    )
    start = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
    async with (
        running_agent(tmp_path, config) as agent,
        connect_station(agent.url("S-1")) as first,
        connect_station(agent.url("S-2")) as second,
    ):
        accepted = await first.call("StartTransaction", start)
        again = await first.call("StartTransaction", start)
        refused = await second.call("Authorize", {"idTag": STAFF_BADGE})

        assert accepted.payload["idTagInfo"] == {"status": "Accepted"}
        assert again.payload == accepted.payload
        assert refused.payload["idTagInfo"] == {"status": "ConcurrentTx"}


async def test_r35_all_that_a_station_is_answered_is_stored_when_it_uses_ids_again(tmp_path: Path) -> None:
    def event(kind: str, sequence: int, at: str, energy: int) -> dict[str, Any]:
        return {
            "eventType": kind,
            "timestamp": f"2026-11-22T{at}:00Z",
            "triggerReason": "Authorized",
            "seqNo": sequence,
            "transactionInfo": {"transactionId": "1"},
            "evse": {"id": 1},
            "idToken": {"idToken": STAFF_BADGE, "type": "ISO14443"},
            "meterValue": [{"timestamp": f"2026-11-22T{at}:00Z", "sampledValue": [{"value": energy}]}],
        }

    told = [
        event("Started", 0, "10:00", 0),
        event("Ended", 1, "11:00", 4000),
        event("Started", 0, "12:00", 4000),
        event("Updated", 1, "12:30", 6000),
        event("Ended", 2, "13:00", 9000),
        event("Started", 0, "14:00", 9000),
        event("Ended", 0, "15:00", 9500),
    ]
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=["ocpp2.0.1"]) as station,
    ):
        for each in told:
            for payload in (each, each | {"offline": True}):  # told again, for its answer was lost
                answer = await station.call("TransactionEvent", payload)
                assert answer.payload["idTokenInfo"]["status"] == "Accepted"
        kept = rows(agent.state, "SELECT kind, text FROM events ORDER BY id")
        sessions = rows(
            agent.state, "SELECT transaction_id, meter_start, meter_stop FROM transactions ORDER BY started"
        )

    assert [(kind, json.loads(str(text))[3]) for kind, text in kept] == [(each["eventType"], each) for each in told]
    assert sessions == [("1", 0, 4000), ("1", 4000, 9000), ("1", 9000, 9500)]


async def test_r1_a_local_station_causes_no_connection_to_any_supervision(tmp_path: Path) -> None:
    async with open_supervision() as supervision:
        config = a_config(
            supervisions={"acme": a_supervision(supervision.url)},
            groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
            stations={"LOC-01": a_station(), "V-1": a_station("acme", "visitors")},
        )
        async with (
            running_agent(tmp_path, config) as agent,
            connect_station(agent.url("LOC-01")) as station,
        ):
            assert (await run_session(station, STAFF_BADGE)).completed

            assert supervision.past_connections == []
            assert supervision.connections == {}


async def test_r32_an_unknown_action_is_answered_not_implemented(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01")) as station,
    ):
        answer = await station.call("TransactionEvent", {})

        assert answer.error is not None
        assert answer.error.code == "NotImplemented"


async def test_r35_transaction_ids_stay_unique_over_a_restart(tmp_path: Path) -> None:
    numbers = []
    async with running_agent(tmp_path, a_config()) as agent, connect_station(agent.url("LOC-01")) as station:
        numbers.append((await run_session(station, STAFF_BADGE)).transaction_id)
    async with started(agent), connect_station(agent.url("LOC-01")) as station:
        numbers.append((await run_session(station, STAFF_BADGE)).transaction_id)

    assert len(set(numbers)) == 2
    assert all(0 < int(number) < 2**31 for number in numbers if number is not None)


async def test_a_local_stations_security_event_stands_in_the_security_log(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=["ocpp2.0.1"]) as station,
    ):
        assert (await report_security_event(station)).is_completed

        kept = rows(agent.state, "SELECT station, kind, text FROM security_events")
        assert kept == [("LOC-01", "SettingSystemTime", station.sent.texts[-1])]


async def test_open_transactions_show_in_the_status(tmp_path: Path) -> None:
    start = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01")) as station,
    ):
        await station.call("StartTransaction", start)

        row = await agent.station("LOC-01")
        assert row["openTransactions"] == 1
        assert (row["strategy"]["online"], row["strategy"]["state"]) == ("known", "pending")
        assert row["uplink"] is None
