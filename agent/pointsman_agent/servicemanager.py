"""What a service manager is told, by the protocol of sd_notify(3): up, reading again, stopping, still alive (rule 55).

Datagrams to the socket that `NOTIFY_SOCKET` names; without one there is nobody to tell. A datagram that cannot be sent
is left out: the agent never depends on who watches it.
"""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import trio

BEATS_A_PERIOD: Final = 3  # one beat may be late, one lost


class ServiceManager:
    """The service manager of this process, as its `environment` names it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._period_s = _watchdog_period_s(environment)

    def ready(self) -> None:
        """Say that the start is over: what depends on the agent may start."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def reloading(self, reload: Callable[[], None]) -> None:
        """Call `reload`, and say before and after it that it is under way and over."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        reload()
        self._tell("READY=1")

    async def beat(self) -> None:
        """Tell the watchdog, for ever, that the loop turns; returns at once where there is none."""
        while self._period_s is not None:
            self._tell("WATCHDOG=1")
            await trio.sleep(self._period_s / BEATS_A_PERIOD)

    def _tell(self, *states: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(states).encode(), self._address)


def _watchdog_period_s(environment: Mapping[str, str]) -> float | None:
    """The time without a beat after which the service manager kills us (sd_watchdog_enabled(3)); None: never."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    is_ours = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) and is_ours else None
