"""People ask stations of local groups: real command line, real interface, simulated stations of all versions."""

import csv
import json
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pointsman_agent.remotecontrol import MOST_IN_A_REPORT
from pointsman_simulator.frames import Call, CallResult
from pointsman_simulator.station import Station, connect_station, no_answer, run_boot, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent, started
from support.programs import agent_command
from support.sites import STAFF_BADGE, a_config, a_local_group, a_remote_group, a_station, a_supervision

PROTOCOLS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]


async def command(agent: RunningAgent, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `pointsman-agent` with `arguments` on the agent's state folder."""
    return await agent_command(*arguments, "--state", str(agent.state))


@asynccontextmanager
async def a_site(folder: Path, protocol: str, **station: Any) -> AsyncIterator[tuple[RunningAgent, Station]]:
    async with (
        running_agent(folder, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol], **station) as connected,
    ):
        yield agent, connected


async def wait_session(agent: RunningAgent, station: Station) -> None:
    """Wait until a session that was asked for is over."""
    await agent.wait_status(lambda _: len(station.remote_sessions) > 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_start_without_a_badge_charges_by_a_token_of_the_agents_own(tmp_path: Path, protocol: str) -> None:
    async with a_site(tmp_path, protocol) as (agent, station):
        started = await command(agent, "start", "LOC-01")
        await wait_session(agent, station)

        assert (started.returncode, started.stdout) == (0, "Accepted\n")
        assert station.remote_sessions[0].completed, station.remote_sessions[0].reason
        assert station.faults == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_start_with_an_unknown_badge_is_asked_and_then_refused(tmp_path: Path, protocol: str) -> None:
    async with a_site(tmp_path, protocol) as (agent, station):
        started = await command(agent, "start", "LOC-01", "--badge", "0BADBADGE0", "--json")
        await wait_session(agent, station)

        assert json.loads(started.stdout)["answer"] == {"status": "Accepted"}
        assert not station.remote_sessions[0].completed


async def test_a_token_of_the_agents_own_is_good_at_its_station_only(tmp_path: Path) -> None:
    tokens: list[str] = []

    async def note_token(call: Call) -> CallResult:
        tokens.append(call.payload["idTag"])
        return CallResult(call.id, {"status": "Accepted"})

    config = a_config(stations={"LOC-01": a_station(), "LOC-02": a_station()})
    async with (
        running_agent(tmp_path, config) as agent,
        connect_station(agent.url("LOC-01"), handler=note_token) as first,
        connect_station(agent.url("LOC-02")) as second,
    ):
        await command(agent, "start", "LOC-01")
        here = await first.call("Authorize", {"idTag": tokens[0].upper()})
        there = await second.call("Authorize", {"idTag": tokens[0]})
        made_up = await first.call("Authorize", {"idTag": "pm-0123456789abcdef"})

    answers = [answer.payload["idTagInfo"]["status"] for answer in (here, there, made_up)]
    assert answers == ["Accepted", "Invalid", "Invalid"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_stop_reset_and_unlock_say_it_in_the_stations_words(tmp_path: Path, protocol: str) -> None:
    async with a_site(tmp_path, protocol) as (agent, station):
        unlocked = await command(agent, "unlock", "LOC-01", "--connector", "2")
        nothing = await command(agent, "stop", "LOC-01")
        reset = await command(agent, "reset", "LOC-01", "--now")
        await station.wait_closed()

    assert (unlocked.returncode, unlocked.stdout) == (0, "Unlocked\n")
    assert (nothing.returncode, "no open transaction" in nothing.stderr) == (1, True)
    assert (reset.returncode, reset.stdout) == (0, "Accepted\n")
    assert station.faults == []


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_stop_names_the_only_open_transaction(tmp_path: Path, protocol: str) -> None:
    asked: list[dict[str, Any]] = []

    async def note(call: Call) -> CallResult:
        asked.append(call.payload)
        return CallResult(call.id, {"status": "Accepted"})

    async with a_site(tmp_path, protocol, handler=note) as (agent, station):
        if protocol == "ocpp1.6":
            start = {"connectorId": 1, "idTag": STAFF_BADGE, "meterStart": 0, "timestamp": "2026-11-22T10:00:00Z"}
            expected = (await station.call("StartTransaction", start)).payload["transactionId"]
        else:
            expected = "t-1"
            event = {"eventType": "Started", "timestamp": "2026-11-22T10:00:00Z", "triggerReason": "Authorized"}
            await station.call("TransactionEvent", event | {"seqNo": 0, "transactionInfo": {"transactionId": expected}})
        stopped = await command(agent, "stop", "LOC-01")

    assert stopped.returncode == 0
    assert asked == [{"transactionId": expected}]
    assert station.faults == []


async def test_call_prints_what_the_station_answers(tmp_path: Path) -> None:
    async with a_site(tmp_path, "ocpp1.6") as (agent, _):
        good = await command(agent, "call", "LOC-01", "GetConfiguration", '{"key": ["HeartbeatInterval"]}')
        error = await command(agent, "call", "LOC-01", "NoSuchThing")
        no_json = await command(agent, "call", "LOC-01", "Reset", "{")

    assert json.loads(good.stdout)["configurationKey"][0]["value"] == "300"
    assert (error.returncode, json.loads(error.stdout)["code"]) == (1, "NotImplemented")
    assert (no_json.returncode, "no JSON" in no_json.stderr) == (2, True)


async def test_who_cannot_be_asked_is_said(tmp_path: Path) -> None:
    async with open_supervision() as supervision:
        config = a_config(
            supervisions={"acme": a_supervision(supervision.url)},
            groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
            stations={"LOC-01": a_station(), "V-1": a_station("acme", "visitors")},
        )
        async with running_agent(tmp_path, config) as agent:
            remote = await command(agent, "call", "V-1", "ClearCache")
            absent = await command(agent, "reset", "LOC-01")
            unknown = await command(agent, "reset", "NOBODY")

    assert (remote.returncode, "belongs to acme" in remote.stderr) == (1, True)
    assert (absent.returncode, "LOC-01 is not connected" in absent.stderr) == (1, True)
    assert (unknown.returncode, "no station 'NOBODY'" in unknown.stderr) == (1, True)


async def test_transactions_are_listed_for_people_programs_and_spreadsheets(tmp_path: Path) -> None:
    async with a_site(tmp_path, "ocpp2.0.1", handler=no_answer) as (agent, station):
        await run_boot(station)
        assert (await run_session(station, STAFF_BADGE)).completed
        event = {"eventType": "Started", "timestamp": "2026-10-25T00:30:00Z", "triggerReason": "Authorized", "seqNo": 0}
        token = {"idToken": "=HYPERLINK(1)", "type": "ISO14443"}
        await station.call("TransactionEvent", event | {"transactionInfo": {"transactionId": "t-2"}, "idToken": token})
        text = await command(agent, "transactions")
        as_json = await command(agent, "transactions", "--json")
        as_csv = await command(agent, "transactions", "--csv", "--since", "24h")
        none = await command(agent, "transactions", "--json", "--since", "2099-01-01T00:00:00Z")
        wrong = await command(agent, "transactions", "--since", "yesterday")

    first, second = json.loads(as_json.stdout)
    table = list(csv.DictReader(StringIO(as_csv.stdout)))
    assert first["energyWh"] > 0
    assert (first["badge"], first["reason"]) == (STAFF_BADGE, "Local")
    assert second["started"] == "2026-10-25T02:30:00+02:00"  # the first of the two half past two of that night
    assert second["ended"] is None
    assert [row["badge"] for row in table] == [STAFF_BADGE, "'=hyperlink(1)"]
    assert "2026-10-25 02:30" in text.stdout
    assert "charges" in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 80
    assert json.loads(none.stdout) == []
    assert (wrong.returncode, "yesterday" in wrong.stderr) == (1, True)


async def test_a_badge_that_is_too_long_for_ocpp_16_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    heard: list[str] = []

    async def note(call: Call) -> CallResult:
        heard.append(call.action)
        return CallResult(call.id, {"status": "Accepted"})

    async with a_site(tmp_path, "ocpp1.6", handler=note) as (agent, _):
        refused = await command(agent, "start", "LOC-01", "--badge", "A" * 21)
        taken = await command(agent, "start", "LOC-01", "--badge", "A" * 20)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "21 characters" in refused.stderr
    assert taken.returncode == 0
    assert heard.count("RemoteStartTransaction") == 1


@pytest.mark.parametrize(
    "payload",
    [
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a": %s}' % ("[" * 2000 + "]" * 2000),
        '{"a": %s}' % ("[" * 101 + "]" * 101),
    ],
    ids=["NaN", "infinite", "surrogate", "2000 levels", "102 levels"],
)
async def test_a_payload_that_cannot_be_sent_is_a_usage_error_in_one_line(tmp_path: Path, payload: str) -> None:
    refused = await agent_command("call", "LOC-01", "DataTransfer", payload, "--state", str(tmp_path))

    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"action": "\xff", "payload": {}}', "utf-8"),
        (b'{"action": "\xff', "the request's body"),
        (b"[" * 30_000, "the request's body"),
        (b'{"action": "Reset", "payload": {"a": ' + b"[" * 30_000, "deeper than 100 levels"),
        (b'{"action": "Reset", "payload": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}", "deeper than 100 levels"),
    ],
    ids=["no UTF-8", "no UTF-8, cut", "30,000 levels", "30,000 levels of a payload", "900 levels of a payload"],
)
async def test_a_body_that_cannot_be_read_is_a_400_in_words(tmp_path: Path, body: bytes, why: str) -> None:
    async with a_site(tmp_path, "ocpp1.6") as (agent, _):
        headers = {"Authorization": f"Bearer {agent.access.token}"}
        async with httpx2.AsyncClient(base_url=agent.access.url, headers=headers, trust_env=False) as client:
            refused = await client.post("/api/call/LOC-01", content=body)

    assert refused.status_code == 400
    assert why in refused.json()["error"]


async def test_a_payload_as_deep_as_may_be_goes_to_the_station_as_it_is(tmp_path: Path) -> None:
    heard: list[object] = []
    payload = json.loads('{"a": ' + "[" * 99 + "]" * 99 + "}")

    async def note(call: Call) -> CallResult:
        heard.append(call.payload)
        return CallResult(call.id, {})

    async with a_site(tmp_path, "ocpp1.6", handler=note) as (agent, _):
        asked = await command(agent, "call", "LOC-01", "DataTransfer", json.dumps(payload))

    assert asked.returncode == 0, asked.stderr
    assert payload in heard


async def test_transactions_in_two_forms_at_once_are_a_usage_error(tmp_path: Path) -> None:
    refused = await agent_command("transactions", "--json", "--csv", "--state", str(tmp_path))

    assert refused.returncode == 2
    assert "exclude each other" in refused.stderr


async def test_a_report_of_more_than_it_holds_lacks_the_oldest_and_says_so(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        pass
    database = sqlite3.connect(agent.state / "journal.sqlite3")
    at = "2026-11-22T12:00:00Z"
    rows = [(str(number), f"S-{number:06}", str(number), at, at) for number in range(MOST_IN_A_REPORT + 1)]
    with database:
        database.executemany(
            "INSERT INTO transactions (key, station, transaction_id, badge, started, received)"
            " VALUES (?, ?, ?, '', ?, ?)",
            rows,
        )
    database.close()

    async with started(agent):
        report = await command(agent, "transactions", "--json")

    listed = json.loads(report.stdout)
    assert report.returncode == 0
    assert [listed[0]["station"], listed[-1]["station"], len(listed)] == ["S-000001", "S-100000", MOST_IN_A_REPORT]
    assert "only the newest 100000 are shown" in report.stderr
