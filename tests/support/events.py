"""One who follows the server-sent events of an agent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
import trio
from pointsman_agent.client import Access

EVENT_WITHIN_S = 20.0


class Events:
    """The events of one connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = b""

    async def ask(self, access: Access, path: str) -> None:
        """Send the request; raises AssertionError when the answer is no stream of events."""
        headers = [("Host", access.url.removeprefix("http://")), ("Authorization", f"Bearer {access.token}")]
        await self._stream.send_all(self._http.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        self._http.send(h11.EndOfMessage())
        response = await self._part()
        assert isinstance(response, h11.Response)
        assert (response.status_code, dict(response.headers)[b"content-type"]) == (
            200,
            b"text/event-stream; charset=utf-8",
        )

    async def next(self, wanted: str) -> Any:
        """Return the data of the next event of that name; raises trio.TooSlowError."""
        with trio.fail_after(EVENT_WITHIN_S):
            while True:
                block, end, rest = self._text.partition(b"\n\n")
                if not end:
                    part = await self._part()
                    assert isinstance(part, h11.Data), part
                    self._text += part.data
                    continue
                self._text = rest
                name, _, data = block.decode().partition("\ndata: ")
                if name == f"event: {wanted}":
                    return json.loads(data)

    async def _part(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some())
        return event


@asynccontextmanager
async def following(access: Access, path: str) -> AsyncIterator[Events]:
    """Follow until the block ends."""
    host, _, port = access.url.removeprefix("http://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        events = Events(stream)
        await events.ask(access, path)
        yield events
