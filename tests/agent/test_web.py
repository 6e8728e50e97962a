"""The admin interface: JSON behind a token, health checks without, nothing for pages of others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import trio
from pointsman_agent.web.app import admin_app
from pointsman_agent.web.server import AdminBindError, authority_of, bind, serve
from starlette.types import ASGIApp
from support.admissions import OPERATE_TOKEN, READ_TOKEN, an_admission

HOST = "127.0.0.1:9100"
BEARER = {"Authorization": f"Bearer {OPERATE_TOKEN}"}
STATUS: dict[str, Any] = {"site": "test-site", "state": "running"}


class Agent:
    """What the interface asks of the rest."""

    def __init__(self) -> None:
        self.is_ready = True
        self.reloads: list[bool] = []

    async def snapshot(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return STATUS

    async def reload(self, is_retry: bool) -> None:
        self.reloads.append(is_retry)

    def app(self, *hosts: str) -> ASGIApp:
        return admin_app(
            admission=an_admission(*(hosts or (HOST, "localhost:9100"))),
            snapshot=self.snapshot,
            is_ready=lambda: self.is_ready,
            reload=self.reload,
        )


async def ask(
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *,
    agent: Agent | None = None,
    base_url: str = f"http://{HOST}",
) -> httpx2.Response:
    transport = httpx2.ASGITransport((agent or Agent()).app())
    async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
        return await client.request(method, path, headers=headers or {})


async def test_the_token_opens_the_status() -> None:
    answer = await ask("/api/status", headers=BEARER)

    assert (answer.status_code, answer.json()) == (200, STATUS)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {OPERATE_TOKEN}",
        OPERATE_TOKEN,
        f"Bearer {OPERATE_TOKEN}x",
        f"Bearer {OPERATE_TOKEN} x",
    ],
)
@pytest.mark.parametrize("path", ["/api/status", "/api/reload", "/", "/nothing", "/healthz/", "/api/status/"])
async def test_without_the_token_there_is_nothing(path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await ask(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "test-site" not in answer.text


async def test_the_scheme_of_the_token_is_read_in_any_case() -> None:
    assert (await ask("/api/status", headers={"Authorization": f"bearer  {OPERATE_TOKEN}"})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost", "127.0.0.1:9100.evil.example"]
)
@pytest.mark.parametrize("path", ["/api/status", "/healthz"])
async def test_another_host_is_refused_even_with_the_token(path: str, host: str) -> None:
    assert (await ask(path, headers={**BEARER, "Host": host})).status_code == 421


async def test_localhost_is_a_name_of_ours() -> None:
    assert (await ask("/api/status", headers=BEARER, base_url="http://localhost:9100")).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (f"http://{HOST}", 200),
        ("http://localhost:9100", 200),
        ("http://evil.example", 403),
        ("http://127.0.0.1:80", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
async def test_a_page_of_another_origin_gets_nothing(origin: str, status: int) -> None:
    assert (await ask("/api/status", headers={**BEARER, "Origin": origin})).status_code == status


async def test_r55_health_checks_need_no_token() -> None:
    agent = Agent()

    assert (await ask("/healthz", agent=agent)).status_code == 200
    assert (await ask("/readyz", agent=agent)).status_code == 200
    agent.is_ready = False
    assert (await ask("/healthz", agent=agent)).status_code == 200
    assert (await ask("/readyz", agent=agent)).status_code == 503


async def test_a_reload_is_asked_by_post_only() -> None:
    agent = Agent()

    assert (await ask("/api/reload", "GET", BEARER, agent=agent)).status_code == 405
    assert (await ask("/api/reload", "POST", agent=agent)).status_code == 401
    assert agent.reloads == []
    assert (await ask("/api/reload", "POST", BEARER, agent=agent)).status_code == 202
    assert (await ask("/api/reload?retry=true", "POST", BEARER, agent=agent)).status_code == 202
    assert agent.reloads == [False, True]


async def test_the_token_that_reads_reads_and_does_nothing() -> None:
    agent, reader = Agent(), {"Authorization": f"Bearer {READ_TOKEN}"}

    assert (await ask("/api/status", headers=reader, agent=agent)).json() == STATUS
    refused = await ask("/api/reload", "POST", reader, agent=agent)
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        "this token or session only reads; the token of STATE/admin.json operates",
    )
    assert agent.reloads == []


@pytest.mark.parametrize("path", ["/healthz", "/api/status", "/nothing"])
async def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(path: str) -> None:
    answer = await ask(path, headers=BEARER)

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_person_without_a_session_is_shown_where_to_sign_in() -> None:
    answer = await ask("/", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert (await ask("/api/status", headers={"Accept": "text/html"})).status_code == 401


# --- On a socket ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    sock = bind("127.0.0.1", 0)
    authority, stop = authority_of(sock), trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, Agent().app(authority), sock, stop.wait)
            yield authority
            stop.set()


async def test_the_server_answers_on_the_bound_socket_and_ends_when_told() -> None:
    async with served() as authority, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{authority}/api/status", headers=BEARER)
        health = await client.get(f"http://{authority}/healthz")

    assert (answer.json(), health.text) == (STATUS, "ok\n")


async def test_a_taken_address_is_an_error_with_the_address() -> None:
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(AdminBindError, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port)
        with pytest.raises(AdminBindError, match="no such host"):
            bind("no such host", 0)


async def test_an_address_of_ipv6_stands_in_brackets() -> None:
    try:
        sock = bind("::1", 0)
    except AdminBindError:
        pytest.skip("this machine has no IPv6 loopback")
    with sock:
        assert authority_of(sock) == f"[::1]:{sock.getsockname()[1]}"
