"""Routes of the admin interface that ask something of stations."""

from typing import Any, Final, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pointsman_agent.nesting import MOST_LEVELS, is_deeper
from pointsman_agent.web.errors import AdminError

Row = dict[str, object]
Body = TypeVar("Body")

_MOST_CONNECTORS: Final = 10_000
_TOO_DEEP: Final = f"the request's body: the payload is nested deeper than {MOST_LEVELS} levels"


class Control(Protocol):
    """What stations can be asked; every method raises AdminError."""

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> Row: ...
    async def start(self, station: str, badge: str | None, connector: int) -> Row: ...
    async def stop(self, station: str, transaction_id: str | None) -> Row: ...
    async def reset(self, station: str, *, at_once: bool) -> Row: ...
    async def unlock(self, station: str, connector: int) -> Row: ...


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A CALL of any action."""

    action: str
    payload: dict[str, Any]


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """Without a badge, with a token for this start alone; in OCPP 2.x the connector is an EVSE."""

    badge: str | None = None
    connector: int = 1


class Stop(msgspec.Struct, forbid_unknown_fields=True):
    """Without a transaction, the only one that is open."""

    transaction: str | None = None


class Reset(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """`atOnce`: whoever charges (1.6: Hard, 2.x: Immediate)."""

    at_once: bool = False


class Unlock(msgspec.Struct, forbid_unknown_fields=True):
    """In OCPP 2.x the connector is an EVSE."""

    connector: int = 1


def control_routes(control: Control) -> list[Route]:
    """Return `POST /api/{call,start,stop,reset,unlock}/<station>`; each answers with what the station answered."""

    async def call(request: Request) -> Response:
        body = await _body(request, Call)
        if is_deeper(body.payload, MOST_LEVELS):
            raise AdminError(400, _TOO_DEEP)
        return JSONResponse(await control.call(_station(request), body.action, body.payload))

    async def start(request: Request) -> Response:
        body = await _body(request, Start)
        return JSONResponse(await control.start(_station(request), body.badge, _connector(body.connector)))

    async def stop(request: Request) -> Response:
        body = await _body(request, Stop)
        return JSONResponse(await control.stop(_station(request), body.transaction))

    async def reset(request: Request) -> Response:
        body = await _body(request, Reset)
        return JSONResponse(await control.reset(_station(request), at_once=body.at_once))

    async def unlock(request: Request) -> Response:
        body = await _body(request, Unlock)
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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdminError(400, f"the request's body: {error}") from error
    except RecursionError as error:
        raise AdminError(400, _TOO_DEEP) from error


def _connector(number: int) -> int:
    if not 1 <= number <= _MOST_CONNECTORS:
        raise AdminError(400, f"{number} is no connector; they count from 1")
    return number
