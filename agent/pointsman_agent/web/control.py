"""Routes of the admin interface that ask something of stations, and the report of their transactions."""

from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman_agent.web.errors import AdminError

Row = dict[str, object]
Body = TypeVar("Body")

"""On a report that lacks the oldest of what was asked for."""

_MOST_CONNECTORS: Final = 10_000


class Control(Protocol):
    """What stations can be asked; every method raises AdminError."""

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> Row: ...
    async def start(self, station: str, badge: str | None, connector: int) -> Row: ...
    async def stop(self, station: str, transaction_id: str | None) -> Row: ...
    async def reset(self, station: str, *, at_once: bool) -> Row: ...
    async def unlock(self, station: str, connector: int) -> Row: ...


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    action: str
    payload: dict[str, Any]


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    badge: str | None = None
    connector: int = 1


class _Stop(msgspec.Struct, forbid_unknown_fields=True):
    transaction: str | None = None


class _Reset(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    at_once: bool = False


class _Unlock(msgspec.Struct, forbid_unknown_fields=True):
    connector: int = 1


def control_routes(control: Control) -> list[Route]:
    """Return `POST /api/{call,start,stop,reset,unlock}/<station>`; each answers with what the station answered."""

    async def call(request: Request) -> Response:
        body = await _body(request, _Call)
        return JSONResponse(await control.call(_station(request), body.action, body.payload))

    async def start(request: Request) -> Response:
        body = await _body(request, _Start)
        return JSONResponse(await control.start(_station(request), body.badge, _connector(body.connector)))

    async def stop(request: Request) -> Response:
        body = await _body(request, _Stop)
        return JSONResponse(await control.stop(_station(request), body.transaction))

    async def reset(request: Request) -> Response:
        body = await _body(request, _Reset)
        return JSONResponse(await control.reset(_station(request), at_once=body.at_once))

    async def unlock(request: Request) -> Response:
        body = await _body(request, _Unlock)
        return JSONResponse(await control.unlock(_station(request), _connector(body.connector)))

    return [
        Route(f"/api/{answer.__name__}/{{station}}", answer, methods=["POST"])
        for answer in (call, start, stop, reset, unlock)
    ]


def _station(request: Request) -> str:
    station: str = request.path_params["station"]
    return station


async def _body(request: Request, type_: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=type_)
    except msgspec.DecodeError as error:
        raise AdminError(400, f"the request's body: {error}") from error


def _connector(number: int) -> int:
    if not 1 <= number <= _MOST_CONNECTORS:
        raise AdminError(400, f"{number} is no connector; they count from 1")
    return number
