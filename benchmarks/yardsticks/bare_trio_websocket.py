"""The least relay that trio-websocket allows: no checks, no limits, no OCPP; texts go to and fro.

python -m benchmarks.yardsticks.bare_trio_websocket LISTEN-PORT SUPERVISION-PORT
"""

import sys

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, connect_websocket, serve_websocket


async def relay(request: WebSocketRequest, supervision_port: int) -> None:
    """Join one station and the supervision until either ends."""
    async with trio.open_nursery() as nursery:
        uplink = await connect_websocket(
            nursery,
            "127.0.0.1",
            supervision_port,
            request.path,
            use_ssl=False,
            subprotocols=list(request.proposed_subprotocols),
        )
        station = await request.accept(subprotocol=uplink.subprotocol)
        async with uplink, station, trio.open_nursery() as pumps:
            pumps.start_soon(pump, station, uplink)
            pumps.start_soon(pump, uplink, station)


async def pump(source: WebSocketConnection, sink: WebSocketConnection) -> None:
    """Forward until the source or the sink is closed; then close the sink."""
    try:
        while True:
            await sink.send_message(await source.get_message())
    except ConnectionClosed:
        await sink.aclose()


async def main(listen_port: int, supervision_port: int) -> None:
    """Serve until the process is ended."""
    await serve_websocket(lambda request: relay(request, supervision_port), "127.0.0.1", listen_port, ssl_context=None)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
