"""The gate before the whole admin application: Host, Origin and role, before anything else is looked at."""

from typing import Final
from urllib.parse import urlsplit

import trio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointsman_agent.web.access import Admission, Role

LOGIN_PATH: Final = "/login"
LOGOUT_PATH: Final = "/logout"
ASSETS_PATH: Final = "/assets/"
"""What pages look like, and nothing of the site."""
_OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", LOGIN_PATH, LOGOUT_PATH})
_READING: Final = frozenset({"GET", "HEAD"})

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with less, a browser says `Origin: null` of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""


class Gate:
    """Lets through what shows a token or a session of enough power, and health checks.

    Host and Origin must be ours: a page that a browser opened elsewhere, or a name that was rebound to this address,
    gets nothing.
    """

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        answer = self._refusal(request) or self._app
        session = None if _is_open(request) else self._session_of(request)
        if session is None:
            await answer(scope, receive, send_with_headers)
            return
        # An answer without end would outlast the session by which it was asked.
        with trio.move_on_after(self._admission.sessions.lasts_s(session)) as lasting:
            with self._admission.sessions.under_way(session, lasting.cancel):
                await answer(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._admission.hosts:
            return refused(421, "the Host header is not this controller's")
        origin = request.headers.get("origin")
        if origin is not None and _authority_of(origin) not in self._admission.hosts:
            return refused(403, "the Origin header is not this controller's")
        if _is_open(request):
            return None
        role = self._role_of(request)
        if role is None:
            return _who_are_you(request)
        if role is Role.READ and request.method not in _READING:
            return refused(403, "this token or session only reads; the token of STATE/admin.json operates")
        return None

    def _role_of(self, request: Request) -> Role | None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._admission.tokens.role_of(shown)
        return None if self._session_of(request) is None else Role.READ

    def _session_of(self, request: Request) -> str | None:
        """The open session by which a request is let in; None where it shows a token, or nothing."""
        if request.headers.get("authorization", "").partition(" ")[0].lower() == "bearer":
            return None
        session = request.cookies.get(self._admission.cookie)
        return session if session is not None and self._admission.sessions.is_open(session) else None


def _is_open(request: Request) -> bool:
    """Whether anybody may ask this."""
    path = request.url.path
    return path in _OPEN_PATHS or path.startswith(ASSETS_PATH)


def refused(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to what is refused."""
    return JSONResponse({"error": message}, status, headers)


def _who_are_you(request: Request) -> Response:
    """A person is shown where to log in, a program what it lacks."""
    wants_page = request.method in _READING and "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith("/api/"):
        return RedirectResponse(LOGIN_PATH, 303)
    return refused(401, "a bearer token is needed: STATE/admin.json has it", {"WWW-Authenticate": "Bearer"})


def _authority_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # a bracket that does not close
        return ""
