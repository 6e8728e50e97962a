"""Reactor and channel on real descriptors, where a peer cannot bring about what TLS and the kernel may."""

import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from pointsman_agent.ocpp.events import Command, Lost
from pointsman_agent.ocpp.frame import Frame
from pointsman_agent.ocpp.intercepts import LinkSettings, Side
from pointsman_agent.ocpp.link import Link
from pointsman_agent.outputbudget import OutputBudget
from pointsman_agent.plane.channel import Channel
from pointsman_agent.plane.pair import Pair
from pointsman_agent.plane.reactor import Reactor
from pointsman_agent.websocket.codec import FrameReader, FrameWriter
from pointsman_agent.wire import HandedOver
from support.wsframes import TEXT, frame

WITHIN_S = 10.0
A_WHILE_S = 0.3
FEW_CALLS = 10  # a spin makes thousands in a while


class WantingSocket(socket.socket):
    """A socket that wants, as TLS may: to write before it can be read, to read before it can be written.

    `recv` and `send` give up so often, however ready the descriptor is; the counters tell how often they were tried.
    """

    recv_wants = 0
    send_wants = 0
    receives = 0
    sends = 0

    def recv(self, *args: int) -> bytes:
        self.receives += 1
        if self.recv_wants:
            self.recv_wants -= 1
            raise ssl.SSLWantWriteError
        return super().recv(*args)

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # bytes is all that is sent
        self.sends += 1
        if self.send_wants:
            self.send_wants -= 1
            raise ssl.SSLWantReadError
        return super().send(data, flags)


class Heard:
    """An ear that writes down."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.texts: list[str] = []
        self.ends: list[tuple[int, str]] = []
        self.errors: list[Exception] = []
        self.flushes: list[float] = []
        self.frames: list[bytes | None] = []
        self.on_text: Callable[[str], None] = lambda text: None
        self.delays: list[float] = []
        self.news = trio.Event()

    def heard(self, side: Side, text: str, now: float, frame: bytes | None = None) -> None:
        self.texts.append(text)
        self.frames.append(frame)
        self.on_text(text)
        self.news.set()

    def ended(self, side: Side, code: int, reason: str, error: str, now: float) -> None:
        self.ends.append((code, error))

    def flushed(self, side: Side, now: float) -> None:
        self.flushes.append(now)

    def delayed(self, side: Side, now: float) -> None:
        self.delays.append(now)

    def overflowed(self, side: Side, now: float) -> None:
        raise AssertionError("too much output")

    def swept(self, side: Side, now: float) -> None:
        pass

    def closed(self) -> None:
        self.news.set()

    def broken(self, error: Exception) -> None:
        self.errors.append(error)
        assert self.channel is not None
        self.channel.abort()


def a_channel(reactor: Reactor, ear: Heard, sock: socket.socket, budget: OutputBudget | None = None) -> Channel:
    """Return a channel that is served and that `ear` hears of."""
    ear.channel = Channel(handed(sock), reactor, ear, Side.STATION, budget or OutputBudget(), trio.current_time())
    ear.channel.start()
    return ear.channel


def a_pair_of_sockets() -> tuple[WantingSocket, socket.socket]:
    """Return our end and the peer's."""
    ours, theirs = socket.socketpair()
    wanting = WantingSocket(fileno=ours.detach())
    wanting.setblocking(False)
    theirs.setblocking(False)
    return wanting, theirs


def handed(sock: socket.socket, *, is_client: bool = False) -> HandedOver:
    """Return a connection that has just been handed over."""
    reader = FrameReader(is_masked=not is_client, largest_message_bytes=1 << 20)
    return HandedOver(sock, reader, FrameWriter(is_masked=is_client), ())


@asynccontextmanager
async def running(reactor: Reactor) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reactor.run)
        yield
        nursery.cancel_scope.cancel()


async def idle() -> None:
    """Let a while pass, in which nothing is to be done; a spin would use it up."""
    began = time.process_time()
    await trio.sleep(A_WHILE_S)
    assert time.process_time() - began < A_WHILE_S / 3


async def test_trap_03_a_receive_that_wants_to_write_is_tried_again_and_does_not_spin_afterwards() -> None:
    reactor, heard, (ours, theirs) = Reactor(), Heard(), a_pair_of_sockets()
    with theirs:
        async with running(reactor):
            ours.recv_wants = 2
            a_channel(reactor, heard, ours)
            theirs.send(frame(TEXT, b"hello"))
            with trio.fail_after(WITHIN_S):
                await heard.news.wait()
            await idle()

            assert heard.texts == ["hello"]
            assert ours.receives <= FEW_CALLS


async def test_trap_03_a_send_that_wants_to_read_waits_for_bytes_and_does_not_spin() -> None:
    reactor, heard, (ours, theirs) = Reactor(), Heard(), a_pair_of_sockets()
    with theirs:
        async with running(reactor):
            ours.send_wants = 3  # at first, in the first pass, and once more when bytes come
            channel = a_channel(reactor, heard, ours)
            channel.send("hello")
            assert heard.delays
            assert not heard.flushes
            await idle()
            sends_while_nothing_came = ours.sends
            for _ in range(2):
                theirs.send(frame(TEXT, b"what TLS waits for"))
                with trio.fail_after(WITHIN_S):
                    await heard.news.wait()
                heard.news = trio.Event()
            with trio.fail_after(WITHIN_S):
                await trio.lowlevel.wait_readable(theirs)

            assert sends_while_nothing_came <= 2
            assert theirs.recv(100) == b"\x81\x05hello"
            assert ours.sends <= FEW_CALLS


async def test_trap_03_a_send_and_a_receive_may_want_at_once() -> None:
    reactor, heard, (ours, theirs) = Reactor(), Heard(), a_pair_of_sockets()
    with theirs:
        async with running(reactor):
            ours.send_wants, ours.recv_wants = 1, 1
            channel = a_channel(reactor, heard, ours)
            channel.send("hello")
            theirs.send(frame(TEXT, b"hello"))
            with trio.fail_after(WITHIN_S):
                await heard.news.wait()
                await trio.lowlevel.wait_readable(theirs)
            await idle()

            assert heard.texts == ["hello"]
            assert theirs.recv(100) == b"\x81\x05hello"
            assert ours.sends + ours.receives <= 2 * FEW_CALLS


class Murderer:
    """A member that gives up another and opens a connection at once, in whose place the kernel may put it."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.victim: tuple[socket.socket, Murderer] | None = None
        self.sock: socket.socket | None = None
        self.newcomer: Newcomer | None = None
        self.calls = 0

    def ready(self, events: int, now: float) -> bool:
        if events:
            self.calls += 1
            if self.victim is not None and self.newcomer is None:
                sock, other = self.victim
                other.victim = None
                self.reactor.give_up(sock)
                self.newcomer = Newcomer(self.reactor, sock.fileno())
            if self.sock is not None:
                self.sock.recv(100)
        return False

    def flush(self, now: float) -> None:
        pass

    def failed(self, error: Exception) -> None:
        pass

    def sweep(self, now: float) -> None:
        pass


class Newcomer:
    """A connection that comes within the batch in which another one goes."""

    def __init__(self, reactor: Reactor, gone: int) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.has_its_number = gone in (self.ours.fileno(), self.theirs.fileno())
        self.events: list[int] = []
        reactor.add(self.ours, self)

    def ready(self, events: int, now: float) -> bool:
        self.events.append(events)
        return False

    def flush(self, now: float) -> None:
        pass

    def failed(self, error: Exception) -> None:
        pass

    def sweep(self, now: float) -> None:
        pass


async def test_what_is_written_in_one_pass_leaves_in_one_piece_and_is_told_once() -> None:
    reactor, heard, (ours, theirs) = Reactor(), Heard(), a_pair_of_sockets()
    async with running(reactor):
        channel = a_channel(reactor, heard, ours)
        heard.on_text = channel.send
        theirs.send(b"".join(frame(TEXT, b"%d" % number) for number in range(5)))
        with trio.fail_after(WITHIN_S):
            while not heard.flushes:  # noqa: ASYNC110 - a flush has no event
                await trio.sleep(0.01)
        theirs.setblocking(True)

        assert theirs.recv(1000) == b"".join(frame(TEXT, b"%d" % number, key=None) for number in range(5))
        assert (ours.sends, len(heard.flushes)) == (1, 1)
        channel.abort()
    theirs.close()


async def test_a_message_of_a_server_goes_on_as_the_very_frame_in_which_it_came() -> None:
    reactor, heard, (ours, theirs) = Reactor(), Heard(), a_pair_of_sockets()
    whole = frame(TEXT, b"x" * 200, key=None)
    async with running(reactor):
        channel = Channel(handed(ours, is_client=True), reactor, heard, Side.SUPERVISION, OutputBudget(), 0.0)
        channel.start()
        theirs.send(whole)
        with trio.fail_after(WITHIN_S):
            await heard.news.wait()
        channel.abort()
    theirs.close()

    assert heard.frames == [whole]


async def test_trap_04_an_event_of_a_connection_that_went_in_its_batch_hits_no_newcomer() -> None:
    reactor = Reactor()
    first, second = Murderer(reactor), Murderer(reactor)
    pairs = [socket.socketpair() for _ in range(2)]
    (first.sock, _), (second.sock, _) = pairs
    first.victim, second.victim = (second.sock, second), (first.sock, first)
    async with running(reactor):
        for member, (ours, _) in zip((first, second), pairs, strict=True):
            reactor.add(ours, member)
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        for _, theirs in pairs:
            theirs.send(b"both at once")
        with trio.fail_after(WITHIN_S):
            while first.newcomer is None and second.newcomer is None:  # noqa: ASYNC110 - members have no events
                await trio.sleep(0.01)
        await trio.sleep(0.05)

        newcomer = first.newcomer or second.newcomer
        assert newcomer is not None
        assert not newcomer.has_its_number
        assert not any(newcomer.events)  # served once, as who is new, and never for the other's event
        assert first.calls + second.calls == 1
        assert [sock.fileno() for sock in (first.sock, second.sock)].count(-1) == 1  # closed, after the batch
    for sock in (*(each for pair in pairs for each in pair), newcomer.ours, newcomer.theirs):
        sock.close()


class Noting:
    """The owner of a pair that writes commands down."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.news = trio.Event()

    def carry_out(self, command: Command) -> None:
        self.commands.append(command)
        self.news.set()

    def overheard(self, call: Frame) -> None:
        pass

    def over(self) -> None:
        pass


async def test_trap_09_a_timeout_that_changes_while_a_call_waits_counts_at_once() -> None:
    reactor = Reactor()
    (station, its_peer), (supervision, far_peer) = a_pair_of_sockets(), a_pair_of_sockets()
    owner = Noting()
    link = Link(LinkSettings(message_timeout=600, forward_security_events=True, protocol="ocpp1.6"))
    pair = Pair(link, owner)
    with its_peer, far_peer:
        async with running(reactor):
            both = {Side.STATION: handed(station), Side.SUPERVISION: handed(supervision, is_client=True)}
            pair.join(both, {}, reactor, OutputBudget(), trio.current_time())
            its_peer.send(frame(TEXT, b'[2,"1","Heartbeat",{}]'))
            with trio.fail_after(WITHIN_S):
                await trio.lowlevel.wait_readable(far_peer)
            link.settings = LinkSettings(message_timeout=0.5, forward_security_events=True, protocol="ocpp1.6")
            with trio.fail_after(WITHIN_S):
                await owner.news.wait()
            pair.abort()

    assert [command.error for command in owner.commands if isinstance(command, Lost)] == ["message-timeout"]


async def test_who_sends_to_a_peer_that_is_gone_hears_it_once_and_gives_back_its_budget() -> None:
    reactor, heard, (ours, theirs), budget = Reactor(), Heard(), a_pair_of_sockets(), OutputBudget(most=1 << 20)
    async with running(reactor):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        channel = a_channel(reactor, heard, ours, budget)
        channel.send("x" * 500_000)
        assert heard.delays
        theirs.close()
        with trio.fail_after(WITHIN_S):
            await heard.news.wait()

    assert heard.ends == [(1006, "closed")]
    assert heard.errors == []
    assert budget.change(1 << 20)
    assert not budget.change(1)


class Overflowing(Heard):
    """An ear that counts how often it was told that its peer takes too little."""

    overflows = 0

    def overflowed(self, side: Side, now: float) -> None:
        self.overflows += 1


@pytest.mark.parametrize(("size", "budget", "expected"), [(900_000, 64 << 20, [0, 0]), (900_000, 1 << 20, [0, 1])])
async def test_r29_what_waits_for_slow_readers_counts_together(size: int, budget: int, expected: list[int]) -> None:
    reactor, shared, ears = Reactor(), OutputBudget(most=budget), [Overflowing(), Overflowing()]
    pairs = [a_pair_of_sockets() for _ in ears]
    async with running(reactor):
        for ear, (ours, _) in zip(ears, pairs, strict=True):
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            channel = a_channel(reactor, ear, ours, shared)
            channel.send("x" * size)
        for ear in ears:
            assert ear.channel is not None
            ear.channel.abort()

    assert [ear.overflows for ear in ears] == expected
    for _, theirs in pairs:
        theirs.close()
