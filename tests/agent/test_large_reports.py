"""Reports of very many rows: the loop, which answers stations, goes on while they are made, and they come whole."""

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trio
from pointsman_agent.streams import SEND_WITHIN_S
from pointsman_agent.web import reports
from pointsman_agent.web.app import admin_app
from pointsman_agent.web.reports import MOST_UNDER_WAY, ReportDesk, report_route
from pointsman_agent.web.server import authority_of, bind, serve
from support.admissions import OPERATE_TOKEN, an_admission
from support.agents import RunningAgent, running_agent, started
from support.sites import a_config
from trio.testing import MockClock

ROWS = 20_000
LONGEST_PAUSE_S = 1.0  # some 20 ms on an idle machine; before reports had a thread, seconds
WITHIN_S = 60.0
AT = "2026-11-22T12:00:00Z"


@asynccontextmanager
async def an_agent_with_a_full_journal(folder: Path) -> AsyncIterator[RunningAgent]:
    """Run an agent whose journal has ROWS security events and ROWS transactions."""
    async with running_agent(folder, a_config()) as agent:
        pass
    database = sqlite3.connect(agent.state / "journal.sqlite3")
    detail = "login of badge 04A1B2C3D4E5F6 with password=hunter22 at https://u:p@host/x?token=abc " * 3
    with database:
        database.executemany(
            "INSERT INTO transactions (key, station, transaction_id, badge, started, received)"
            " VALUES (?, ?, ?, '', ?, ?)",
            [(str(number), f"S-{number:06}", str(number), AT, AT) for number in range(ROWS)],
        )
        database.executemany(
            "INSERT INTO security_events (received, station, kind, detail, timestamp, text)"
            " VALUES (?, ?, 'x', ?, '', '')",
            [(AT, f"S-{number:06}", detail) for number in range(ROWS)],
        )
    database.close()
    async with started(agent):
        yield agent


class Ticker:
    """Tells the longest time for which a task that is always ready had to wait, in seconds."""

    def __init__(self) -> None:
        self.longest_pause_s = 0.0

    async def run(self) -> None:
        before = trio.current_time()
        while True:
            await trio.sleep(0.005)
            now = trio.current_time()
            self.longest_pause_s = max(self.longest_pause_s, now - before)
            before = now


async def asked(agent: RunningAgent, path: str, answers: list[tuple[str, httpx2.Response]]) -> None:
    """Ask for a report and keep the answer, which is read whole."""
    headers = {"Authorization": f"Bearer {agent.access.token}"}
    async with httpx2.AsyncClient(base_url=agent.access.url, headers=headers, trust_env=False) as client:
        answers.append((path, await client.get(path, timeout=WITHIN_S)))


async def test_large_reports_hold_up_nobody_and_come_whole_or_not_at_all(tmp_path: Path) -> None:
    paths = ["/api/security-events", "/api/transactions", "/transactions.csv", "/transactions"] * 2
    ticker = Ticker()
    answers: list[tuple[str, httpx2.Response]] = []
    async with an_agent_with_a_full_journal(tmp_path) as agent, trio.open_nursery() as nursery:
        nursery.start_soon(ticker.run)
        with trio.fail_after(WITHIN_S):
            async with trio.open_nursery() as asking:
                for path in paths:
                    asking.start_soon(asked, agent, path, answers)
        nursery.cancel_scope.cancel()

    assert ticker.longest_pause_s < LONGEST_PAUSE_S
    given = [(path, answer) for path, answer in answers if answer.status_code == 200]
    refused = [answer for _, answer in answers if answer.status_code != 200]
    assert [(answer.status_code, int(answer.headers["Retry-After"]) > 0) for answer in refused] == [(503, True)] * 2
    for path, answer in given:
        if path.startswith("/api/"):
            assert [row["station"] for row in answer.json()] == [f"S-{number:06}" for number in range(ROWS)]
        elif path.endswith(".csv"):
            assert len(answer.text.splitlines()) == ROWS + 1
        else:
            assert ("S-019999" in answer.text, "S-019800" in answer.text, "S-019799" in answer.text) == (
                True,
                True,
                False,
            )


def a_row(number: int) -> dict[str, Any]:
    """Return a row of a report, of some kilobytes."""
    return {"number": number, "text": "é" * 2000}


@asynccontextmanager
async def a_served_report(desk: ReportDesk, count: int) -> AsyncIterator[str]:
    """Serve a report of so many rows; yields the authority."""

    async def read(since: str | None) -> tuple[Iterator[dict[str, Any]], bool]:
        await trio.lowlevel.checkpoint()
        return (a_row(number) for number in range(count)), False

    async def nothing(*_: object) -> Any:
        await trio.lowlevel.checkpoint()

    sock = bind("127.0.0.1", 0)
    authority, stop = authority_of(sock), trio.Event()
    app = admin_app(
        admission=an_admission(authority),
        snapshot=nothing,
        is_ready=lambda: True,
        reload=nothing,
        routes=[report_route("/api/report", read, desk)],
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, app, sock, stop.wait)
        yield authority
        stop.set()


async def a_slow_reader(authority: str) -> trio.SocketStream:
    """Return a connection that asked for the report, and holds little of the answer."""
    host, _, port = authority.rpartition(":")
    sock = trio.socket.socket()
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await sock.connect((host, int(port)))
    stream = trio.SocketStream(sock)
    head = f"GET /api/report HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {OPERATE_TOKEN}\r\n"
    await stream.send_all(head.encode() + b"Connection: close\r\n\r\n")
    return stream


async def test_a_client_that_reads_slowly_gets_its_report_whole(mock_clock: MockClock) -> None:
    count = 2000  # 8 MB: more than the sockets hold
    async with a_served_report(ReportDesk(), count) as authority, await a_slow_reader(authority) as stream:
        mock_clock.autojump_threshold = 0.2  # time passes while it does not read
        answer = b""
        for _ in range(3):
            await trio.sleep(0.6 * SEND_WITHIN_S)
            mark = len(answer) + 500_000
            while len(answer) < mark and (data := await stream.receive_some()):
                answer += data
        answer += b"".join([chunk async for chunk in stream])

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body) == [a_row(number) for number in range(count)]


async def test_reports_that_are_not_taken_keep_their_place_until_they_are_let_go(mock_clock: MockClock) -> None:
    async with a_served_report(ReportDesk(), 2000) as authority:
        deaf = [await a_slow_reader(authority) for _ in range(MOST_UNDER_WAY)]
        for stream in deaf:
            assert (await stream.receive_some(12)).startswith(b"HTTP/1.1 200")
        async with await a_slow_reader(authority) as one_too_many:
            answer = b"".join([chunk async for chunk in one_too_many])
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 5" in answer.lower()
        for stream in deaf:
            await stream.aclose()
        mock_clock.rate = 5.0
        with trio.fail_after(WITHIN_S):
            while not (await first_words(authority)).startswith(b"HTTP/1.1 200"):
                pass


async def first_words(authority: str) -> bytes:
    """Ask for the report, and return how the answer begins."""
    async with await a_slow_reader(authority) as stream:
        return await stream.receive_some(12)


@pytest.mark.parametrize("count", [0, 1, 200, 201, 1000])
def test_an_array_that_is_written_in_parts_is_one_array(count: int) -> None:
    rows = [{"number": number} for number in range(count)]

    assert json.loads(reports.as_json(iter(rows))) == rows
