"""Routes of the admin interface that help to find out why something does not work."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

RunTest = Callable[[str, str | None], Awaitable[dict[str, object]]]
"""Supervision and, where its handshake is to be made, station → the report. Raises AdminError."""


def connection_test_route(run: RunTest) -> Route:
    """Return `POST /api/test/<supervision>[?station=ID]` (rule 51)."""

    async def test(request: Request) -> Response:
        return JSONResponse(await run(request.path_params["supervision"], request.query_params.get("station")))

    return Route("/api/test/{supervision}", test, methods=["POST"])
