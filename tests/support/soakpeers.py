"""Stations and their supervisions in one process: `python -m support.soakpeers`, told by lines of JSON what to do.

They come and go at random, read slowly, send garbage, vanish; both ends of every link are here, so each text that
arrives is held against the one that was sent. The first line on standard input says with which certificates to listen;
the answer is the ports. The second says where the agent is, and begins. A third asks for the end: what is under way has
to arrive, all links close, and the counts are printed.
"""

import json
import random
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

import trio
from support.soakledger import Direction, Ledger, Link
from support.soaklegs import BROKEN, Leg, Refused, Stream, station_leg, uplink_leg
from support.wsframes import PING, TEXT, frame

PLANS: Final = {  # how links end, and how often
    "station closes": 40,
    "supervision closes": 25,
    "station vanishes": 8,
    "supervision vanishes": 8,
    "station reads slowly": 5,
    "supervision reads slowly": 5,
    "station never reads": 1,
    "garbage frames": 4,
    "garbage texts": 4,
}
LIFE_S: Final = (8.0, 60.0)
PAUSE_S: Final = (3.0, 12.0)  # between two bursts of a side
STALL_S: Final = (2.0, 6.0)  # for which a slow peer reads nothing
SIZES: Final = [30] * 70 + [300] * 25 + [4_000] * 4 + [60_000]
MOST_UNDER_WAY_BYTES: Final = 200_000  # of one direction; over 1 MiB the agent ends the link
CONNECTING_AT_ONCE: Final = 24
RETRY_S: Final = (0.5, 2.0)
ENDS_WITHIN_S: Final = 30.0
ARRIVES_WITHIN_S: Final = 30.0  # what is under way at the end
SMALL_BUFFER: Final = 16 * 1024
POURED_BYTES: Final = 8_000_000  # on a station that never reads: more than the agent and the kernel hold
JUNK_EVERY_S: Final = 0.5
GARBAGE_FRAMES: Final = (
    frame(TEXT, b"x", reserved=4),
    frame(0x3, b"x"),
    frame(TEXT, b"\xff\xfe"),
    b"\x81\xff" + (1 << 40).to_bytes(8, "big"),
    frame(PING, b"x" * 126),
    frame(TEXT, b"x", key=None),
)
GARBAGE_TEXTS: Final = (b"{", b"[" * 1000, b"null", b'[2,"1"', b"", b'[9,"1",{}]', b'[3,"of-nobody",{}]')
JUNK: Final = (b"", b"GET /ocpp/S-0 HTT", bytes(range(256)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


class Peers:
    """All links of this process."""

    def __init__(self, identities: dict[str, int], contexts: "Contexts", ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.live: dict[str, tuple[Link, Leg]] = {}
        self._identities = identities
        self._contexts = contexts
        self._random = random.Random(seed)
        self._connecting = trio.CapacityLimiter(CONNECTING_AT_ONCE)
        self._parting = trio.Event()

    async def play(self, identity: str) -> None:
        """Be one station: connect, live, end, come again."""
        port = self._identities[identity]
        context = self._contexts.station if identity.startswith("T") else None
        for number in range(1_000_000):
            if self._parting.is_set():
                return
            plan = self._random.choices(list(PLANS), list(PLANS.values()))[0]
            link = Link(f"{identity}/{number}", plan, self.ledger)
            buffer = SMALL_BUFFER if plan in ("station never reads", "station reads slowly") else None
            try:
                async with self._connecting:
                    leg = await station_leg(port, identity, context, buffer)
            except (Refused, OSError, trio.TooSlowError):
                self.ledger.refused += 1
                await trio.sleep(self._random.uniform(*RETRY_S))
                continue
            self.ledger.links += 1
            await self._live(link, leg)

    async def accept(self, stream: Stream) -> None:
        """Be the supervision's end of one link: its first text says whose."""
        try:
            leg = await uplink_leg(stream)
            async with aclosing(leg.texts()) as texts:
                first = await anext(texts, None)
                if first is not None:
                    await self._supervise(self.live[name_of(first)][0], leg, first, texts)
        except (Refused, trio.TooSlowError):
            pass  # the agent's probe
        finally:
            await trio.aclose_forcefully(stream)

    async def _supervise(self, link: Link, leg: Leg, first: bytes, texts: AsyncIterator[bytes]) -> None:
        link.arrived(link.up, first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._talk, link, leg, link.down)
            if link.plan.startswith("supervision"):
                nursery.start_soon(self._end, link, leg)
            if link.plan == "station never reads":
                nursery.start_soon(self._pour, link, leg)
            async for text in texts:
                await self._take(link, link.up, text, leg, link.down)
            nursery.cancel_scope.cancel()
        link.ended_by = link.ended_by or f"the supervision's end {leg.end}"
        link.uplink_over.set()

    async def junk(self, port: int) -> None:
        """Connections that are no stations."""
        while not self._parting.is_set():
            with suppress(OSError, *BROKEN), trio.move_on_after(JUNK_EVERY_S):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(self._random.choice(JUNK))
                    await stream.receive_some()
            await trio.sleep(self._random.uniform(0, JUNK_EVERY_S))

    async def part(self) -> None:
        """Let arrive what is under way, end all links in order."""
        self._parting.set()
        with trio.move_on_after(ARRIVES_WITHIN_S):
            while any(link.up or link.down for link, _ in self.live.values() if not link.is_ending):  # noqa: ASYNC110
                await trio.sleep(0.1)
        for link, leg in list(self.live.values()):
            leg.reading.set()
            if not link.is_ending:
                link.is_ending = True
                link.complete = [link.up, link.down]
                with suppress(*BROKEN):
                    await leg.close(1000)

    async def _live(self, link: Link, leg: Leg) -> None:
        self.live[link.name] = (link, leg)
        try:
            with suppress(*BROKEN):
                await leg.send(b'[6,"%s/first","A",{}]' % link.name.encode(), link.up)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._talk, link, leg, link.up)
                if not link.plan.startswith("supervision"):
                    nursery.start_soon(self._end, link, leg)
                async for text in leg.texts():
                    await self._take(link, link.down, text, leg, link.up)
                nursery.cancel_scope.cancel()
            link.ended_by = link.ended_by or f"the station's end {leg.end}"
            link.station_over.set()
            with trio.move_on_after(ENDS_WITHIN_S) as waited:
                await link.uplink_over.wait()
            if waited.cancelled_caught:
                self.ledger.fault(f"{link.name} ({link.plan}): its uplink did not end")
            link.judge()
        finally:
            del self.live[link.name]
            await trio.aclose_forcefully(leg.stream)

    async def _take(self, link: Link, direction: Direction, text: bytes, leg: Leg, back: Direction) -> None:
        """Check what came, and answer a CALL."""
        link.arrived(direction, text)
        if text.startswith(b"[3,"):
            back.has_call = False
        elif text.startswith(b"[2,"):
            with suppress(*BROKEN):
                await leg.send(b'[3,"%s",{"x":"%s"}]' % (text.split(b'"', 2)[1], self._filler()), back)

    async def _talk(self, link: Link, leg: Leg, direction: Direction) -> None:
        """Say something now and then: SENDs, and one CALL in a burst, whose answer keeps its place in the row."""
        side = "s" if direction is link.up else "o"
        count = 0
        with suppress(*BROKEN):
            while True:
                for kind in self._random.choices((6, 6, 2), k=self._random.randint(1, 3)):
                    is_free = direction.bytes_under_way < MOST_UNDER_WAY_BYTES and not self._parting.is_set()
                    if is_free and not (kind == 2 and direction.has_call):
                        action = b"NotifyPeriodicEventStream" if kind == 6 else b"Heartbeat"
                        name = f"{link.name}/{side}{count}".encode()
                        direction.has_call |= kind == 2
                        await leg.send(b'[%d,"%s","%s",{"x":"%s"}]' % (kind, name, action, self._filler()), direction)
                        count += 1
                if link.plan == "garbage texts":
                    await leg.send(self._random.choice(GARBAGE_TEXTS), None)
                await trio.sleep(self._random.uniform(*PAUSE_S))

    async def _end(self, link: Link, leg: Leg) -> None:
        """Carry out the plan."""
        mine = link.up if not link.plan.startswith("supervision") else link.down
        if link.plan == "station never reads":
            leg.reading = trio.Event()
        if link.plan.endswith("reads slowly"):
            for _ in range(self._random.randint(1, 4)):
                await trio.sleep(self._random.uniform(*STALL_S))
                leg.reading = trio.Event()
                await trio.sleep(self._random.uniform(*STALL_S))
                leg.reading.set()
        await trio.sleep(self._random.uniform(*LIFE_S))
        leg.reading.set()
        if link.is_ending:  # poured upon, and still here: on a slow machine it may read again before it is too much
            with suppress(*BROKEN):
                await leg.close(1000)
            return
        link.is_ending = True
        with suppress(*BROKEN):
            if link.plan.endswith("vanishes"):
                await leg.vanish()
            else:
                link.complete = [mine]
                raw = self._random.choice(GARBAGE_FRAMES) if link.plan == "garbage frames" else b""
                await leg.close(1000, raw)

    async def _pour(self, link: Link, leg: Leg) -> None:
        """Send more than anybody holds to a station that never reads: the agent has to end it."""
        link.is_ending = True
        with suppress(*BROKEN):
            for number in range(POURED_BYTES // 100_000):
                await leg.send(b'[6,"%s/p%d","A",{"x":"%s"}]' % (link.name.encode(), number, b"x" * 100_000), link.down)
                await trio.sleep(0.02)

    def _filler(self) -> bytes:
        return self._random.randbytes(self._random.choice(SIZES) // 2).hex().encode()


def name_of(text: bytes) -> str:
    """Return which link a text belongs to."""
    return text.split(b'"', 2)[1].rpartition(b"/")[0].decode()


class Contexts:
    """TLS of stations and of supervisions."""

    def __init__(self, folder: str) -> None:
        self.station = ssl.create_default_context(cafile=f"{folder}/ca.pem")
        self.supervision = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.supervision.load_cert_chain(f"{folder}/supervision.pem")


async def _serve(listener: socket.socket, context: ssl.SSLContext | None, accept: Any) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        if context is None:
            await accept(stream)
        else:
            await accept(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    await trio.serve_listeners(handle, [trio.SocketListener(trio.socket.from_stdlib_socket(listener))])


async def _run(sockets: list[socket.socket], contexts: Contexts, told: dict[str, Any]) -> None:
    ledger = Ledger()
    peers = Peers(told["identities"], contexts, ledger, told["seed"])
    async with trio.open_nursery() as nursery:
        for sock, context in zip(sockets, (None, contexts.supervision), strict=True):
            nursery.start_soon(_serve, sock, context, peers.accept)
        async with trio.open_nursery() as stations:
            for identity in told["identities"]:
                stations.start_soon(peers.play, identity)
            stations.start_soon(peers.junk, told["port"])
            while line := await trio.to_thread.run_sync(sys.stdin.readline):
                if line.strip() == "stop":
                    break
                print(ledger.line(len(peers.live)), flush=True)
            await peers.part()
        nursery.cancel_scope.cancel()
    print(ledger.line(len(peers.live)), flush=True)


def main() -> None:
    """Listen, tell where, begin, report when asked, end when told."""
    contexts = Contexts(json.loads(sys.stdin.readline())["certificates"])
    sockets = []
    for _ in range(2):
        sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
        sock.setblocking(False)
        sockets.append(sock)
    print(json.dumps([sock.getsockname()[1] for sock in sockets]), flush=True)
    told = json.loads(sys.stdin.readline())
    trio.run(partial(_run, sockets, contexts, told))


if __name__ == "__main__":
    main()
