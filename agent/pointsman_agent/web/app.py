"""What the admin interface answers: JSON of the status behind a token, and health checks without one."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pointsman_agent.web.errors import AdminError

Routes = Sequence[BaseRoute]
"""What else the interface has: of parts of the agent that this one does not know."""

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Gate:
    """Lets through what shows the token, and health checks. Host and Origin must be ours: a page that a browser opened
    elsewhere, or a name that was rebound to this address, gets nothing."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: frozenset[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return _error(421, "the Host header is not this controller's")
        origin = request.headers.get("origin")
        if origin is not None and _authority_of(origin) not in self._hosts:
            return _error(403, "the Origin header is not this controller's")
        if request.url.path in _OPEN_PATHS:
            return None
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token):
            return None
        return _error(401, "a bearer token is needed: STATE/admin.json has it", {"WWW-Authenticate": "Bearer"})


def admin_app(
    *,
    token: str,
    hosts: frozenset[str],
    snapshot: Callable[[], Awaitable[dict[str, Any]]],
    is_ready: Callable[[], bool],
    reload: Callable[[bool], Awaitable[None]],
    routes: Routes = (),
) -> ASGIApp:
    """Return the application. `hosts` are the Host headers under which it answers, `routes` what else it has; `reload`
    is told whether what failed before is to be tried again too."""

    async def status(request: Request) -> Response:
        return JSONResponse(await snapshot())

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        return PlainTextResponse("ready\n") if is_ready() else PlainTextResponse("no bundle in force\n", 503)

    async def read_again(request: Request) -> Response:
        await reload(request.query_params.get("retry") == "true")
        return JSONResponse({"reload": "asked"}, 202)

    return Starlette(
        routes=[
            Route("/api/status", status),
            Route("/api/reload", read_again, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *routes,
        ],
        middleware=[Middleware(Gate, token=token, hosts=hosts)],
        exception_handlers={HTTPException: _no_such_thing, AdminError: _refused},
    )


async def _no_such_thing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, dict(error.headers or {}))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AdminError)
    return _error(error.status, str(error))


def _authority_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # a bracket that does not close
        return ""


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)
