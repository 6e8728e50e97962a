"""What the scripts on the `ocpp` package share: the session they play, and the lines that tell the test of each text.

A peer prints one JSON object a line: `{"event": "listening", "port": N}`, `{"event": "sent" | "received", "text": T}`,
`{"event": "finished"}`. `session.json` holds the session's requests, a supervision's answers, what it asks after which
of them, and a station's answers to that; the scripts on npm's `ocpp-rpc` play the same.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

FINISHED_WITHIN_S = 25.0  # a session lasts milliseconds; a peer that hangs must not outlive its test by much

_PACKAGES = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201", "ocpp2.1": "ocpp.v21"}
_SCRIPTS = {"ocpp2.1": "ocpp2.0.1"}  # the session uses nothing that differs between the two


class TextSocket(Protocol):
    """What the package's ChargePoint wants of a connection."""

    async def recv(self) -> str | bytes:
        """Return the next message."""

    async def send(self, message: str) -> None:
        """Send a message."""


class Recorded:
    """A connection whose texts are all told, each before the peer acts on it."""

    def __init__(self, socket: TextSocket) -> None:
        self._socket = socket

    async def recv(self) -> str | bytes:
        """Return the next message."""
        message = await self._socket.recv()
        tell({"event": "received", "text": message if isinstance(message, str) else message.decode()})
        return message

    async def send(self, message: str) -> None:
        """Send a message."""
        tell({"event": "sent", "text": message})
        await self._socket.send(message)


def tell(line: dict[str, Any]) -> None:
    """Print one line for the test."""
    print(json.dumps(line), flush=True)


def package_of(protocol: str) -> Any:
    """Return the module of the `ocpp` package for a subprotocol."""
    return import_module(_PACKAGES[protocol])


def script_of(protocol: str) -> dict[str, Any]:
    """Return the session of a subprotocol."""
    scripts = json.loads(Path(__file__).with_name("session.json").read_text(encoding="utf-8"))
    script: dict[str, Any] = scripts[_SCRIPTS.get(protocol, protocol)]
    return script
