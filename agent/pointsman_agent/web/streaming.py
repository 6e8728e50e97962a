"""An answer of the admin interface that goes on until the client leaves."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

NextChunk = Callable[[], Awaitable[bytes]]
"""Waits, for a bounded time, and returns what is to be sent."""


class Chunks(Response):
    """Sends `first`, so that the head leaves at once, then what `source` yields returns, again and again.

    Each write has a deadline (see `streams.OwnedStream`); a client that does not read is let go by it.
    """

    def __init__(self, source: AbstractAsyncContextManager[NextChunk], media_type: str, first: bytes) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store"})
        del self.headers["Content-Length"]
        self._source = source
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        async with self._source as next_chunk:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                while True:
                    await send({"type": "http.response.body", "body": await next_chunk(), "more_body": True})


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
