"""A station of the `ocpp` package: `ocpp_station.py URL SUBPROTOCOL` plays one session, as told by `exchange`."""

import asyncio
import sys
from typing import Any

from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import after, on
from support.foreign.exchange import FINISHED_WITHIN_S, Recorded, package_of, script_of, tell
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol


class Asked:
    """What the supervision has asked so far; the session goes on when it asked for the transaction's end."""

    def __init__(self) -> None:
        self.to_stop = asyncio.Event()

    def note(self, action: str) -> None:
        """Note a request that was answered."""
        if action in ("RemoteStopTransaction", "RequestStopTransaction"):
            self.to_stop.set()


async def charge(url: str, protocol: str) -> None:
    """Connect, play the session, close."""
    script, package = script_of(protocol), package_of(protocol)
    asked = Asked()
    async with connect(url, subprotocols=[Subprotocol(protocol)]) as socket:
        if socket.subprotocol != protocol:
            raise SystemExit(f"agreed on {socket.subprotocol!r}, not on {protocol!r}")
        station = station_class(package, script["stationAnswers"], asked)(url.rpartition("/")[2], Recorded(socket))
        reader = asyncio.create_task(station.start())
        for action, payload in script["session"][:-1]:
            await station.call(getattr(package.call, action)(**camel_to_snake_case(payload)), suppress=False)
        await asked.to_stop.wait()
        action, payload = script["session"][-1]
        await station.call(getattr(package.call, action)(**camel_to_snake_case(payload)), suppress=False)
        reader.cancel()
    tell({"event": "finished"})


def station_class(package: Any, answers: dict[str, Any], asked: Asked) -> Any:
    """Return a ChargePoint of the package that answers what a supervision asks."""
    handlers: dict[str, Any] = {}

    def add(action: str, payload: dict[str, Any]) -> None:
        async def answer(self: Any, **_: Any) -> Any:
            return getattr(package.call_result, action)(**camel_to_snake_case(payload))

        async def follow(self: Any, **_: Any) -> None:
            asked.note(action)

        answer.__name__, follow.__name__ = f"on_{action}", f"after_{action}"
        handlers[answer.__name__] = on(action)(answer)
        handlers[follow.__name__] = after(action)(follow)

    for action, payload in answers.items():
        add(action, payload)
    return type("Station", (package.ChargePoint,), handlers)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(charge(*sys.argv[1:]), FINISHED_WITHIN_S))
