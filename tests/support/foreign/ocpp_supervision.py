"""A central system of the `ocpp` package: `ocpp_supervision.py SUBPROTOCOL` serves one station (see `exchange`)."""

import asyncio
import sys
from functools import partial
from typing import Any

from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import after, on
from support.foreign.exchange import FINISHED_WITHIN_S, Recorded, package_of, script_of, tell
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


async def supervise(protocol: str) -> None:
    """Listen on a free port until one station came and went."""
    left = asyncio.Event()
    handler = partial(serve_station, protocol, left)
    async with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol(protocol)]) as server:
        tell({"event": "listening", "port": server.sockets[0].getsockname()[1]})
        await left.wait()
    tell({"event": "finished"})


async def serve_station(protocol: str, left: asyncio.Event, socket: ServerConnection) -> None:
    """Serve one station until its connection ends."""
    assert socket.request is not None
    script, package = script_of(protocol), package_of(protocol)
    make = central_system_class(package, script["answers"], script["asked"])
    try:
        await make(socket.request.path.rpartition("/")[2], Recorded(socket)).start()
    except ConnectionClosed:
        left.set()


def central_system_class(package: Any, answers: dict[str, Any], asked: dict[str, Any]) -> Any:
    """Return a ChargePoint of the package that answers a station and, after some answers, asks it."""
    handlers: dict[str, Any] = {}

    def add(action: str, payload: dict[str, Any]) -> None:
        async def answer(self: Any, **_: Any) -> Any:
            return getattr(package.call_result, action)(**camel_to_snake_case(payload))

        async def follow(self: Any, **_: Any) -> None:
            if action in asked:
                name, request = asked[action]
                await self.call(getattr(package.call, name)(**camel_to_snake_case(request)), suppress=False)

        answer.__name__, follow.__name__ = f"on_{action}", f"after_{action}"
        handlers[answer.__name__] = on(action)(answer)
        handlers[follow.__name__] = after(action)(follow)

    for action, payload in answers.items():
        add(action, payload)
    return type("CentralSystem", (package.ChargePoint,), handlers)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(supervise(sys.argv[1]), FINISHED_WITHIN_S))
