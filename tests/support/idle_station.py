"""A station that boots and then stays silent, in a process of its own: `python -m support.idle_station URL`.

It comes back until it is let in. Prints `up` once it is connected and nothing is under way, and one JSON line with code
and reason when its connection has ended.
"""

import json
import sys

import trio
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import connect_station, run_boot

UP_WITHIN_S = 20.0
ENDED_WITHIN_S = 40.0
RETRY_S = 0.2


async def main(url: str) -> None:
    """Connect, boot, wait for the end."""
    with trio.fail_after(UP_WITHIN_S + ENDED_WITHIN_S):
        while not await _stays(url):  # noqa: ASYNC110 - a station asks again, nobody tells it
            await trio.sleep(RETRY_S)


async def _stays(url: str) -> bool:
    """Whether the station was let in; returns when its connection has ended."""
    try:
        async with connect_station(url) as station:
            booted = await run_boot(station)
            if not booted.completed:
                raise SystemExit(f"no boot: {booted.reason}")
            print("up", flush=True)
            closed = await station.wait_closed(ENDED_WITHIN_S)
            print(json.dumps({"code": closed.code, "reason": closed.reason}), flush=True)
    except HandshakeFailed:
        return False
    return True


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
