"""What can go wrong on a link of the simulator, by whose fault it is."""

from collections.abc import Sequence


class SimulatorError(Exception):
    """Anything that a peer, the network or the caller did; all else is a bug and crashes its task."""


class FrameError(SimulatorError):
    """A text that is no OCPP-J frame: the sender's fault. `message_id` is set where it could be read."""

    def __init__(self, message: str, message_id: str | None = None) -> None:
        super().__init__(message)
        self.message_id = message_id


class HandshakeFailed(SimulatorError):
    """No WebSocket came about: name resolution, TCP, TLS, time, or an answer that is no HTTP."""


class HandshakeRefused(HandshakeFailed):
    """The other side answered the handshake with an HTTP status of its own."""

    def __init__(self, status: int, headers: Sequence[tuple[str, str]] = (), body: str = "") -> None:
        super().__init__(f"the handshake was answered with HTTP {status}")
        self.status = status
        self.headers = tuple(headers)
        self.body = body

    def header(self, name: str) -> str | None:
        """Return the value of the first header called `name`, in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class LinkClosed(SimulatorError):
    """The WebSocket is closed, or closed while an answer was awaited. Code 1006: it broke without a Close frame."""

    def __init__(self, code: int, reason: str | None) -> None:
        super().__init__(f"the link is closed: {code} {reason or ''}".rstrip())
        self.code = code
        self.reason = reason


class NoAnswer(SimulatorError):
    """A CALL had no answer within its bound."""


class UnknownStation(SimulatorError):
    """No station of that identity is connected to the supervision."""
