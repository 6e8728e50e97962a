"""What the admin interface answers: JSON behind a token, and health checks without one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from pointsman_agent.web.access import Admission
from pointsman_agent.web.errors import AdminError
from pointsman_agent.web.gate import Gate, refused
from pointsman_agent.web.openapi import DOCUMENT_PATH, document

Routes = Sequence[BaseRoute]
"""What else the interface has: of parts of the agent that this one does not know."""


def admin_app(
    *,
    admission: Admission,
    snapshot: Callable[[], Awaitable[dict[str, Any]]],
    is_ready: Callable[[], bool],
    reload: Callable[[bool], Awaitable[None]],
    version: str = "",
    routes: Routes = (),
) -> ASGIApp:
    """Return the application. `routes` is what else it has; `reload` is told whether what failed before is to be tried
    again too."""

    async def status(request: Request) -> Response:
        return JSONResponse(await snapshot())

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("no bundle in force\n", 503)

    async def read_again(request: Request) -> Response:
        await reload(request.query_params.get("retry") == "true")
        return JSONResponse({"reload": "asked"}, 202)

    async def openapi(request: Request) -> Response:
        return JSONResponse(document(version))

    return Starlette(
        routes=[
            Route("/api/status", status),
            Route("/api/reload", read_again, methods=["POST"]),
            Route(DOCUMENT_PATH, openapi),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *routes,
        ],
        middleware=[Middleware(Gate, admission=admission)],
        exception_handlers={HTTPException: _no_such_thing, AdminError: _refused},
    )


async def _no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refused(error.status_code, error.detail, dict(error.headers or {}))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdminError)
    wait = error.retry_after_s
    return refused(error.status, str(error), None if wait is None else {"Retry-After": str(wait)})
