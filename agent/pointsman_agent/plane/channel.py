"""One relayed socket in the reactor: bytes to messages and back, without waiting, bounded in both directions.

TLS makes two things subtle. A receive may want to write and a send to read (a key update), so there are two wants a
socket, and each is tried again when the other event comes. And OpenSSL must be given the same bytes again after it
wanted to wait: what is queued is appended to, never cut or joined at its head.
"""

import socket
import ssl
from collections import deque
from enum import Enum, auto
from typing import Final, Protocol

from pointsman_agent.outbox import MOST_WAITING_CHARACTERS, OutputBudget
from pointsman_agent.plane.reactor import READABLE, WRITABLE, Reactor
from pointsman_agent.websocket.codec import (
    CloseReceived,
    Incoming,
    Ping,
    Violation,
)
from pointsman_agent.wire import HandedOver

RECEIVE_BYTES: Final = 16 * 1024  # each receive allocates so much; what is behind it comes in the next pass
MESSAGES_A_PASS: Final = 64  # a socket and pass (rule 30)
SEND_WITHIN_S: Final = 10.0  # a peer that takes no byte for so long is gone
CLOSE_WITHIN_S: Final = 2.0  # for the peer's Close frame, and again for the end of its stream (rule 26)


class Ear(Protocol):
    """Who owns a channel hears what comes, without waiting."""

    def heard(self, text: str, now: float) -> None:
        """A message came."""

    def ended(self, code: int, reason: str, error: str, now: float) -> None:
        """The peer closed, vanished (1006) or broke the protocol; told once. `error` is the class of rule 50."""

    def flushed(self, now: float) -> None:
        """All that was written has left."""

    def overflowed(self, now: float) -> None:
        """The peer takes less than it is sent."""

    def swept(self, now: float) -> None:
        """Half a second has passed."""

    def closed(self) -> None:
        """The socket is gone."""

    def broken(self, error: Exception) -> None:
        """Serving this channel raised."""


class _State(Enum):
    OPEN = auto()
    CLOSING = auto()
    """Our Close frame is queued or sent; the peer's is awaited."""
    DRAINING = auto()
    """Writing is shut down; what the peer still sends is read and dropped."""
    CLOSED = auto()


class Channel:
    """A member of the reactor."""

    __slots__ = (
        "_budget", "_deadline", "_ear", "_has_peer_closed", "_incoming", "_is_deaf", "_out", "_out_bytes", "_pending",
        "_reactor", "_read_wants_write", "_reader", "_send_wants_read", "_sock", "_state", "_stuck_since", "_watched",
        "_writer", "last_heard",
    )  # fmt: skip

    def __init__(self, handed: HandedOver, reactor: Reactor, ear: Ear, budget: OutputBudget, now: float) -> None:
        self._sock = handed.sock
        self._reader = handed.reader
        self._writer = handed.writer
        self._incoming: deque[Incoming] = deque(handed.incoming)
        self._reactor = reactor
        self._ear = ear
        self._budget = budget
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._stuck_since = now
        self._state = _State.OPEN
        self._deadline = 0.0
        self._has_peer_closed = False
        self._is_deaf = False  # the peer broke the protocol: no Close frame of it will be understood
        self._read_wants_write = False
        self._send_wants_read = False
        self._watched = READABLE
        self._pending = handed.sock.pending if isinstance(handed.sock, ssl.SSLSocket) else _nothing_pending
        self.last_heard = now

    def start(self) -> None:
        """Be served."""
        self._reactor.add(self._sock, self)

    def send(self, text: str, now: float) -> bool:
        """Write a message, or queue it; after a close nothing is sent any more. True: it has left."""
        if self._state is not _State.OPEN:
            return False
        self._write(self._writer.text(text), now)
        return not self._out

    def ping(self, now: float) -> None:
        """Write a ping."""
        if self._state is _State.OPEN:
            self._write(self._writer.ping(), now)

    def close(self, code: int, reason: str, now: float) -> None:
        """Send a Close frame after what is queued, await the peer's, drain, close; all bounded."""
        if self._state is not _State.OPEN:
            return
        self._state = _State.CLOSING
        self._deadline = now + CLOSE_WITHIN_S
        self._write(self._writer.close(code, reason), now)
        self._close_when_done(now)

    def abort(self) -> None:
        """Close the socket at once."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._forget_output()
        self._reactor.give_up(self._sock)
        self._ear.closed()

    def ready(self, events: int, now: float) -> bool:
        """See `reactor.Member`."""
        if self._out and (events & WRITABLE or self._send_wants_read):
            self._flush(now)
        is_readable = events & ~WRITABLE or not events or self._incoming or self._read_wants_write
        return self._read(now) if is_readable and self._state is not _State.CLOSED else False

    def failed(self, error: Exception) -> None:
        """See `reactor.Member`: both sockets of a station end together."""
        self._ear.broken(error)

    def sweep(self, now: float) -> None:
        """See `reactor.Member`."""
        if self._state is _State.OPEN:
            if self._out and now - self._stuck_since > SEND_WITHIN_S:
                self._lost(now, "slow", "the peer takes no data")
            else:
                self._ear.swept(now)
        elif now > self._deadline:
            if self._state is _State.CLOSING:
                self._drain(now)
            else:
                self.abort()

    def _read(self, now: float) -> bool:
        served = 0
        while True:
            while self._incoming:
                if served >= MESSAGES_A_PASS:
                    return True
                served += 1
                self._take(self._incoming.popleft(), now)
                if self._state is _State.CLOSED:
                    return False
            data = self._receive(now)
            if not data:
                return False
            self.last_heard = now
            if self._state is not _State.DRAINING:
                self._incoming.extend(self._reader.feed(data))
            if not self._incoming and not self._pending():
                return False

    def _receive(self, now: float) -> bytes:
        """Return what is there; `b""` when nothing is, or the stream has ended, which is dealt with here."""
        if self._read_wants_write:
            self._read_wants_write = False
            self._watch()
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        except ssl.SSLWantWriteError:
            self._read_wants_write = True
            self._watch()
            return b""
        except (OSError, ValueError):
            data = b""
        if not data:
            self._stream_ended(now)
        return data

    def _stream_ended(self, now: float) -> None:
        if self._state is _State.OPEN:
            self._lost(now, "closed", "")
        else:
            self.abort()

    def _lost(self, now: float, error: str, reason: str) -> None:
        """The peer is gone without a Close frame: so are we."""
        self._state = _State.CLOSING  # nothing is sent any more
        self._ear.ended(1006, reason, error, now)
        self.abort()

    def _take(self, item: Incoming, now: float) -> None:
        if isinstance(item, str):
            if self._state is _State.OPEN:
                self._ear.heard(item, now)
        elif isinstance(item, Ping):
            # RFC 6455 section 5.5.3: of pings that came together only the last needs its pong.
            if self._state is _State.OPEN and not (self._incoming and isinstance(self._incoming[0], Ping)):
                self._write(self._writer.pong(item.payload), now)
        elif isinstance(item, CloseReceived):
            self._take_close(item, now)
        elif isinstance(item, Violation):
            self._take_violation(item, now)

    def _take_close(self, item: CloseReceived, now: float) -> None:
        self._has_peer_closed = True
        if self._state is _State.OPEN:
            self.close(item.code, "", now)  # section 5.5.1: echoed as soon as practical
            self._ear.ended(item.code, item.reason, "closed", now)
        else:
            self._close_when_done(now)

    def _take_violation(self, item: Violation, now: float) -> None:
        if self._state is not _State.OPEN:
            self._drain(now)
            return
        self._is_deaf = True
        self.close(item.code, item.reason, now)
        self._ear.ended(1006, item.reason, "size" if item.code == _TOO_BIG else "protocol", now)

    def _close_when_done(self, now: float) -> None:
        """Both Close frames have passed: nothing can be unread any more, so the socket may go at once."""
        if self._out or self._state is not _State.CLOSING:
            return
        if self._has_peer_closed:
            self.abort()
        elif self._is_deaf:
            self._drain(now)

    def _drain(self, now: float) -> None:
        """Shut down writing and read on for a while: a close with unread input would destroy our last frame."""
        if self._state in (_State.DRAINING, _State.CLOSED):
            return
        self._state = _State.DRAINING
        self._deadline = now + CLOSE_WITHIN_S
        self._incoming.clear()
        self._forget_output()
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
        except OSError:
            self.abort()

    def _write(self, data: bytes, now: float) -> None:
        if not self._out:
            sent = self._send(data)
            if sent == len(data):
                return
            if self._state is _State.CLOSED:
                return
            data = data[sent:]
            self._stuck_since = now
        self._out.append(data)
        self._out_bytes += len(data)
        is_within = self._budget.change(len(data)) and self._out_bytes <= MOST_WAITING_CHARACTERS
        self._watch()
        if not is_within and self._state is _State.OPEN:
            self._ear.overflowed(now)

    def _flush(self, now: float) -> None:
        while self._out:
            head = self._out[0]
            sent = self._send(head)
            if not sent or not self._out:  # no room, or nobody there: what was queued is forgotten then
                break
            self._stuck_since = now
            self._out_bytes -= sent
            self._budget.change(-sent)
            if sent < len(head):
                self._out[0] = head[sent:]
                break
            self._out.popleft()
        self._watch()
        if not self._out:
            self._ear.flushed(now)
            self._close_when_done(now)

    def _send(self, data: bytes) -> int:
        self._send_wants_read = False
        try:
            return self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._send_wants_read = True
            return 0
        except (OSError, ValueError):
            # The receiving side tells how it ended, in this pass or the next.
            self._forget_output()
            self._reactor.serve_again(self._sock)
            return len(data)

    def _watch(self) -> None:
        is_full = self._out and not self._send_wants_read
        wanted = READABLE | (WRITABLE if is_full or self._read_wants_write else 0)
        if wanted != self._watched and self._state is not _State.CLOSED:
            self._watched = wanted
            self._reactor.watch(self._sock, wanted)

    def _forget_output(self) -> None:
        self._budget.change(-self._out_bytes)
        self._out.clear()
        self._out_bytes = 0


_TOO_BIG: Final = 1009


def _nothing_pending() -> int:
    return 0
