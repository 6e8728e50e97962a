"""A TCP proxy whose cable can be pulled: from then on it takes and gives nothing, and closes nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Cable:
    """Forwards both ways between whoever connects and one port of loopback, until `pull`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pulled = trio.Event()
        self.port = 0

    def pull(self) -> None:
        """Forward nothing any more; no end of a connection is told either."""
        self._pulled.set()

    async def serve(self, near: trio.SocketStream) -> None:
        """Forward one connection."""
        far = await trio.open_tcp_stream("127.0.0.1", self._target)
        async with far, trio.open_nursery() as nursery:
            nursery.start_soon(self._forward, near, far)
            nursery.start_soon(self._forward, far, near)

    async def _forward(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        while data := await source.receive_some():
            if self._pulled.is_set():
                await trio.sleep_forever()
            await sink.send_all(data)
        if not self._pulled.is_set():
            await sink.send_eof()


@asynccontextmanager
async def open_cable(target: int) -> AsyncIterator[Cable]:
    """Open a cable to `target`, a port of loopback; all its connections end where the block ends."""
    cable = Cable(target)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    cable.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, cable.serve, listeners)
        yield cable
        nursery.cancel_scope.cancel()
