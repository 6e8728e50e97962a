"""Routes of the admin interface that help to find out why something does not work."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

RunTest = Callable[[str, str | None], Awaitable[dict[str, object]]]
"""Supervision and, where its handshake is to be made, station → the report. Raises AdminError."""


Row = dict[str, object]
"""An object of the API."""

NextLines = Callable[[], Awaitable[bytes]]
"""Waits, for a bounded time, and returns whole lines."""

Watch = Callable[[str | None], AbstractContextManager[NextLines]]
"""A station, or None for all → what to show of it while the block lasts. Raises AdminError when entered."""


def connection_test_route(run: RunTest) -> Route:
    """Return `POST /api/test/<supervision>[?station=ID]` (rule 51)."""

    async def test(request: Request) -> Response:
        return JSONResponse(await run(request.path_params["supervision"], request.query_params.get("station")))

    return Route("/api/test/{supervision}", test, methods=["POST"])


def tail_route(watch: Watch) -> Route:
    """Return `GET /api/tail[?station=ID]`: JSON lines without end (rule 52)."""

    async def tail(request: Request) -> Response:
        return _Lines(watch(request.query_params.get("station")))

    return Route("/api/tail", tail)


class _Lines(Response):
    """An answer that goes on until the client leaves."""

    def __init__(self, lines: AbstractContextManager[NextLines]) -> None:
        super().__init__(media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})
        del self.headers["Content-Length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        with self._lines as next_lines:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"\n", "more_body": True})  # so that the head leaves
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                while True:
                    await send({"type": "http.response.body", "body": await next_lines(), "more_body": True})


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
