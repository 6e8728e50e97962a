"""A web server of bundles on loopback, under TLS: it serves one file with an ETag, or whatever a test wants."""

import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from support.legs import certificates

SEEN_WITHIN_S = 10.0  # milliseconds on an idle machine

Headers = dict[str, str]


def answer(status: int, headers: Headers | None = None, body: bytes = b"") -> bytes:
    """Return a whole HTTP answer."""
    given = {"Content-Length": str(len(body)), "Connection": "close"} | (headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


class BundleServer:
    """Serves `path`; `script` answers instead, where there is one. Remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = 0
        self.root = path.parent / "roots.pem"
        self.root.write_text(certificates().root)
        self.script: Callable[[Headers], bytes] | None = None
        self.drip_every_s: float | None = None
        self.asked: list[Headers] = []
        self.answered: list[int] = []
        self.sent_bytes = 0
        self._news = trio.Event()

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"https://localhost:{self.port}/site.bundle"

    async def wait_answered(self, count: int) -> None:
        """Wait until so many answers were given."""
        with trio.fail_after(SEEN_WITHIN_S):
            while len(self.answered) < count:
                await self._news.wait()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer one request."""
        try:
            headers = await _request(stream)
            self.asked.append(headers)
            reply = self.script(headers) if self.script is not None else self._file(headers)
            if self.drip_every_s is not None:
                await self._drip(stream, reply)
            await stream.send_all(reply)
            await stream.aclose()
            self.sent_bytes += len(reply)
            self.answered.append(int(reply[9:12]))
            self._news.set()
            self._news = trio.Event()
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, EOFError):
            pass  # the client has heard enough, or does not believe us
        finally:
            await trio.aclose_forcefully(stream)

    async def _drip(self, stream: trio.abc.Stream, reply: bytes) -> None:
        for byte in reply:
            await stream.send_all(bytes([byte]))
            await trio.sleep(self.drip_every_s or 0)

    def _file(self, headers: Headers) -> bytes:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return answer(404)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if headers.get("if-none-match") == etag:
            return answer(304, {"ETag": etag})
        return answer(200, {"ETag": etag}, content)


async def _request(stream: trio.abc.Stream) -> Headers:
    """Read the head of a request; its first line is the header `""`."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        piece = await stream.receive_some()
        if not piece:
            raise EOFError
        text += bytes(piece)
    first, *lines = text.decode().strip().split("\r\n")
    return {"": first} | {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@asynccontextmanager
async def bundle_server(
    path: Path, context: ssl.SSLContext | None = None, *, port: int = 0, is_plain: bool = False
) -> AsyncIterator[BundleServer]:
    """Serve `path` under TLS (with the certificate that all tests share, unless `context` has another)."""
    server = BundleServer(path)
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    server.port = listeners[0].socket.getsockname()[1]

    async def handle(stream: trio.SocketStream) -> None:
        if is_plain:
            await server.serve(stream)
        else:
            await server.serve(
                trio.SSLStream(stream, context or certificates().server, server_side=True, https_compatible=True)
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield server
        nursery.cancel_scope.cancel()
