"""Accepts stations: listening sockets that change with the bundle, and a bound on handshakes in flight."""

import errno
import os
import socket
from collections.abc import Mapping
from typing import Final

import structlog
import trio
from pointsman_schema.bundle import Listener

from pointsman_agent.station import House, serve_connection
from pointsman_agent.streams import RawStream

MOST_HANDSHAKES: Final = 256  # in flight; more are closed at once, stations come back by themselves
BACKLOG: Final = 1024
ACCEPTED_A_TURN: Final = 32  # of one listening socket, before other tasks have their turn
FULL_PAUSE_S: Final = 0.1  # without descriptors or memory for another connection
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

SocketKey = tuple[str | None, int]
"""Address (None: all) and port."""

log = structlog.get_logger()


class ListenerFault(Exception):
    """A listener of the bundle cannot be opened; the message names it, its place and the remedy."""


class Listeners:
    """The listening sockets. Those that a new bundle also names stay open; stations never notice."""

    def __init__(self, house: House, nursery: trio.Nursery) -> None:
        self._house = house
        self._nursery = nursery
        self._open: dict[SocketKey, _Socket] = {}
        self._handshakes = 0

    async def prepare(self, wanted: Mapping[str, Listener]) -> "PreparedListeners":
        """Bind what is not open yet, accept nothing on it; raises ListenerFault, with what it bound closed again."""
        new: dict[SocketKey, list[trio.SocketListener]] = {}
        try:
            for name, listener in wanted.items():
                key = (listener.address, listener.port)
                if key not in self._open and key not in new:
                    new[key] = await _bound(name, listener)
        except ListenerFault:
            await _close_all(new)
            raise
        return PreparedListeners({(each.address, each.port): name for name, each in wanted.items()}, new)

    def switch(self, prepared: "PreparedListeners") -> None:
        """Accept on the new sockets, stop accepting on those that are gone."""
        for key in [key for key in self._open if key not in prepared.names]:
            self._open.pop(key).scope.cancel()
        for key, name in prepared.names.items():
            if key in self._open:
                self._open[key].name = name
            else:
                self._open[key] = _Socket(name)
                self._nursery.start_soon(self._accept, self._open[key], prepared.sockets.pop(key))

    def close(self) -> None:
        """Accept nothing any more."""
        for each in self._open.values():
            each.scope.cancel()
        self._open.clear()

    async def _accept(self, place: "_Socket", listeners: list[trio.SocketListener]) -> None:
        with place.scope:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept_on, place, listener)

    async def _accept_on(self, place: "_Socket", listener: trio.SocketListener) -> None:
        """As `trio.serve_listeners`, but that whoever waits is accepted in one turn: stations come in storms."""
        async with listener:
            with socket.socket(fileno=os.dup(listener.socket.fileno())) as listening:
                listening.setblocking(False)
                while True:
                    await trio.lowlevel.wait_readable(listening)
                    wait_s = self._accept_some(place, listening)
                    if wait_s:
                        await trio.sleep(wait_s)

    def _accept_some(self, place: "_Socket", listening: socket.socket) -> float:
        """Accept who waits; return for how long nobody else can be."""
        for _ in range(ACCEPTED_A_TURN):
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return 0.0
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                log.error("no more connections can be accepted for now", listener=place.name, why=error.strerror)
                return FULL_PAUSE_S
            if self._handshakes >= MOST_HANDSHAKES:
                log.warning("too many handshakes", listener=place.name)
                sock.close()
            else:
                self._nursery.start_soon(self._serve, place.name, RawStream(sock), _Shaking(self))
        return 0.0

    async def _serve(self, listener_name: str, stream: RawStream, shaking: "_Shaking") -> None:
        try:
            await serve_connection(self._house, listener_name, stream, shaking.end)
        finally:
            shaking.end()

    def count_handshakes(self, change: int) -> None:
        """Note that a handshake began (1) or ended (-1)."""
        self._handshakes += change


class _Shaking:
    """One handshake in flight; its end counts once, however often it is told."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners: Listeners | None = listeners
        listeners.count_handshakes(1)

    def end(self) -> None:
        if self._listeners is not None:
            self._listeners.count_handshakes(-1)
            self._listeners = None


class _Socket:
    """A listening socket and the listener of the bundle that it stands for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope = trio.CancelScope()


class PreparedListeners:
    """Sockets that are bound for a bundle that is not in force yet."""

    def __init__(self, names: dict[SocketKey, str], sockets: dict[SocketKey, list[trio.SocketListener]]) -> None:
        self.names = names
        self.sockets = sockets

    async def abandon(self) -> None:
        """Close what was bound."""
        await _close_all(self.sockets)


async def _bound(name: str, listener: Listener) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(listener.port, host=listener.address, backlog=BACKLOG)
    except OSError as error:
        place = f"listener {name}, {listener.address or 'all addresses'} port {listener.port}"
        remedy = _REMEDIES.get(error.errno or 0, "")
        raise ListenerFault(f"{place}: {error.strerror or error}{remedy}") from error


_REMEDIES: Final = {
    errno.EADDRINUSE: "; end the program that has the port, or give the listener another one",
    errno.EADDRNOTAVAIL: "; give the listener an address of this controller, or none for all",
    errno.EACCES: "; use a port from 1024 on, or grant CAP_NET_BIND_SERVICE",
}


async def _close_all(sockets: Mapping[SocketKey, list[trio.SocketListener]]) -> None:
    for listeners in sockets.values():
        for listener in listeners:
            await listener.aclose()
