"""Routes of the admin interface on what changes: events as they come, and what is known of stations."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman_agent.web.streaming import Chunks, NextChunk

RECONNECT_AFTER_MS: Final = 1000
SIGN_OF_LIFE: Final = b": nothing new\n\n"

Follow = Callable[[str | None], AbstractAsyncContextManager[NextChunk]]
"""A station, or None for all → its events while the block lasts. Raises AdminError when entered."""


def server_event(name: str, data: str) -> bytes:
    """Return an event as servers send them (HTML standard, section 9.2); `data` is one line."""
    return f"event: {name}\ndata: {data}\n\n".encode()


def events_route(path: str, follow: Follow) -> Route:
    """Return `GET <path>[?station=ID]`: server-sent events without end."""

    async def events(request: Request) -> Response:
        first = f"retry: {RECONNECT_AFTER_MS}\n\n".encode()
        return Chunks(follow(request.query_params.get("station")), "text/event-stream", first)

    return Route(path, events)


def station_route(find: Callable[[str], Awaitable[dict[str, Any]]]) -> Route:
    """Return `GET /api/stations/<station>`; `find` returns all that is known of one, and raises AdminError."""

    async def station(request: Request) -> Response:
        return JSONResponse(await find(request.path_params["station"]))

    return Route("/api/stations/{station}", station)


def inventory_route(read: Callable[[], list[dict[str, Any]]]) -> Route:
    """Return `GET /api/inventory`."""

    async def inventory(request: Request) -> Response:
        return JSONResponse(read())

    return Route("/api/inventory", inventory)
