"""Serves the admin application: a socket that is bound before anything else starts, HTTP/1.1 by h11 on trio.

A server of our own, since this one must never hold up the agent: hypercorn shields its writes without a deadline, so
that one client that does not read keeps the agent from ending, and a body that no handler reads blocks its connection
for good. Here every wait has a bound, and cancelling ends them all.
"""

import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
import trio
from starlette.types import ASGIApp

from pointsman_agent.streams import DialError, OwnedStream, RawStream
from pointsman_agent.web.connection import Connection
from pointsman_agent.web.places import Place, Places

GRACEFUL_WITHIN_S: Final = 2.0  # open requests at the end of the agent
TLS_WITHIN_S: Final = 5.0  # the handshake

log = structlog.get_logger()


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


async def serve(
    app: ASGIApp, sock: socket.socket, until: Callable[[], Awaitable[None]], context: ssl.SSLContext | None = None
) -> None:
    """Serve `app` on `sock`, with TLS where there is a `context`, until `until` returns; the socket is closed then, and
    open requests have a bounded time."""
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock.dup()))
    sock.close()
    server = _Server(app, context)
    async with trio.open_nursery() as connections:
        async with listener, trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, server.serve, [listener], handler_nursery=connections))
            await until()
            accepting.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + GRACEFUL_WITHIN_S


class _Server:
    """Takes connections as long as there are places; the boundary of their errors."""

    def __init__(self, app: ASGIApp, context: ssl.SSLContext | None) -> None:
        self._app = app
        self._context = context
        self._places = Places()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end. Whatever happens in here stays in here."""
        place = self._places.take()
        if place is None:
            await trio.aclose_forcefully(stream)
            return
        with place.scope:
            await self._serve(stream, place)

    async def _serve(self, stream: trio.SocketStream, place: Place) -> None:
        raw = RawStream.taken_from(stream)
        owned = OwnedStream(raw)
        try:
            if self._context is not None:
                with trio.fail_after(TLS_WITHIN_S):
                    await raw.secure(self._context)
            await Connection(self._app, owned, place).serve()
        except* (trio.BrokenResourceError, trio.TooSlowError, DialError):
            pass  # it does not read, has gone, or speaks no TLS
        except* Exception:
            log.exception("admin request failed")
        finally:
            self._places.give_back(place)
            await owned.finish(drain=not place.scope.cancel_called)  # or those who had to go would pile up
