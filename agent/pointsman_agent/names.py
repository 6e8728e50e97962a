"""Host names → addresses: once a supervision for all its stations, again after each failure, never pinned (rule 56).

Look-ups run in threads of their own limiter: dead DNS starves neither the journal nor the bundles' disk.
"""

import socket
from collections.abc import Sequence
from typing import Any, Final

import trio

LOOK_UPS_AT_ONCE: Final = 8

Addresses = list[Any]
"""As `socket.getaddrinfo` returns them."""


class CachedNames(trio.abc.HostnameResolver):
    """A resolver for a whole trio run (`trio.socket.set_custom_hostname_resolver`)."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(LOOK_UPS_AT_ONCE)
        self._known: dict[tuple[Any, ...], Addresses] = {}
        self._asking: dict[tuple[Any, ...], trio.Event] = {}

    def forget(self, host: str) -> None:
        """Look `host` up anew at the next connection."""
        wanted = host.encode("idna") if not host.isascii() else host.encode()
        self._known = {key: found for key, found in self._known.items() if _bytes(key[0]) != wanted}

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Addresses:
        """As of the socket module; raises socket.gaierror. Who asks while the same name is looked up waits for that."""
        key = (host, port, family, type, proto, flags)
        while key in self._asking:
            await self._asking[key].wait()
        if key in self._known:
            await trio.lowlevel.checkpoint()
            return self._known[key]
        done = self._asking[key] = trio.Event()
        try:
            # A look-up cannot be interrupted; who gives up on it must not wait for it.
            found: Addresses = await trio.to_thread.run_sync(
                socket.getaddrinfo,
                host,
                port,
                family,
                type,
                proto,
                flags,
                limiter=self._limiter,
                abandon_on_cancel=True,
            )
        finally:
            del self._asking[key]
            done.set()
        self._known[key] = found
        return found

    async def getnameinfo(self, sockaddr: Sequence[Any], flags: int) -> tuple[str, str]:
        """Not used by the agent; as of the socket module."""
        return await trio.to_thread.run_sync(
            socket.getnameinfo, tuple(sockaddr), flags, limiter=self._limiter, abandon_on_cancel=True
        )


def _bytes(host: object) -> bytes:
    return host if isinstance(host, bytes) else str(host).encode()
