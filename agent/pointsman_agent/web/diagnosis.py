"""Routes of the admin interface that help to find out why something does not work."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman_agent.web.streaming import Chunks, NextChunk

RunTest = Callable[[str, str | None], Awaitable[dict[str, object]]]
"""Supervision and, where its handshake is to be made, station → the report. Raises AdminError."""


Row = dict[str, object]
"""An object of the API."""

Watch = Callable[[str | None], AbstractAsyncContextManager[NextChunk]]
"""A station, or None for all → what to show of it while the block lasts. Raises AdminError when entered."""


def connection_test_route(run: RunTest) -> Route:
    """Return `POST /api/test/<supervision>[?station=ID]` (rule 51)."""

    async def test(request: Request) -> Response:
        return JSONResponse(await run(request.path_params["supervision"], request.query_params.get("station")))

    return Route("/api/test/{supervision}", test, methods=["POST"])


def tail_route(watch: Watch) -> Route:
    """Return `GET /api/tail[?station=ID]`: JSON lines without end (rule 52)."""

    async def tail(request: Request) -> Response:
        return Chunks(watch(request.query_params.get("station")), "application/x-ndjson", b"\n")

    return Route("/api/tail", tail)
