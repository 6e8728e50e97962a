"""Serves the admin application: a socket that is bound before anything else starts, hypercorn on trio."""

import socket
from collections.abc import Awaitable, Callable

import hypercorn.trio
from hypercorn.config import Config
from starlette.types import ASGIApp

GRACEFUL_WITHIN_S = 2.0  # open requests at the end of the agent
KEEP_ALIVE_S = 15.0


class AdminBindError(Exception):
    """The admin address cannot be had."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one. Raises AdminBindError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AdminBindError(f"admin address {host}:{port}: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise AdminBindError(f"admin address {host}:{port}: {error.strerror}") from error
    return sock


def authority_of(sock: socket.socket) -> str:
    """Return `host:port` of a bound socket, as it stands in URLs."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(app: ASGIApp, sock: socket.socket, until: Callable[[], Awaitable[None]]) -> None:
    """Serve `app` on `sock` until `until` returns; the socket is closed then."""
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = GRACEFUL_WITHIN_S
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.h11_max_incomplete_size = 16 * 1024
    config.max_app_queue_size = 10
    await hypercorn.trio.serve(app, config, shutdown_trigger=until)  # type: ignore[arg-type]
