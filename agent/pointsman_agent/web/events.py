"""Routes of the admin interface on what changes: events as they come, and one station with all that is known of it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman_agent.web.streaming import Chunks, NextChunk

RECONNECT_AFTER_MS: Final = 1000

Follow = Callable[[str | None], AbstractAsyncContextManager[NextChunk]]
"""A station, or None for all → its events while the block lasts. Raises AdminError when entered."""

FindStation = Callable[[str], Awaitable[dict[str, Any]]]
"""A station → all that is known of it. Raises AdminError."""


def events_route(follow: Follow) -> Route:
    """Return `GET /api/events[?station=ID]`: server-sent events without end."""

    async def events(request: Request) -> Response:
        first = f"retry: {RECONNECT_AFTER_MS}\n\n".encode()
        return Chunks(follow(request.query_params.get("station")), "text/event-stream", first)

    return Route("/api/events", events)


def station_route(find: FindStation) -> Route:
    """Return `GET /api/stations/<station>`."""

    async def station(request: Request) -> Response:
        return JSONResponse(await find(request.path_params["station"]))

    return Route("/api/stations/{station}", station)
