"""The admin interface against clients that misbehave: on sockets, with every wait bounded."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from pointsman_agent.streams import SEND_WITHIN_S
from pointsman_agent.web.app import admin_app
from pointsman_agent.web.connection import LARGEST_BODY_BYTES, LARGEST_HEAD_BYTES
from pointsman_agent.web.places import ASKS_WITHIN_S, MOST_PLACES
from pointsman_agent.web.server import authority_of, bind, serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.admissions import OPERATE_TOKEN, an_admission
from trio.testing import MockClock, wait_all_tasks_blocked

WITHIN_S = 10.0
LARGE: dict[str, Any] = {"stations": ["x" * 1_000_000] * 8}  # far more than the sockets below hold
DEAF_CLIENTS = 8


async def echo(request: Request) -> Response:
    """Return what the body holds."""
    return JSONResponse({"characters": len(await request.body())})


async def stumble(request: Request) -> Response:
    """Fail as code with a bug does."""
    raise ZeroDivisionError("a bug")


@asynccontextmanager
async def served(status: dict[str, Any] | None = None) -> AsyncIterator[str]:
    """Serve the application until the block ends; yields its authority."""

    async def snapshot() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return status or {"state": "running"}

    sock = bind("127.0.0.1", 0)
    authority, stop = authority_of(sock), trio.Event()

    async def reload(is_retry: bool) -> None:
        pass

    app = admin_app(
        admission=an_admission(authority),
        snapshot=snapshot,
        is_ready=lambda: True,
        reload=reload,
        routes=[Route("/api/echo", echo, methods=["POST"]), Route("/api/stumble", stumble)],
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, app, sock, stop.wait)
        yield authority
        stop.set()


async def connected(authority: str, receive_bytes: int | None = None) -> trio.SocketStream:
    """Return a raw connection; `receive_bytes` is how much it buffers of what it does not read."""
    host, _, port = authority.rpartition(":")
    sock = trio.socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_bytes)
    await sock.connect((host, int(port)))
    return trio.SocketStream(sock)


def request(authority: str, target: str, method: str = "GET", headers: str = "", body: str = "") -> bytes:
    """Return the bytes of a request that shows the token."""
    head = f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {OPERATE_TOKEN}\r\n{headers}\r\n"
    return head.encode() + body.encode()


async def said_to(authority: str, data: bytes) -> bytes:
    """Send `data` and return all that comes until the server closes."""
    async with await connected(authority) as stream:
        await stream.send_all(data)
        with trio.fail_after(WITHIN_S):
            return b"".join([chunk async for chunk in stream])


def status_of(answer: bytes) -> int:
    """Return the status of an HTTP answer."""
    return int(answer.split(b" ", 2)[1])


async def test_clients_that_never_read_hold_up_nobody_and_are_let_go(mock_clock: MockClock) -> None:
    mock_clock.rate = 5.0  # the server gives them ten seconds
    async with served(LARGE) as authority:
        deaf = [await connected(authority, receive_bytes=4096) for _ in range(DEAF_CLIENTS)]
        for stream in deaf:
            await stream.send_all(request(authority, "/api/status"))
        healthy = await said_to(authority, request(authority, "/healthz", headers="Connection: close\r\n"))
        assert status_of(healthy) == 200

        await trio.sleep(1.5 * SEND_WITHIN_S)  # so long they stay deaf
        with trio.fail_after(WITHIN_S * mock_clock.rate):
            for stream in deaf:  # what was under way when the server gave up is shorter than what it had to say
                assert 0 < len(b"".join([chunk async for chunk in stream])) < len(json.dumps(LARGE))
                await stream.aclose()
        again = await said_to(authority, request(authority, "/healthz", headers="Connection: close\r\n"))
        assert status_of(again) == 200


async def test_the_end_waits_for_no_client() -> None:
    with trio.fail_after(WITHIN_S):
        async with served(LARGE) as authority:
            deaf = await connected(authority, receive_bytes=4096)
            await deaf.send_all(request(authority, "/api/status"))
            idle = await connected(authority)
    await deaf.aclose()
    await idle.aclose()


HOLDS = ["", "GET /healthz HTTP/1.1\r\nHost: {authority}\r\n", "GET /healthz HTTP/1.1\r\nHost: {authority}\r\n\r\n"]


@pytest.mark.parametrize("said", HOLDS, ids=["nothing", "half a head", "a request that was answered"])
async def test_clients_that_only_hold_their_places_make_room(said: str, mock_clock: MockClock) -> None:
    async with served() as authority, AsyncExitStack() as held:
        for _ in range(MOST_PLACES):
            stream = await held.enter_async_context(await connected(authority))
            await stream.send_all(said.format(authority=authority).encode())
        asked = request(authority, "/healthz", headers="Connection: close\r\n")
        await wait_all_tasks_blocked(0.05)
        async with await connected(authority) as one_too_many:
            assert await one_too_many.receive_some() == b""
        mock_clock.jump(ASKS_WITHIN_S)
        for _ in range(3):
            assert status_of(await said_to(authority, asked)) == 200


async def test_a_client_whose_answer_is_under_way_keeps_its_place(mock_clock: MockClock) -> None:
    async with served(LARGE) as authority, AsyncExitStack() as held:
        for _ in range(MOST_PLACES):
            stream = await held.enter_async_context(await connected(authority, receive_bytes=4096))
            await stream.send_all(request(authority, "/api/status"))
            assert (await stream.receive_some(12)).startswith(b"HTTP/1.1 200")
        mock_clock.jump(2 * ASKS_WITHIN_S)
        async with await connected(authority) as one_too_many:
            assert await one_too_many.receive_some() == b""


@pytest.mark.parametrize(
    "begun",
    [
        "GET /healthz HT",
        "GET /healthz HTTP/1.1\r\nHost: {authority}\r\n",
        "POST /api/echo HTTP/1.1\r\nHost: {authority}\r\nContent-Length: 100\r\n\r\nhalf of it",
        "POST /api/echo HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ],
)
async def test_a_client_that_dribbles_its_request_is_told_and_let_go(begun: str, mock_clock: MockClock) -> None:
    mock_clock.rate = 20.0
    async with served() as authority, await connected(authority) as stream:
        await stream.send_all(begun.format(authority=authority).encode())
        with trio.fail_after(WITHIN_S * mock_clock.rate):
            answer = b"".join([chunk async for chunk in stream])

    assert status_of(answer) == 408
    assert b"not whole within 10 s" in answer


async def test_a_client_that_asks_nothing_is_let_go_without_a_word(mock_clock: MockClock) -> None:
    mock_clock.rate = 20.0
    async with served() as authority, await connected(authority) as stream:
        with trio.fail_after(WITHIN_S * mock_clock.rate):
            assert await stream.receive_some() == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" * 10 + b"\r\n\r\n", 400),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * LARGEST_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400),
    ],
)
async def test_what_is_no_http_is_answered_and_closed(data: bytes, status: int) -> None:
    async with served() as authority:
        assert status_of(await said_to(authority, data)) == status
        assert (
            status_of(await said_to(authority, request(authority, "/healthz", headers="Connection: close\r\n"))) == 200
        )


async def test_a_body_is_bounded_whatever_its_head_says() -> None:
    def body_of(length: int) -> bytes:
        headers = f"Content-Length: {length}\r\nConnection: close\r\n"
        return request(authority, "/api/echo", "POST", headers, "x" * length)

    chunks = f"{LARGEST_BODY_BYTES:x}\r\n{'x' * LARGEST_BODY_BYTES}\r\n1\r\nx\r\n0\r\n\r\n"
    async with served() as authority:
        assert str(LARGEST_BODY_BYTES).encode() in await said_to(authority, body_of(LARGEST_BODY_BYTES))
        refused = await said_to(authority, body_of(LARGEST_BODY_BYTES + 1))
        assert status_of(refused) == 413
        assert b'{"error":"the body is larger than 65536 bytes"}' in refused
        chunked = request(authority, "/api/echo", "POST", "Transfer-Encoding: chunked\r\n", chunks)
        assert status_of(await said_to(authority, chunked)) == 413


async def test_a_client_that_waits_to_be_told_sends_its_body() -> None:
    async with served() as authority, await connected(authority) as stream:
        headers = "Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n"
        await stream.send_all(request(authority, "/api/echo", "POST", headers))
        with trio.fail_after(WITHIN_S):
            assert status_of(await stream.receive_some()) == 100
            await stream.send_all(b"abc")
            assert b'{"characters":3}' in b"".join([chunk async for chunk in stream])


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("DELETE", "/api/status", 405),
        ("GET", "/api/echo", 405),
        ("GET", "/nothing", 404),
        ("GET", "/api/status/..%2f..%2fetc", 404),
        ("GET", "//[", 404),
        ("GET", "http://elsewhere.example/api/status", 404),
        ("OPTIONS", "*", 404),
        ("GET", "/api/stumble", 500),
    ],
)
async def test_what_is_not_there_is_refused_in_words(method: str, target: str, status: int) -> None:
    async with served() as authority:
        answer = await said_to(authority, request(authority, target, method, "Connection: close\r\n"))

        assert status_of(answer) == status
        assert b"Traceback" not in answer


async def test_requests_follow_on_one_connection_also_when_sent_ahead() -> None:
    async with served() as authority:
        answers = await said_to(
            authority,
            request(authority, "/healthz")
            + request(authority, "/api/echo", "POST", "Content-Length: 2\r\n", "ab")
            + request(authority, "/api/status", "HEAD")
            + request(authority, "/healthz", headers="Connection: close\r\n"),
        )

        assert answers.count(b"HTTP/1.1 200") == 4
        assert answers.count(b"ok\n") == 2
        assert b'{"characters":2}' in answers
        assert b'"state"' not in answers  # HEAD has no body
