"""Rules 50 and 52: people look in on a running agent, and see no badge and no key."""

import contextlib
import json
import logging
import os
import signal
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import h11
import pytest
import structlog
import trio
from pointsman_agent import logs
from pointsman_agent.client import Access, AgentRefused, follow_tail, get_report
from pointsman_agent.messagetables import passed_text, security_events_text
from pointsman_agent.tables import WIDTH
from pointsman_agent.tail import MOST_WATCHERS
from pointsman_agent.web.places import MOST_PLACES
from pointsman_simulator.station import Station, connect_station, report_security_event, run_session
from pointsman_simulator.supervision import open_supervision
from rich.cells import cell_len
from support.agents import RunningAgent, running_agent, started
from support.programs import COMMAND, agent_command
from support.sites import STAFF_BADGE, a_badge, a_config, a_local_group, a_remote_group, a_station, a_supervision
from support.sites import a_unique_config as unique

BADGE = STAFF_BADGE.upper()
KEY = "00112233445566778899aabbccddeeff00112233"
WITHIN_S = 20.0


class Tail:
    """A watch over the admin interface."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = b""

    async def ask(self, access: Access, station: str | None) -> int:
        """Send the request and return the status."""
        target = "/api/tail" + ("" if station is None else f"?station={station}")
        headers = [("Host", access.url.removeprefix("http://")), ("Authorization", f"Bearer {access.token}")]
        await self._stream.send_all(self._http.send(h11.Request(method="GET", target=target, headers=headers)) or b"")
        self._http.send(h11.EndOfMessage())
        response = await self._event()
        assert isinstance(response, h11.Response)
        return response.status_code

    async def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the next rows; raises trio.TooSlowError."""
        rows: list[dict[str, Any]] = []
        deadline = trio.current_time() + WITHIN_S
        while len(rows) < count:
            assert trio.current_time() < deadline, rows
            line, newline, rest = self._text.partition(b"\n")
            if not newline:
                event = await self._event()
                assert isinstance(event, h11.Data)
                self._text += event.data
                continue
            self._text = rest
            if line:
                rows.append(json.loads(line))
        return rows

    async def _event(self) -> object:
        with trio.fail_after(WITHIN_S):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._stream.receive_some())
        return event


@asynccontextmanager
async def asking(agent: RunningAgent, station: str | None = None) -> AsyncIterator[tuple[Tail, int]]:
    """Ask for a watch; yields it and the status of the answer."""
    host, _, port = agent.access.url.removeprefix("http://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        tail = Tail(stream)
        yield tail, await tail.ask(agent.access, station)


@asynccontextmanager
async def watching(agent: RunningAgent, station: str | None = None) -> AsyncIterator[Tail]:
    """Watch until the block ends."""
    async with asking(agent, station) as (tail, status):
        assert status == 200
        yield tail


def mixed(url: str) -> Any:
    """Return a configuration of a local and a relayed station."""
    return a_config(
        supervisions={"acme": a_supervision(url)},
        groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
        stations={"LOC-01": a_station(), "CP-1": a_station("acme", "visitors")},
    )


async def test_r52_messages_of_both_kinds_of_stations_are_shown_as_they_pass(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, mixed(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as relayed,
        connect_station(agent.url("LOC-01")) as local,
        watching(agent) as tail,
    ):
        await relayed.call("Authorize", {"idTag": BADGE})
        first = await tail.rows(2)
        await local.call("Authorize", {"idTag": BADGE.lower()})
        second = await tail.rows(2)

        assert [(row["station"], row["direction"]) for row in first + second] == [
            ("CP-1", "from-station"),
            ("CP-1", "from-supervision"),
            ("LOC-01", "from-station"),
            ("LOC-01", "to-station"),
        ]
        shown = {json.loads(row["text"])[3]["idTag"] for row in (first[0], second[0])}
        assert len(shown) == 1  # one badge, one word
        assert shown.pop().startswith("#")
        assert first[1]["text"] == relayed.received.texts[-1]


async def test_r52_a_watch_of_one_station_shows_intercepts_and_drops(tmp_path: Path) -> None:
    async with open_supervision() as supervision:
        config = unique(supervision.url, "CP-1", "CP-2", forward_security_events=False)
        async with (
            running_agent(tmp_path, config) as agent,
            connect_station(agent.url("CP-1")) as station,
            connect_station(agent.url("CP-2")) as other,
            watching(agent, "cp-1") as tail,
        ):
            await other.call("Heartbeat", {})
            await report_security_event(station)
            await station.send_text('{"idTag":"' + BADGE)
            rows = await tail.rows(4)

    assert [(row["direction"], row.get("dropped")) for row in rows] == [
        ("from-station", None),
        ("to-station", None),
        ("from-station", None),
        ("from-station", "envelope"),
    ]
    assert {row["station"] for row in rows} == {"CP-1"}
    assert all(BADGE not in row["text"] for row in rows)


async def test_a_watcher_that_does_not_read_slows_nobody_and_is_told_what_it_missed(tmp_path: Path) -> None:
    payload = {"vendorId": "x", "data": "[" + "1," * 20_000 + "1]"}  # far more in all than sockets and queue hold
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
        watching(agent, "CP-1") as deaf,
    ):
        with trio.fail_after(WITHIN_S):
            for _ in range(300):
                assert (await station.call("DataTransfer", payload)).error is None
        async with watching(agent, "CP-1") as attentive:
            await station.call("Heartbeat", {})
            assert (await attentive.rows(1))[0]["direction"] == "from-station"

        rows: list[dict[str, Any]] = []
        while not rows or "missed" not in rows[-1]:
            rows += await deaf.rows(1)
        assert rows[-1]["missed"] > 0
        assert len(rows) - 1 + rows[-1]["missed"] == 2 * 300 + 2


async def test_watchers_are_bounded_and_their_places_given_back(tmp_path: Path) -> None:
    async with running_agent(tmp_path, unique("ws://127.0.0.1:1/ocpp")) as agent:
        async with AsyncExitStack() as stack:
            for _ in range(MOST_WATCHERS):
                await stack.enter_async_context(watching(agent))
            async with asking(agent) as (_, status):
                assert status == 503
        with trio.fail_after(WITHIN_S):
            status = 503
            while status == 503:
                async with asking(agent) as (_, status):
                    pass
        assert status == 200


async def test_clients_of_the_status_that_never_read_hold_up_neither_stations_nor_other_clients(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
        trio.open_nursery() as nursery,
    ):
        authority = agent.access.url.removeprefix("http://")
        host, _, port = authority.rpartition(":")
        asked = f"GET /api/status HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {agent.access.token}\r\n\r\n"
        deaf = [await trio.open_tcp_stream(host, int(port)) for _ in range(MOST_PLACES - 2)]
        for stream in deaf:  # far more answers than sockets hold, so that the server has to wait for each of them
            nursery.start_soon(send_all_that_is_taken, stream, asked.encode() * 10_000)
        with trio.fail_after(WITHIN_S):
            for _ in range(50):
                assert (await station.call("Heartbeat", {})).error is None
            assert (await agent.status())["stationsConnected"] == 1

        for stream in deaf:
            await trio.aclose_forcefully(stream)
        with trio.fail_after(WITHIN_S):  # their places are given back
            free = [await trio.open_tcp_stream(host, int(port)) for _ in range(MOST_PLACES // 2)]
            for stream in free:
                await stream.send_all(asked.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode())
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
                await stream.aclose()


async def send_all_that_is_taken(stream: trio.SocketStream, data: bytes) -> None:
    """Send until the other side takes no more, or ends the connection."""
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_all(data)


async def test_a_station_that_the_bundle_does_not_have_cannot_be_watched(tmp_path: Path) -> None:
    async with running_agent(tmp_path, unique("ws://127.0.0.1:1/ocpp")) as agent:

        def first_row() -> dict[str, Any]:
            return next(follow_tail(agent.access, "STRANGER"))

        with pytest.raises(AgentRefused, match="'STRANGER'"):
            await trio.to_thread.run_sync(first_row)


async def test_the_key_of_the_hashes_stays_over_restarts_and_is_private(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        path = agent.state / "redaction.key"
        key = path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(key) == 32
        path.write_bytes(b"cut")
    async with started(agent):
        again = path.read_bytes()
    assert len(again) == 32
    assert again != key
    async with started(agent):
        assert path.read_bytes() == again


@asynccontextmanager
async def tail_process(agent: RunningAgent, station: Station) -> AsyncIterator[tuple[trio.Process, str]]:
    """Run `tail CP-1` until the block ends; yields it and its output once it showed messages."""
    async with trio.open_nursery() as nursery:
        command = [*COMMAND, "tail", "CP-1", "--state", str(agent.state)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        start = partial(trio.run_process, command, stdout=subprocess.PIPE, check=False, env=environment)
        process: trio.Process = await nursery.start(start)
        assert process.stdout is not None
        said = b""
        with trio.fail_after(WITHIN_S):
            while not (b"CP-1  station" in said and b"CP-1  supervision" in said):  # it may begin between the two
                await station.call("Authorize", {"idTag": BADGE})
                with trio.move_on_after(0.2):
                    said += await process.stdout.receive_some()
        yield process, said.decode()
        nursery.cancel_scope.cancel()


async def test_tail_as_a_command_shows_messages_until_ctrl_c(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
        tail_process(agent, station) as (process, text),
    ):
        process.send_signal(signal.SIGINT)
        with trio.fail_after(WITHIN_S):
            assert await process.wait() == 0

    assert "CP-1  station →" in text
    assert BADGE not in text
    assert '"idTag":"#' in text.replace(" ", "")
    assert max(len(line) for line in text.splitlines()) <= WIDTH


async def test_tail_exits_4_without_an_agent_and_when_the_agent_ends(tmp_path: Path) -> None:
    gone = await agent_command("tail", "--state", str(tmp_path))
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
        tail_process(agent, station) as (process, _),
    ):
        os.kill(os.getpid(), signal.SIGTERM)  # the agent of a test has this process's handlers
        with trio.fail_after(WITHIN_S):
            assert await process.wait() == 4

    assert gone.returncode == 4
    assert "no agent runs" in gone.stderr


async def test_r50_stations_shows_all_of_one_station_with_what_was_dropped_and_noticed(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        await station.send_text("junk")
        await station.call("FirmwareStatusNotification", {"status": "DownloadFailed"})
        state = ["--state", str(agent.state)]
        text = await agent_command("stations", "CP-1", *state)
        as_json = await agent_command("stations", "CP-1", "--json", *state)
        unknown = await agent_command("stations", "CP-9", *state)

    assert (text.returncode, unknown.returncode) == (0, 1)
    assert "dropped        envelope 1" in text.stdout
    assert "noticed        download-failed 1" in text.stdout
    row = json.loads(as_json.stdout)
    assert row["lastReceived"] is not None
    assert row["lastSent"] is not None
    assert "'CP-9'" in unknown.stderr


async def test_security_events_are_listed_from_a_moment_on(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, unique(supervision.url, forward_security_events=False)) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp2.0.1"]) as station,
    ):
        payload = {"type": "TamperDetectionActivated", "timestamp": "2026-11-22T12:00:00Z", "techInfo": f"card {BADGE}"}
        assert (await station.call("SecurityEventNotification", payload)).error is None
        log = partial(get_report, agent.access, "security-events")
        rows, is_cut = await trio.to_thread.run_sync(log, None)
        none = await trio.to_thread.run_sync(log, "2999-01-01T00:00:00+01:00")
        with pytest.raises(AgentRefused, match="no time"):
            await trio.to_thread.run_sync(log, "yesterday")
        state = ["--state", str(agent.state)]
        table = await agent_command("security-events", "--since", "24h", *state)
        as_json = await agent_command("security-events", "--json", *state)

    assert [(row["station"], row["type"], row["stationTime"]) for row in rows] == [
        ("CP-1", "TamperDetectionActivated", "2026-11-22T12:00:00Z")
    ]
    assert rows[0]["detail"].startswith("card #")
    assert not is_cut
    assert none == ([], False)
    assert "TamperDetectionActivated" in table.stdout
    assert json.loads(as_json.stdout) == rows


@pytest.fixture
def log_lines() -> Iterator[StringIO]:
    """All log lines of the test, as an agent of its own would write them."""
    stream = StringIO()
    writer = logs.set_up("debug", stream)
    yield stream
    writer.close()
    structlog.reset_defaults()
    logging.shutdown()


async def test_r52_no_badge_and_no_key_stands_in_any_log_line_of_a_whole_run(
    tmp_path: Path, log_lines: StringIO
) -> None:
    async with open_supervision() as supervision:
        config = mixed(supervision.url)
        config.badges["04ffffff"] = a_badge("staff")
        async with running_agent(tmp_path, config) as agent:
            for identity, protocol in (("CP-1", "ocpp1.6"), ("LOC-01", "ocpp1.6"), ("LOC-01", "ocpp2.0.1")):
                async with connect_station(agent.url(identity), protocols=[protocol]) as station:
                    assert (await run_session(station)).completed
                    await station.send_text('[2,"x","Authorize",{"idTag":"' + BADGE)
                    await station.send_text('{"idTag":"' + BADGE)
                    await station.send_text(f'[3,"nobody","{BADGE}"]')
                    await station.send_text(f'[2,"{BADGE}","Authorize",["{BADGE}"]]')
                    if identity == "CP-1":
                        await supervision.call("CP-1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": KEY})
                    else:
                        await station.close(4000, f"card {BADGE}")
            async with connect_station(agent.url("CP-1")) as station:
                link = await supervision.wait_connected("CP-1")
                await link.close(1008, f"unknown idTag {BADGE}")
                await station.wait_closed()
            status = json.dumps(await agent.status())
            errors = (await agent_command("stations", "--state", str(agent.state))).stdout

    written = log_lines.getvalue() + status + errors
    assert "link ended" in written
    assert "uplink key stored" in written
    assert BADGE.casefold() not in written.casefold()
    assert KEY.casefold() not in written.casefold()


def test_messages_are_within_80_columns_and_harmless_to_a_terminal() -> None:
    row = {
        "at": "2026-11-22T12:00:00.123Z",
        "station": "X" * 48,
        "direction": "from-supervision",
        "text": '[2,"1","X",{"a":"\x1b[31m' + "漢" * 100 + '"}]',
        "dropped": "envelope",
    }
    text = passed_text(row)

    assert max(cell_len(line) for line in text.splitlines()) <= WIDTH
    assert "\x1b" not in text
    assert text.startswith("12:00:00.123  X")
    assert passed_text({"missed": 3}).startswith("(3 messages missed")
    event = {"at": "2026-11-22T12:00:00Z", "station": "X" * 48, "type": "y" * 50, "detail": "z " * 100}
    assert max(cell_len(line) for line in security_events_text([event]).splitlines()) <= WIDTH
