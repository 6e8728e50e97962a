"""How a browser shows who it is: a token in a form, or a ticket in an address, for a cookie that only reads."""

from typing import Final
from urllib.parse import parse_qs

import trio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from pointsman_agent.statuspage.rendering import Renderer
from pointsman_agent.web.access import SESSION_LASTS_S, Admission
from pointsman_agent.web.gate import LOGIN_PATH, LOGOUT_PATH

_SEE_OTHER: Final = 303
_FORBIDDEN: Final = 403


def sign_in_routes(admission: Admission, renderer: Renderer) -> list[Route]:
    """Return the routes by which a browser's session begins and ends, and `POST /api/tickets`."""
    sessions = admission.sessions

    async def form(request: Request) -> Response:
        ticket = request.query_params.get("ticket")
        if ticket is None:
            return await _form(renderer, None)
        if not sessions.redeem(ticket):
            return await _form(renderer, "This address has been used, or is too old. Ask for another one.")
        return _admitted(admission)

    async def sign_in(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", errors="replace"))
        if admission.tokens.role_of(fields.get("token", [""])[0]) is None:
            return await _form(renderer, "This is no token of this controller.")
        return _admitted(admission)

    async def sign_out(request: Request) -> Response:
        sessions.close(request.cookies.get(admission.cookie, ""))
        answer = RedirectResponse(LOGIN_PATH, _SEE_OTHER)
        answer.delete_cookie(admission.cookie)
        return answer

    async def ticket(request: Request) -> Response:
        return JSONResponse({"path": f"{LOGIN_PATH}?ticket={sessions.ticket()}"})

    return [
        Route(LOGIN_PATH, form),
        Route(LOGIN_PATH, sign_in, methods=["POST"]),
        Route(LOGOUT_PATH, sign_out, methods=["POST"]),
        Route("/api/tickets", ticket, methods=["POST"]),
    ]


async def _form(renderer: Renderer, fault: str | None) -> Response:
    def render() -> str:
        return renderer.page("signin.html", fault=fault)

    return HTMLResponse(await trio.to_thread.run_sync(render), 200 if fault is None else _FORBIDDEN)


def _admitted(admission: Admission) -> Response:
    answer = RedirectResponse("/", _SEE_OTHER)
    answer.set_cookie(
        admission.cookie,
        admission.sessions.open(),
        max_age=int(SESSION_LASTS_S),
        secure=admission.is_tls,
        httponly=True,
        samesite="strict",
    )
    return answer
