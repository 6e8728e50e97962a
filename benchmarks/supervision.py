"""A supervision in a process of its own: `python -m benchmarks.supervision PORT`; answers every request until killed.

Stations may come and go. Says `listening` on a line of its own once they can.
"""

import socket
import sys
from typing import Final

from benchmarks.load_generator import ConnectionEnded, Load, Supervision
from benchmarks.machine import raise_descriptor_limit

BACKLOG: Final = 4096


class Patient(Supervision):
    """One uplink whose end is nothing special."""

    def handshake(self) -> None:
        """Read the opening request; answer it when it is whole."""
        try:
            super().handshake()
        except OSError:
            self._load.forget(self._sock)

    def answer(self) -> None:
        """Answer the requests that have come."""
        try:
            super().answer()
        except (ConnectionEnded, OSError):
            self._load.forget(self._sock)


def main(port: int) -> None:
    """Serve until killed."""
    raise_descriptor_limit()
    load = Load(socket.create_server(("127.0.0.1", port), backlog=BACKLOG), Patient)
    print("listening", flush=True)
    load.run_until(float("inf"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
