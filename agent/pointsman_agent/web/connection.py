"""One connection to the admin interface: requests in, ASGI calls, answers out. Each wait but for events is bounded."""

from typing import Final
from urllib.parse import unquote

import h11
import msgspec
import trio
from starlette.types import ASGIApp, Message, Scope

from pointsman_agent.streams import OwnedStream
from pointsman_agent.web.places import Place

REQUEST_WITHIN_S: Final = 10.0  # head and body, from the first wait for it on; so long an idle client may stay, too
LARGEST_HEAD_BYTES: Final = 16 * 1024
LARGEST_BODY_BYTES: Final = 64 * 1024  # a CALL that somebody typed
PIECE_BYTES: Final = 64 * 1024  # of an answer; each has the deadline of a write to itself
_SERVER_ERROR: Final = 500
_TOO_LARGE: Final = 413
_TOO_SLOW: Final = 408
_CLOSE: Final = (b"Connection", b"close")
_JSON: Final = (b"Content-Type", b"application/json")


class Connection:
    """Serves the requests of one client, one after the other."""

    def __init__(self, app: ASGIApp, stream: OwnedStream, place: Place) -> None:
        self._app = app
        self._stream = stream
        self._place = place
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_HEAD_BYTES)

    async def serve(self) -> None:
        """Serve until the client goes, is idle for too long, or asks for what cannot be; the caller ends the stream.

        Raises trio.BrokenResourceError when the client does not take its answer.
        """
        while (exchange := await self._next_exchange()) is not None:
            self._place.begin()
            try:
                await self._app(exchange.scope, exchange.receive, exchange.send)
            except Exception:
                if not exchange.has_begun:
                    await self._refuse(_SERVER_ERROR, "this is a fault of the agent's; its log says more")
                raise
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()
            self._place.rest()

    async def _next_exchange(self) -> "_Exchange | None":
        """Return the next request, whole; None when there is none, or it was refused."""
        try:
            with trio.move_on_after(REQUEST_WITHIN_S):
                request = await self._next_event()
                if not isinstance(request, h11.Request):
                    return None
                body = await self._read_body()
                if body is not None:
                    return _Exchange(self._http, self._stream, request, body)
                await self._refuse(_TOO_LARGE, f"the body is larger than {LARGEST_BODY_BYTES} bytes")
                return None
        except h11.RemoteProtocolError as error:
            await self._refuse(error.error_status_hint, str(error))
            return None
        if self._has_begun():
            await self._refuse(_TOO_SLOW, f"the request was not whole within {REQUEST_WITHIN_S:g} s")
        return None

    def _has_begun(self) -> bool:
        """Whether a part of a request has come."""
        return self._http.their_state is not h11.IDLE or bool(self._http.trailing_data[0])

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

    async def _refuse(self, status: int, why: str) -> None:
        """Answer what never reached the application; nothing follows on this connection."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = msgspec.json.encode({"error": why})
        length = (b"Content-Length", b"%d" % len(body))
        response = h11.Response(status_code=status, headers=[_CLOSE, _JSON, length])
        events = (response, h11.Data(data=body), h11.EndOfMessage())
        await self._stream.send_all(b"".join(self._http.send(event) or b"" for event in events))


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
            body = message["body"]
            for start in range(0, len(body), PIECE_BYTES):
                data += self._http.send(h11.Data(data=body[start : start + PIECE_BYTES])) or b""
                if start + PIECE_BYTES < len(body):
                    await self._stream.send_all(data)
                    await trio.lowlevel.checkpoint()  # a client that takes all at once does not have the loop to itself
                    data = b""
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
