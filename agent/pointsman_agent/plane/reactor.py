"""One trio task that serves all relayed sockets by plain calls.

Why: a relay moves small messages, and a task switch, a channel and a cancel scope a message cost ten times what the
message itself does. So after the handshake, which stays ordinary trio, a station's two sockets move here. trio wakes
this one task when any of them is ready; all that is slow (handshakes, back-off, journal, admin) goes on as ever.

How
---
* One `epoll`, level-triggered, each descriptor registered once. trio waits for the epoll's own descriptor.
* A pass serves what is ready. `ready` of a member must not wait and has a budget; who has more to do says so, and is
  served again in the next pass, after every trio task had its turn.
* An error in a member ends that member (`failed`), never the reactor.
* What is written in a pass leaves at its end, in one piece a socket: of messages that came together several leave in
  one call, and a peer that is woken finds all of it.
* A descriptor that is given up within a pass is closed after it: the kernel would give the same number to the next
  connection, and an event of the old one would hit the new one.
* Time is a sweep, twice a second: pings, deadlines, sockets that do not drain. Never a task or a scope each.
"""

import os
import select
import socket
from typing import Final, Protocol

import structlog
import trio

SWEEP_EVERY_S: Final = 0.5
SWEPT_AT_ONCE: Final = 128  # members between two turns of the other tasks
EVENTS_A_PASS: Final = 256
TURN_S: Final = 0.003  # of passes in a row, before the other tasks have their turn (rule 30)
NAP_S: Final = 0.001  # after something came, the next is often near: waiting in our own epoll spares a turn of trio

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT

log = structlog.get_logger()


class Member(Protocol):
    """A socket that the reactor serves."""

    def ready(self, events: int, now: float) -> bool:
        """Do what `events` (0: a further pass) allow, without waiting; True when there is more to do."""

    def flush(self, now: float) -> None:
        """Write what was put aside for the end of the pass, without waiting. Asked for by `flush_later`."""

    def failed(self, error: Exception) -> None:
        """End: `ready` or `sweep` raised. Must not raise."""

    def sweep(self, now: float) -> None:
        """Look at deadlines."""


class Reactor:
    """The members by descriptor, and the loop that serves them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._alarm, READABLE)
        self._members: dict[int, Member] = {}
        self._again: dict[int, Member] = {}
        self.unflushed: list[Member] = []
        """Who has something to be written at the end of the pass that is under way."""
        self._given_up: list[socket.socket] = []
        self._is_in_pass = False

    def __len__(self) -> int:
        return len(self._members)

    def add(self, sock: socket.socket, member: Member) -> None:
        """Serve `sock` from now on, in the next pass also without an event: bytes may have come before it did."""
        descriptor = sock.fileno()
        self._epoll.register(descriptor, READABLE)
        self._members[descriptor] = member
        self.serve_again(sock)

    def serve_again(self, sock: socket.socket) -> None:
        """Serve `sock` in the next pass, whatever the kernel says of it."""
        member = self._members.get(sock.fileno())
        if member is not None:
            self._again[sock.fileno()] = member
            os.eventfd_write(self._alarm, 1)

    def flush_later(self, member: Member) -> None:
        """Call the member's `flush` at the end of this pass; at once, where none is under way."""
        self.unflushed.append(member)
        if not self._is_in_pass:
            self._end_pass(trio.current_time())

    def watch(self, sock: socket.socket, events: int) -> None:
        """Wake for `events` of `sock` from now on."""
        self._epoll.modify(sock.fileno(), events)

    def give_up(self, sock: socket.socket) -> None:
        """Serve `sock` no more, and close it once no event of it can be under way."""
        descriptor = sock.fileno()
        if self._members.pop(descriptor, None) is None:
            return
        self._again.pop(descriptor, None)
        self._epoll.unregister(descriptor)
        if self._is_in_pass:
            self._given_up.append(sock)
        else:
            sock.close()

    @trio.lowlevel.enable_ki_protection  # Ctrl-C must not tear a frame
    async def run(self) -> None:
        """Serve until cancelled; the members that are left fail then."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                while True:
                    # A turn of trio costs as much as two messages: what came meanwhile is served first, for a while.
                    until = trio.current_time() + TURN_S
                    nap = 0.0
                    while self._pass(nap) and trio.current_time() < until:
                        nap = NAP_S
                    if self._again:
                        await trio.lowlevel.checkpoint()
                    else:
                        await trio.lowlevel.wait_readable(self._epoll.fileno())
        finally:
            self._end()

    def _pass(self, nap: float) -> bool:
        """Serve what is ready, or becomes so within `nap` seconds, and who had more to do; False when nothing was."""
        again, self._again = self._again, {}
        members = self._members
        ready = self._epoll.poll(0 if again else nap, EVENTS_A_PASS)
        now = trio.current_time()
        self._is_in_pass = True
        try:
            for descriptor, events in ready:
                member = members.get(descriptor)
                if member is not None:
                    if again:
                        again.pop(descriptor, None)
                    try:
                        if member.ready(events, now) and members.get(descriptor) is member:
                            self._again[descriptor] = member
                    except Exception as error:  # the error boundary of a station (rule 30)
                        self._fail(member, error)
                elif descriptor == self._alarm:
                    os.eventfd_read(self._alarm)
            for descriptor, member in again.items():
                if members.get(descriptor) is member:
                    self._serve_again(descriptor, member, now)
        finally:
            self._end_pass(now)
        return bool(ready)

    def _serve_again(self, descriptor: int, member: Member, now: float) -> None:
        try:
            if member.ready(0, now) and self._members.get(descriptor) is member:
                self._again[descriptor] = member
        except Exception as error:  # as above
            self._fail(member, error)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP_EVERY_S)
            for start, member in enumerate(list(self._members.values())):
                if start % SWEPT_AT_ONCE == SWEPT_AT_ONCE - 1:
                    await trio.lowlevel.checkpoint()
                self._sweep_one(member)

    def _sweep_one(self, member: Member) -> None:
        now = trio.current_time()
        self._is_in_pass = True
        try:
            member.sweep(now)
        except Exception as error:  # as in `_pass`
            self._fail(member, error)
        finally:
            self._end_pass(now)

    def _fail(self, member: Member, error: Exception) -> None:
        log.error("station dropped", error=repr(error), exc_info=error)
        member.failed(error)

    def _end_pass(self, now: float) -> None:
        """Write what waited for the end of the pass, in one piece a socket, then close what was given up in it."""
        self._is_in_pass = True
        for member in self.unflushed:  # grows where a flush ends a link
            try:
                member.flush(now)
            except Exception as error:  # as in `_pass`
                self._fail(member, error)
        self.unflushed.clear()
        self._is_in_pass = False
        if self._given_up:
            for sock in self._given_up:
                sock.close()
            self._given_up.clear()

    def _end(self) -> None:
        for member in list(self._members.values()):
            member.failed(RuntimeError("the data plane ends"))
        self._epoll.close()
        os.close(self._alarm)
