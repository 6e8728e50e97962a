"""Routes of the admin interface that list what the journal has: the newest, where that is too much for one answer."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CUT_HEADER: Final = "Pointsman-Cut"

Report = tuple[list[dict[str, object]], bool]
"""Objects of the API, oldest first, and whether older ones were left out."""

ReadReport = Callable[[str | None], Awaitable[Report]]
"""From which moment on (RFC 3339, None: all) → the report. Raises AdminError."""


def report_route(path: str, read: ReadReport) -> Route:
    """Return `GET <path>[?since=TIME]`; a header says where older ones were left out."""

    async def report(request: Request) -> Response:
        rows, is_cut = await read(request.query_params.get("since"))
        return JSONResponse(rows, headers={CUT_HEADER: "true"} if is_cut else None)

    return Route(path, report)
