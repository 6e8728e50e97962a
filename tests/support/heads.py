"""Servers and proxies that answer one head and do no more: for what a client makes of HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

END_OF_HEAD = b"\r\n\r\n"


@asynccontextmanager
async def answering(answer: bytes | None, on_head: Callable[[bytes], None] = lambda head: None) -> AsyncIterator[int]:
    """Answer every request head with `answer` and end the connection (None: stay mute); yields the port."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            on_head(await _read_head(stream))
            if answer is None:
                await trio.sleep_forever()
            else:
                await stream.send_all(answer)

    async with _listening(serve) as port:
        yield port


class Proxy:
    """An HTTP CONNECT proxy on loopback; `asked` holds the heads that it got."""

    def __init__(self, authorization: bytes | None) -> None:
        self.port = 0
        self.asked: list[bytes] = []
        self._authorization = authorization

    async def serve(self, near: trio.SocketStream) -> None:
        """Serve one connection."""
        async with near:
            head = await _read_head(near)
            self.asked.append(head)
            if self._authorization is not None and b"Proxy-Authorization: " + self._authorization not in head:
                await near.send_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            async with await trio.open_tcp_stream(host, int(port)) as far:
                await near.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_forward, near, far, nursery.cancel_scope)
                    nursery.start_soon(_forward, far, near, nursery.cancel_scope)


@asynccontextmanager
async def open_proxy(authorization: bytes | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy, which wants that Proxy-Authorization, until the block ends."""
    proxy = Proxy(authorization)
    async with _listening(proxy.serve) as port:
        proxy.port = port
        yield proxy


@asynccontextmanager
async def _listening(serve: Callable[[trio.SocketStream], Awaitable[object]]) -> AsyncIterator[int]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield int(listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


async def _read_head(stream: trio.SocketStream) -> bytes:
    head = b""
    while END_OF_HEAD not in head and (data := await stream.receive_some()):
        head += data
    return head


async def _forward(source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some():
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # an end of a tunnel is its end
    scope.cancel()
