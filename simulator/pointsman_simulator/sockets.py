"""One open WebSocket on trio-websocket, every wait bounded; nothing in here knows OCPP.

The library's own functions hang or leak against bad peers, so streams and deadlines are owned here: `WatchedStream`
says when the other end has gone and keeps what an HTTP refusal said, even where the library never reports it (a body
that ends with the connection); a send that was cut off has torn its frame, so `SocketLink.send` gives the stream up.
"""

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto.utilities import ProtocolError

from pointsman_simulator.errors import LinkClosed

SEND_WITHIN_S = 10.0  # until the kernel has taken a text: a peer that reads at all does so in milliseconds
CLOSE_WITHIN_S = 2.0  # until the other side's Close has come; then the stream is given up
LARGEST_MESSAGE = 4 * 1024 * 1024  # characters, as the library counts; above the agent's limit, to test that one
QUEUE = 64  # messages between the library's reader and ours; with 1, pongs wait for the reader
LARGEST_HEAD_BYTES = 16 * 1024  # of an HTTP response that is kept to explain a refusal


class WatchedStream(trio.abc.Stream):
    """A stream that says when it has `ended`, and keeps the first bytes it received."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self.ended = trio.Event()
        self.head = b""
        self.keeps_head = True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send through; a broken stream has ended."""
        try:
            await self._inner.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """Pass through."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive through; no bytes, or a broken stream, means that it has ended."""
        try:
            data = bytes(await self._inner.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        if not data:
            self.ended.set()
        elif self.keeps_head and len(self.head) < LARGEST_HEAD_BYTES:
            self.head += data
        return data

    async def aclose(self) -> None:
        """Close it; that ends it, too."""
        self.ended.set()
        await self._inner.aclose()


class SocketLink:
    """One open WebSocket: text in, text out, ping and close, each with a bound."""

    def __init__(self, socket: WebSocketConnection, stream: WatchedStream) -> None:
        self._socket = socket
        self._stream = stream
        self._close_ended: trio.Event | None = None

    @property
    def protocol(self) -> str | None:
        """The agreed subprotocol, or None."""
        return self._socket.subprotocol

    async def send(self, text: str) -> None:
        """Send one text message; raises LinkClosed. A send that is cut off has torn its frame: the stream goes."""
        is_torn = True
        try:
            with trio.fail_after(SEND_WITHIN_S):
                await self._socket.send_message(text)
            is_torn = False
        except (ConnectionClosed, ProtocolError) as error:
            is_torn = False  # nothing of it left; a Close frame may be on its way and must not be cut off
            raise self._closed() from error
        except trio.TooSlowError as error:
            raise LinkClosed(1006, "the other side takes nothing") from error
        finally:
            if is_torn:
                await trio.aclose_forcefully(self._stream)

    async def receive(self) -> str:
        """Return the next message, however long it takes; raises LinkClosed when there will be none.

        A binary message comes as text too (OCPP-J knows text only; some stations confuse them).
        """
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as error:
            if self._close_ended is not None:
                await self._close_ended.wait()  # bounded by `close`; leaving earlier would cut our own Close off
            raise self._closed() from error
        return message if isinstance(message, str) else message.decode("utf-8", "replace")

    async def ping(self, within_s: float) -> None:
        """Ping and wait for the pong; raises LinkClosed, or trio.TooSlowError after `within_s` seconds."""
        with trio.fail_after(within_s):
            try:
                await self._socket.ping()
            except (ConnectionClosed, ProtocolError) as error:
                raise self._closed() from error

    async def close(self, code: int, reason: str | None) -> None:
        """Send Close, wait at most CLOSE_WITHIN_S for the other side's, give the stream up. Any number of times."""
        if self._close_ended is not None:
            await self._close_ended.wait()
            return
        self._close_ended = trio.Event()
        try:
            with trio.move_on_after(CLOSE_WITHIN_S, shield=True):  # the last write: short, and bounded
                await self._socket.aclose(code, reason)
        except ProtocolError:
            pass  # the other side closed in the same moment
        finally:
            self._close_ended.set()
            await trio.aclose_forcefully(self._stream)

    async def drop(self) -> None:
        """Give the connection up without a Close frame, as a cut cable does."""
        await trio.aclose_forcefully(self._stream)

    def _closed(self) -> LinkClosed:
        reason = self._socket.closed
        return LinkClosed(reason.code, reason.reason) if reason else LinkClosed(1006, None)
