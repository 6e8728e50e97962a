"""The admin interface of a running agent: its answers are as its document says, to whom they may be, over TLS too."""

import ssl
import stat
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import trio
import trustme
from pointsman_agent import admin
from pointsman_agent.client import Access, AgentUnreachable, ask_ticket, get_status
from pointsman_agent.live import MOST_FOLLOWERS
from pointsman_agent.settings import KeyFiles
from pointsman_agent.web import access, shapes
from pointsman_agent.web.app import admin_app
from pointsman_agent.web.openapi import OPERATIONS
from pointsman_simulator.station import connect_station, report_security_event, run_session
from pointsman_simulator.supervision import open_supervision
from starlette.applications import Starlette
from starlette.routing import Route
from support.agents import RunningAgent, running_agent, started
from support.events import following
from support.processes import agent_process
from support.sites import STAFF_BADGE, a_config, a_local_group, a_remote_group, a_station, a_supervision

WITHIN_S = 20.0
ACTIVATED_WITHIN_S = 8.0  # a second on an idle machine; a client that does not read is let go after ten
ENDED_WITHIN_S = 5.0
PAGES = {"/", "/stations/{station}", "/transactions", "/transactions.csv", "/live", "/login", "/logout"}
"""For browsers, and not in the document."""


def a_site(url: str) -> Any:
    """Return a configuration of a local and a relayed station."""
    return a_config(
        supervisions={"acme": a_supervision(url, forward_security_events=False)},
        groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
        stations={"LOC-01": a_station(), "CP-1": a_station("acme", "visitors")},
    )


def client_of(agent: RunningAgent, token: str | None = None) -> httpx2.AsyncClient:
    """Return a client that shows a token (default: the one that operates)."""
    headers = {"Authorization": f"Bearer {token or agent.access.token}"}
    return httpx2.AsyncClient(base_url=agent.access.url, headers=headers, trust_env=False)


def browser_of(agent: RunningAgent) -> httpx2.AsyncClient:
    """Return a client that shows nothing, and keeps the cookies that it is given."""
    return httpx2.AsyncClient(base_url=agent.access.url, trust_env=False)


def read_token(agent: RunningAgent) -> str:
    """Return the token that only reads."""
    return (agent.state / "read-token").read_text().strip()


async def test_every_answer_is_as_the_document_says(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_site(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as relayed,
        connect_station(agent.url("LOC-01")) as local,
        client_of(agent) as client,
    ):
        await run_session(local, STAFF_BADGE)
        await report_security_event(relayed)
        for operation in (each for each in OPERATIONS if each.method == "GET" and not isinstance(each.answer, str)):
            answer = await client.get(operation.path.format(station="CP-1"))
            found = msgspec.json.decode(answer.content, type=operation.answer)
            assert found, operation.path
        asked = await client.post("/api/call/LOC-01", json={"action": "GetLocalListVersion", "payload": {}})
        tested = await client.post("/api/test/acme")
        ticket = await client.post("/api/tickets")
        reload = await client.post("/api/reload")
        refused = await client.post("/api/call/LOC-01", json={"action": "X"})
        async with following(agent.access, "/api/events") as events:
            status = await events.next("status")
            stations = await events.next("stations")

    msgspec.json.decode(asked.content, type=shapes.StationAnswer)
    msgspec.json.decode(tested.content, type=shapes.ConnectionTest)
    msgspec.json.decode(ticket.content, type=shapes.Ticket)
    msgspec.json.decode(reload.content, type=shapes.Reload)
    assert (refused.status_code, "payload" in msgspec.json.decode(refused.content, type=shapes.Error).error) == (
        400,
        True,
    )
    msgspec.convert({**status, "stations": []}, type=shapes.Status)
    assert msgspec.convert(stations, type=shapes.StationsEvent).whole


async def test_the_document_names_every_route_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Starlette] = []

    def remembered(**parts: Any) -> Starlette:
        app = admin_app(**parts)
        assert isinstance(app, Starlette)
        made.append(app)
        return app

    monkeypatch.setattr(admin, "admin_app", remembered)
    async with running_agent(tmp_path, None):
        routes = [route for route in made[0].routes if isinstance(route, Route)]
    served = {(method, route.path) for route in routes for method in route.methods or () if method != "HEAD"}

    documented = {(operation.method, operation.path) for operation in OPERATIONS}
    assert {each for each in served if each[1] not in PAGES and not each[1].startswith("/assets/")} == documented


async def test_who_shows_the_token_that_reads_reads_all_and_operates_nothing(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_site(supervision.url)) as agent,
        client_of(agent, read_token(agent)) as reader,
        browser_of(agent) as stranger,
    ):
        for operation in OPERATIONS:
            path = operation.path.format(station="CP-1", supervision="acme")
            is_endless = operation.path in ("/api/events", "/api/tail")
            if operation.role == "read" and not is_endless:
                assert (await reader.request(operation.method, path)).status_code == 200
            if operation.role == "operate":
                assert (await reader.request(operation.method, path)).status_code == 403
            if operation.role != "open":
                assert (await stranger.request(operation.method, path)).status_code == 401
        assert (await agent.status())["stationsConnected"] == 0


async def test_the_token_that_reads_stays_over_restarts_and_is_private(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        token = read_token(agent)
        assert stat.S_IMODE((agent.state / "read-token").stat().st_mode) == 0o600
    async with started(agent):
        assert read_token(agent) == token
        (agent.state / "read-token").write_text("short")
    async with started(agent):
        assert len(read_token(agent)) > len("short")


async def test_events_tell_what_changes_and_nothing_else(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_site(supervision.url)) as agent,
        following(agent.access, "/api/events") as of_all,
        following(agent.access, "/api/events?station=loc-01") as of_one,
    ):
        first = await of_all.next("stations")
        one = await of_one.next("stations")
        async with connect_station(agent.url("LOC-01")):
            second = await of_all.next("stations")
            connected = await of_one.next("stations")

    assert (first["whole"], {row["station"] for row in first["stations"]}) == (True, {"CP-1", "LOC-01"})
    assert [(row["station"], row["connected"]) for row in one["stations"]] == [("LOC-01", False)]
    assert (second["whole"], [row["station"] for row in second["stations"]]) == (False, ["LOC-01"])
    assert second["stations"][0]["connected"]
    assert [row["connected"] for row in connected["stations"]] == [True]


async def test_who_follows_is_bounded_and_places_are_given_back(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent, client_of(agent) as client:
        async with AsyncExitStack() as stack:
            for _ in range(MOST_FOLLOWERS):
                await stack.enter_async_context(following(agent.access, "/live"))
            refused = await client.get("/api/events")
        with trio.fail_after(WITHIN_S):
            while True:
                with suppress(AssertionError):
                    async with following(agent.access, "/live"):
                        break

    assert (refused.status_code, refused.json()) == (503, {"error": f"{MOST_FOLLOWERS} follow already"})


async def test_a_browser_that_stops_reading_delays_neither_activation_nor_the_end(tmp_path: Path) -> None:
    stations = {f"CP-{number:04d}": a_station("acme", None) for number in range(2000)}
    large = a_config(
        mode="unique",
        supervisions={"acme": a_supervision("ws://127.0.0.1:1/")},
        groups={},
        badges={},
        stations=stations,
    )
    smaller = msgspec.structs.replace(large, stations=dict(list(stations.items())[:-1]))
    async with AsyncExitStack() as stack:
        async with agent_process(tmp_path, large) as agent:
            for path in ("/live", "/api/events") * 4:
                await stack.enter_async_context(await deaf_follower(agent, path))
            began = trio.current_time()
            agent.write(smaller, sequence=2)
            await agent.reload()
            await agent.wait_status(lambda status: status["stationsTotal"] == len(smaller.stations))
            activated = trio.current_time()
        ended = trio.current_time()

    assert activated - began < ACTIVATED_WITHIN_S
    assert ended - activated < ENDED_WITHIN_S


async def deaf_follower(agent: RunningAgent, path: str) -> trio.SocketStream:
    """Return the connection of one who asks for events without end and reads none."""
    authority = agent.access.url.removeprefix("http://")
    host, _, port = authority.rpartition(":")
    sock = trio.socket.socket()
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
    await sock.connect((host, int(port)))
    stream = trio.SocketStream(sock)
    asked = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {agent.access.token}\r\n\r\n"
    await stream.send_all(asked.encode())
    with trio.fail_after(WITHIN_S):
        assert (await stream.receive_some(16)).startswith(b"HTTP/1.1 200")
    return stream


# --- Browsers ------------------------------------------------------------------------------------------------------


async def test_a_browser_signs_in_with_a_token_reads_and_signs_out(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent, browser_of(agent) as browser:
        wrong = await browser.post("/login", data={"token": "guess"})
        assert (wrong.status_code, "no token of this controller" in wrong.text) == (403, True)
        right = await browser.post("/login", data={"token": read_token(agent)})
        assert (right.status_code, right.headers["Location"]) == (303, "/")
        cookie = right.headers["Set-Cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict"))

        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/api/status")).status_code == 200
        assert (await browser.post("/api/reload")).status_code == 403
        assert (await browser.post("/logout")).status_code == 303
        assert (await browser.get("/api/status")).status_code == 401


@pytest.mark.parametrize("path", ["/live", "/live?station=LOC-01", "/api/events"])
async def test_who_signs_out_is_told_nothing_any_more(path: str, tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_site("ws://127.0.0.1:1/")) as agent, browser_of(agent) as browser:
        await browser.post("/login", data={"token": read_token(agent)})
        async with browser.stream("GET", path) as follower:
            assert follower.status_code == 200
            assert (await browser.post("/logout")).status_code == 303
            with trio.fail_after(WITHIN_S):
                await read_to_the_end(follower)


async def test_what_is_followed_ends_with_the_session_that_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "SESSION_LASTS_S", 2.0)
    async with running_agent(tmp_path, None) as agent, browser_of(agent) as browser:
        await browser.post("/login", data={"token": read_token(agent)})
        async with browser.stream("GET", "/live") as follower:
            assert follower.status_code == 200
            with trio.fail_after(WITHIN_S):
                await read_to_the_end(follower)


async def read_to_the_end(answer: httpx2.Response) -> None:
    """Read an answer until the agent ends it, which it does between two parts: it has no last one."""
    with suppress(httpx2.RemoteProtocolError):
        async for _ in answer.aiter_raw():
            pass


async def test_the_session_of_a_browser_does_not_operate_even_when_a_token_that_operates_opened_it(
    tmp_path: Path,
) -> None:
    async with running_agent(tmp_path, None) as agent, browser_of(agent) as browser:
        await browser.post("/login", data={"token": agent.access.token})

        assert (await browser.get("/api/status")).status_code == 200
        assert (await browser.post("/api/reload")).status_code == 403


async def test_a_ticket_lets_a_browser_in_once(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        address = await trio.to_thread.run_sync(ask_ticket, agent.access)
        async with httpx2.AsyncClient(trust_env=False) as first, httpx2.AsyncClient(trust_env=False) as second:
            assert (await first.get(address)).status_code == 303
            again = await second.get(address)
            assert (await first.get(f"{agent.access.url}/")).status_code == 200

    assert (again.status_code, "has been used" in again.text) == (403, True)
    assert "Set-Cookie" not in again.headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/stations/NOBODY", 404),
        ("/stations/%2e%2e%2f%2e%2e%2fetc", 404),
        ("/assets/../../run.py", 404),
        ("/assets/%2e%2e%2frendering.py", 404),
        ("/assets/__init__.py", 404),
        ("/live?station=NOBODY", 404),
        ("/api/events?station=NOBODY", 404),
        ("/transactions.csv?since=yesterday", 400),
        ("/index.php", 404),
    ],
)
async def test_what_is_not_there_is_a_clear_4xx(path: str, status: int, tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent, client_of(agent) as client:
        answer = await client.get(path)

    assert answer.status_code == status
    assert answer.json()["error"]


# --- Exposed -------------------------------------------------------------------------------------------------------


def a_certificate(folder: Path, ca: trustme.CA) -> KeyFiles:
    """Return a certificate chain and its key in files."""
    made = ca.issue_cert("controller.example")
    files = KeyFiles(folder / "admin.pem", folder / "admin.key")
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    files.key.write_bytes(made.private_key_pem.bytes())
    return files


async def test_over_tls_the_command_line_trusts_the_very_certificate_and_no_other(tmp_path: Path) -> None:
    files = a_certificate(tmp_path, trustme.CA())
    flags: Mapping[str, Any] = {"admin_tls": files, "admin_host": "0.0.0.0", "admin_names": ("controller.example",)}
    async with running_agent(tmp_path, None, flags=dict(flags)) as agent:
        assert agent.access.url.startswith("https://127.0.0.1:")
        assert (await agent.status())["state"] == "waiting"

        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        stranger = Access(agent.access.url, agent.access.token, str(other))
        with pytest.raises(AgentUnreachable):
            await trio.to_thread.run_sync(get_status, stranger)

        authority = agent.access.url.removeprefix("https://")
        for host, status in ((f"controller.example:{authority.rpartition(':')[2]}", 401), ("evil.example", 421)):
            assert (await raw_status(authority, host, str(files.certificate))) == status
        with trio.fail_after(WITHIN_S), suppress(trio.BrokenResourceError):  # plain HTTP gets no answer of HTTP
            async with await trio.open_tcp_stream("127.0.0.1", int(authority.rpartition(":")[2])) as plain:
                await plain.send_all(b"GET / HTTP/1.1\r\n\r\n")
                assert not (await plain.receive_some()).startswith(b"HTTP")


async def raw_status(authority: str, host: str, certificate: str) -> int:
    """Return the status of a request over TLS with another Host header."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(f"https://{authority}/api/status", headers={"Host": host})).status_code


async def test_a_cookie_over_tls_is_never_sent_without(tmp_path: Path) -> None:
    files = a_certificate(tmp_path, trustme.CA())
    context = ssl.create_default_context(cafile=str(files.certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    async with (
        running_agent(tmp_path, None, flags={"admin_tls": files}) as agent,
        httpx2.AsyncClient(base_url=agent.access.url, verify=context, trust_env=False) as browser,
    ):
        answer = await browser.post("/login", data={"token": read_token(agent)})

    assert "secure" in answer.headers["Set-Cookie"].lower()


async def test_an_agent_that_others_reach_answers_to_any_address_and_no_strange_name(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None, flags={"admin_host": "0.0.0.0"}) as agent, client_of(agent) as client:
        for host, status in (("10.1.2.3:9100", 200), ("10.1.2.3", 200), ("evil.example", 421)):
            assert (await client.get("/healthz", headers={"Host": host})).status_code == status
