"""The route of the admin interface that monitoring reads."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def metrics_route(read: Callable[[], Awaitable[bytes]], media_type: str) -> Route:
    """Return `GET /metrics`: the metrics as they are, in Prometheus' text format."""

    async def metrics(request: Request) -> Response:
        return Response(await read(), headers={"Content-Type": media_type})

    return Route("/metrics", metrics)
