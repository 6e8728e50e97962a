"""One relayed socket in the reactor: bytes to messages and back, without waiting, bounded in both directions.

TLS makes two things subtle. A receive may want to write and a send to read (a key update), so there are two wants a
socket, and each is tried again when the other event comes. And OpenSSL must be given the same bytes again after it
wanted to wait: what is queued is appended to, never cut or joined at its head.
"""

import socket
import ssl
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, Protocol

from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.outputbudget import MOST_WAITING_CHARACTERS, OutputBudget
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
    """Who owns channels hears what comes of each side, without waiting."""

    def heard(self, side: Side, text: str, now: float, frame: bytes | None = None) -> None:
        """A message came. `frame`: it came as this, which is how we would write it too, were it not to be masked."""

    def ended(self, side: Side, code: int, reason: str, error: str, now: float) -> None:
        """The peer closed, vanished (1006) or broke the protocol; told once. `error` is the class of rule 50."""

    def flushed(self, side: Side, now: float) -> None:
        """All that was written has left, after `delayed` was told or `send` asked for it."""

    def delayed(self, side: Side, now: float) -> None:
        """What was written in the pass at `now` has not left."""

    def overflowed(self, side: Side, now: float) -> None:
        """The peer takes less than it is sent."""

    def swept(self, side: Side, now: float) -> None:
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


_OPEN: Final = _State.OPEN


class Channel:
    """A member of the reactor: the socket of `side`."""

    __slots__ = (
        "_budget", "_deadline", "_ear", "_fresh", "_has_peer_closed", "_incoming", "_is_awaited", "_is_deaf",
        "_is_masked", "_out", "_out_bytes", "_reactor", "_read_wants_write", "_reader", "_send_wants_read", "_side",
        "_sock", "_state", "_stuck_since", "_tls", "_watched", "_writer", "last_heard",
    )  # fmt: skip

    def __init__(
        self, handed: HandedOver, reactor: Reactor, ear: Ear, side: Side, budget: OutputBudget, now: float
    ) -> None:
        self._sock = handed.sock
        self._tls = handed.sock if isinstance(handed.sock, ssl.SSLSocket) else None
        self._reader = handed.reader
        self._is_masked = handed.reader.is_masked
        self._writer = handed.writer
        self._incoming: Sequence[Incoming] = handed.incoming
        self._reactor = reactor
        self._ear = ear
        self._side = side
        self._budget = budget
        self._out: deque[bytes] | None = None
        """None until something had to wait: hardly any channel ever needs one."""
        self._out_bytes = 0
        self._fresh = b""
        self._is_awaited = False
        self._stuck_since = now
        self._state = _OPEN
        self._deadline = 0.0
        self._has_peer_closed = False
        self._is_deaf = False  # the peer broke the protocol: no Close frame of it will be understood
        self._read_wants_write = False
        self._send_wants_read = False
        self._watched = READABLE
        self.last_heard = now

    def start(self) -> None:
        """Be served."""
        self._reactor.add(self._sock, self)

    def pass_on(self, text: str, frame: bytes | None) -> None:
        """Write a message at the end of this pass, as `frame` where that is at hand. Only for `Ear.heard`."""
        if self._state is not _OPEN:
            return
        data = self._writer.text(text) if frame is None else frame
        if self._fresh:
            self._fresh += data
        else:
            self._fresh = data
            self._reactor.unflushed.append(self)

    def send(self, text: str) -> None:
        """Write a message, and tell by `flushed` that it has left; after a close nothing is sent any more."""
        if self._state is _OPEN:
            self._is_awaited = True
            self._write(self._writer.text(text))

    def ping(self) -> None:
        """Write a ping."""
        if self._state is _OPEN:
            self._write(self._writer.ping())

    def close(self, code: int, reason: str, now: float) -> None:
        """Send a Close frame after what is queued, await the peer's, drain, close; all bounded."""
        if self._state is not _OPEN:
            return
        self._state = _State.CLOSING
        self._deadline = now + CLOSE_WITHIN_S
        self._write(self._writer.close(code, reason))

    def abort(self) -> None:
        """Close the socket at once."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._forget_output()
        self._reactor.give_up(self._sock)
        self._ear.closed()

    def ready(self, events: int, now: float) -> bool:
        """See `reactor.Member`. One receive a pass: the kernel says it again where there is more."""
        if self._out and (events & WRITABLE or self._send_wants_read):
            self._send_queued(now)
        if self._incoming:
            return self._serve(self._incoming, now) or self._has_hidden()
        if events == WRITABLE and not self._read_wants_write:
            return False
        if self._read_wants_write:
            self._read_wants_write = False
            self._watch()
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except (OSError, ValueError) as error:
            if self._is_only_waiting(error):
                return False
            data = b""
        if not data:
            self._stream_ended(now)
            return False
        self.last_heard = now
        if self._state is _OPEN and (text := self._reader.whole_text(data)) is not None:
            self._ear.heard(self._side, text, now, None if self._is_masked else data)
            return self._tls is not None and self._has_hidden()
        if self._state is _State.DRAINING:
            return False
        return self._serve(self._reader.feed(data), now) or self._has_hidden()

    def failed(self, error: Exception) -> None:
        """See `reactor.Member`: both sockets of a station end together."""
        self._ear.broken(error)

    def sweep(self, now: float) -> None:
        """See `reactor.Member`."""
        if self._state is _OPEN:
            if self._out and now - self._stuck_since > SEND_WITHIN_S:
                self._lost(now, "slow", "the peer takes no data")
            else:
                self._ear.swept(self._side, now)
        elif now > self._deadline:
            if self._state is _State.CLOSING:
                self._drain(now)
            else:
                self.abort()

    def _has_hidden(self) -> bool:
        """Whether OpenSSL holds bytes of which the kernel will say nothing."""
        return self._tls is not None and self._state is not _State.CLOSED and self._tls.pending() > 0

    def _serve(self, items: Sequence[Incoming], now: float) -> bool:
        """Deal with what came, as far as one pass goes; True: the rest is for the next one, or the socket is."""
        self._incoming = items[MESSAGES_A_PASS:] or ()
        for number, item in enumerate(items[:MESSAGES_A_PASS], start=1):
            if self._state is _State.CLOSED:
                return False
            is_last_ping = number == len(items) or not isinstance(items[number], Ping)
            self._take(item, now, is_last_ping=is_last_ping)
        return bool(self._incoming)

    def _is_only_waiting(self, error: OSError | ValueError) -> bool:
        """Whether a receive that raised `error` has nothing yet; else the stream is broken."""
        if isinstance(error, ssl.SSLWantWriteError):
            self._read_wants_write = True
            self._watch()
            return True
        return isinstance(error, BlockingIOError | ssl.SSLWantReadError)

    def _stream_ended(self, now: float) -> None:
        if self._state is _OPEN:
            self._lost(now, "closed", "")
        else:
            self.abort()

    def _lost(self, now: float, error: str, reason: str) -> None:
        """The peer is gone without a Close frame: so are we."""
        self._state = _State.CLOSING  # nothing is sent any more
        self._ear.ended(self._side, 1006, reason, error, now)
        self.abort()

    def _take(self, item: Incoming, now: float, *, is_last_ping: bool) -> None:
        if isinstance(item, str):
            if self._state is _OPEN:
                self._ear.heard(self._side, item, now)
        elif isinstance(item, Ping):
            # RFC 6455 section 5.5.3: of pings that came together only the last needs its pong.
            if self._state is _OPEN and is_last_ping:
                self._write(self._writer.pong(item.payload))
        elif isinstance(item, CloseReceived):
            self._take_close(item, now)
        elif isinstance(item, Violation):
            self._take_violation(item, now)

    def _take_close(self, item: CloseReceived, now: float) -> None:
        self._has_peer_closed = True
        if self._state is _OPEN:
            self.close(item.code, "", now)  # section 5.5.1: echoed as soon as practical
            self._ear.ended(self._side, item.code, item.reason, "closed", now)
        else:
            self._close_when_done(now)

    def _take_violation(self, item: Violation, now: float) -> None:
        if self._state is not _OPEN:
            self._drain(now)
            return
        self._is_deaf = True
        self.close(item.code, item.reason, now)
        self._ear.ended(self._side, 1006, item.reason, "size" if item.code == _TOO_BIG else "protocol", now)

    def _close_when_done(self, now: float) -> None:
        """Both Close frames have passed: nothing can be unread any more, so the socket may go at once."""
        if self._out or self._fresh or self._state is not _State.CLOSING:
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
        self._incoming = ()
        self._forget_output()
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
        except OSError:
            self.abort()

    def _write(self, data: bytes) -> None:
        """Write at the end of this pass, in one piece with what else is written in it."""
        if self._fresh:
            self._fresh += data
        else:
            self._fresh = data
            self._reactor.flush_later(self)

    def flush(self, now: float) -> None:
        """See `reactor.Member`: write what was written in this pass, or queue what the socket does not take."""
        data, self._fresh = self._fresh, b""
        if not self._out and data:
            try:
                sent = self._sock.send(data)
            except (OSError, ValueError) as error:
                sent = self._unsent(data, error)
            if sent == len(data):
                if self._is_awaited or self._state is not _OPEN:
                    self._all_has_left(now)
                return
            data = data[sent:]
            self._stuck_since = now
        if data:
            self._queue(data, now)

    def _queue(self, data: bytes, now: float) -> None:
        if self._out is None:
            self._out = deque()
        self._out.append(data)
        self._out_bytes += len(data)
        is_within = self._budget.change(len(data)) and self._out_bytes <= MOST_WAITING_CHARACTERS
        self._watch()
        self._is_awaited = True
        self._ear.delayed(self._side, now)
        if not is_within and self._state is _OPEN:
            self._ear.overflowed(self._side, now)

    def _all_has_left(self, now: float) -> None:
        self._is_awaited = False
        self._ear.flushed(self._side, now)
        self._close_when_done(now)

    def _send_queued(self, now: float) -> None:
        while self._out:
            head = self._out[0]
            self._send_wants_read = False
            try:
                sent = self._sock.send(head)
            except (OSError, ValueError) as error:
                sent = self._unsent(head, error)
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
            self._out = None
            self._all_has_left(now)

    def _unsent(self, data: bytes, error: OSError | ValueError) -> int:
        """Return how much of `data` counts as sent, which raised `error`: nothing where the socket is not ready."""
        if isinstance(error, BlockingIOError | ssl.SSLWantWriteError):
            return 0
        if isinstance(error, ssl.SSLWantReadError):
            self._send_wants_read = True
            return 0
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
        self._out = None
        self._out_bytes = 0
        self._fresh = b""


_TOO_BIG: Final = 1009
