"""One connection to the admin interface: requests in, ASGI calls, answers out. Each wait but for events is bounded."""

from typing import Final
from urllib.parse import unquote

import h11
import trio
from starlette.types import ASGIApp, Message, Scope

from pointsman_agent.streams import OwnedStream

REQUEST_WITHIN_S: Final = 10.0  # head and body, from the first wait for it on; so long an idle client may stay, too
LARGEST_HEAD_BYTES: Final = 16 * 1024
LARGEST_BODY_BYTES: Final = 64 * 1024  # a CALL that somebody typed
_SERVER_ERROR: Final = 500
_TOO_LARGE: Final = 413
_CLOSE: Final = (b"Connection", b"close")


class Connection:
    """Serves the requests of one client, one after the other."""

    def __init__(self, app: ASGIApp, stream: OwnedStream) -> None:
        self._app = app
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)

    async def serve(self) -> None:
        """Serve until the client goes, is idle for too long, or asks for what cannot be; the caller ends the stream.

        Raises trio.BrokenResourceError when the client does not take its answer.
        """
        while (exchange := await self._next_exchange()) is not None:
            try:
                await self._app(exchange.scope, exchange.receive, exchange.send)
            except Exception:
                if not exchange.has_begun:
                    await self._refuse(_SERVER_ERROR)
                raise
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _next_exchange(self) -> "_Exchange | None":
        """Return the next request, whole; None when there is none, or it was refused."""
        with trio.move_on_after(REQUEST_WITHIN_S):
            try:
                request = await self._next_event()
                if not isinstance(request, h11.Request):
                    return None
                body = await self._read_body()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return None
            if body is None:
                await self._refuse(_TOO_LARGE)
                return None
            return _Exchange(self._http, self._stream, request, body)
        return None

    async def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send_all(self._http.send(go_on) or b"")
            self._http.receive_data(await self._stream.receive_some())
        return event

    async def _read_body(self) -> bytes | None:
        """Return the body, None when it is larger than any that is taken."""
        body = b""
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY_BYTES:
                return None
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("the body has no end")
        return body

    async def _refuse(self, status: int) -> None:
        """Answer what never reached the application; nothing follows on this connection."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        response = h11.Response(status_code=status, headers=[_CLOSE, (b"Content-Length", b"0")])
        await self._stream.send_all((self._http.send(response) or b"") + (self._http.send(h11.EndOfMessage()) or b""))


class _Exchange:
    """A request and its answer, as ASGI has them."""

    def __init__(self, http: h11.Connection, stream: OwnedStream, request: h11.Request, body: bytes) -> None:
        self.scope = _scope(request)
        self.has_begun = False
        self._http = http
        self._stream = stream
        self._is_head = request.method == b"HEAD"
        self._body: bytes | None = body
        self._head: h11.Response | None = None

    async def receive(self) -> Message:
        """Return the body at first, then wait until the client has gone."""
        if self._body is not None:
            await trio.lowlevel.checkpoint()
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        ahead = 0
        while ahead <= LARGEST_HEAD_BYTES and (data := await self._stream.receive_some()):
            ahead += len(data)  # a next request, sent before this one's answer
            self._http.receive_data(data)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Write a part of the answer; raises trio.BrokenResourceError."""
        if message["type"] == "http.response.start":
            self._head = h11.Response(status_code=message["status"], headers=list(message["headers"]))
            return
        data = b""
        if self._head is not None:
            self.has_begun = True
            data += self._http.send(self._head) or b""
            self._head = None
        if message.get("body") and not self._is_head:
            data += self._http.send(h11.Data(data=message["body"])) or b""
        if not message.get("more_body", False):
            data += self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(data)


def _scope(request: h11.Request) -> Scope:
    path, _, query = request.target.partition(b"?")  # other forms than /path are for proxies, and name nothing here
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(request.headers),
        "client": None,
        "server": None,
    }
