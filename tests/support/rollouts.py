"""Repositories of a rollout, served by a real web server that can be made to misbehave."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from support.webservers import web_server
from tuf.ngclient import Updater

KEYS = [part for role in ("targets", "snapshot", "timestamp") for part in ("--key", f"keys/{role}.key")]

Answer = Callable[[BaseHTTPRequestHandler], bool]
"""What happens to a request; False: it is answered as usual."""


class RepositoryServer:
    """A web server over a folder. `answer` may be set to misbehave; `requests` are the paths that were asked for, on so
    many `connections`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[str] = []
        self.connections = 0
        self.answer: Answer = lambda handler: False


@contextmanager
def repository_server(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[RepositoryServer]:
    """Serve `folder` on the loopback, by HTTPS with a `context`."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, directory=str(folder), **options)

        def do_GET(self) -> None:
            server.requests.append(self.path)
            try:
                if not server.answer(self):
                    super().do_GET()
            except OSError:
                pass  # the client has had enough

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with web_server(Handler, context) as origin:
        server = RepositoryServer(origin)
        yield server


def endless(handler: BaseHTTPRequestHandler) -> bool:
    """Answer with data that never ends."""
    begin(handler)
    while True:
        handler.wfile.write(b" " * 65536)


def dripping(handler: BaseHTTPRequestHandler) -> bool:
    """Answer with a byte now and then, for ever."""
    begin(handler)
    while True:
        write(handler.wfile, b" ")
        time.sleep(0.02)


def dripping_outside_the_body(start: bytes, piece: bytes) -> Answer:
    """Answer with `start` of an answer, and then `piece` of what comes before its content now and then, for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.connection.sendall(b"HTTP/1.1 " + start)
        while True:
            handler.connection.sendall(piece)
            time.sleep(0.02)

    return answer


def unavailable(handler: BaseHTTPRequestHandler) -> bool:
    """Answer that it is away."""
    handler.send_error(503)
    return True


def forbidden(handler: BaseHTTPRequestHandler) -> bool:
    """Answer that this is not for who asks."""
    handler.send_error(403)
    return True


def not_found(handler: BaseHTTPRequestHandler, size: int = 1000) -> bool:
    """Answer in `size` bytes that there is no such file, on a connection that stays."""
    handler.send_response(404)
    handler.send_header("Content-Length", str(size))
    handler.end_headers()
    while size > 0:
        size -= handler.wfile.write(b" " * min(size, 65536))
    return True


def begin(handler: BaseHTTPRequestHandler) -> None:
    """Begin an answer that lasts until the connection ends."""
    handler.close_connection = True
    handler.send_response(200)
    handler.end_headers()


def write(stream: BufferedIOBase, content: bytes) -> None:
    stream.write(content)
    stream.flush()


def taken(served: Path, client: Path, root: bytes, site: str) -> bytes:
    """What a controller that keeps its metadata in `client` and began with `root` would take now from `served`.

    Raises what tuf's client does.
    """
    client.mkdir(exist_ok=True)
    for path in client.glob("*.bundle"):
        path.unlink()  # so that it is fetched
    with repository_server(served) as server:
        metadata, targets = f"{server.url}/metadata/", f"{server.url}/targets/"
        updater = Updater(str(client), metadata, str(client), targets, bootstrap=root)
        found = updater.get_targetinfo(f"{site}.bundle")
        assert found is not None
        return Path(updater.download_target(found)).read_bytes()
