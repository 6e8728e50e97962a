"""A relayed site for many short tests: one agent process and one supervision, in a thread of their own.

Tests talk to the agent over blocking sockets, and ask the supervision's thread what reached it.
"""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio
from pointsman_simulator.supervision import Connection, Supervision, open_supervision
from support.processes import agent_process
from support.sites import a_unique_config
from support.wsframes import CLOSE, PONG

UP_WITHIN_S: Final = 60.0
WITHIN_S: Final = 10.0
_END_OF_HEAD: Final = b"\r\n\r\n"


class RelayedSite:
    """Where the agent listens, and what the supervision gets."""

    def __init__(self, port: int, supervision: Supervision, token: trio.lowlevel.TrioToken) -> None:
        self._port = port
        self._supervision = supervision
        self._token = token

    @contextmanager
    def station(self, identity: str) -> Iterator["BlockingStation"]:
        """Connect a station that speaks OCPP 2.1; its handshake is done."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=WITHIN_S) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield BlockingStation(sock, identity)

    def uplink(self, identity: str) -> "Uplink":
        """Return the supervision's end of the connection of `identity`."""
        connection = trio.from_thread.run(self._supervision.wait_connected, identity, trio_token=self._token)
        return Uplink(connection, self._token)


class Uplink:
    """The supervision's end of one station's connection."""

    def __init__(self, connection: Connection, token: trio.lowlevel.TrioToken) -> None:
        self._connection = connection
        self._token = token

    @property
    def texts(self) -> list[str]:
        """What came, in order."""
        return self._connection.received.texts

    def wait_texts(self, count: int) -> None:
        """Wait until so many texts came; raises trio.TooSlowError."""
        received = self._connection.received

        async def wait() -> None:
            await received.wait_for(lambda _: len(received) >= count, WITHIN_S)

        if count:
            trio.from_thread.run(wait, trio_token=self._token)

    def wait_closed(self) -> int:
        """Return the close code that came, once the connection has ended; raises trio.TooSlowError."""
        return trio.from_thread.run(self._connection.wait_closed, WITHIN_S, trio_token=self._token).code


class BlockingStation:
    """A station on a plain blocking socket; what it sends is in the hands of the test."""

    def __init__(self, sock: socket.socket, identity: str) -> None:
        self._sock = sock
        self._unread = b""
        self._shake_hands(identity)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def read_to_close(self) -> tuple[list[bytes], int]:
        """Return the payloads of all pongs, and the code of the Close frame that followed them (1005: none in it).

        Raises EOFError, or ConnectionError, when the connection ends without one.
        """
        pongs = []
        while True:
            opcode, payload = self._frame()
            if opcode == PONG:
                pongs.append(payload)
            elif opcode == CLOSE:
                return pongs, int.from_bytes(payload[:2], "big") if payload else 1005

    def wait_end(self) -> None:
        """Wait until the other side has ended the connection; it says nothing more. Raises ConnectionResetError."""
        assert self._unread + self._sock.recv(65536) == b""

    def shut_down(self) -> None:
        """Say that nothing more will be sent, as a peer does that is done."""
        self._sock.shutdown(socket.SHUT_WR)

    def _shake_hands(self, identity: str) -> None:
        self.send(
            b"GET /ocpp/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.1\r\n\r\n" % identity.encode()
        )
        while _END_OF_HEAD not in self._unread:
            self._receive()
        head, _, self._unread = self._unread.partition(_END_OF_HEAD)
        assert head.startswith(b"HTTP/1.1 101"), head

    def _frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; a server's is not masked."""
        length, start = self._more(2)[1], 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(self._more(start)[2:start], "big")
        whole = self._more(start + length)[: start + length]
        self._unread = self._unread[start + length :]
        return whole[0] & 0x0F, whole[start:]

    def _more(self, wanted: int) -> bytes:
        while len(self._unread) < wanted:
            self._receive()
        return self._unread

    def _receive(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise EOFError(f"the connection ended without a Close frame, behind {self._unread!r}")
        self._unread += data


@contextmanager
def relayed_site(folder: Path, *identities: str) -> Iterator[RelayedSite]:
    """Run agent and supervision until the block ends; the agent must end well by SIGTERM."""
    up: queue.Queue[tuple[int, Supervision, trio.lowlevel.TrioToken, Callable[[], None]]] = queue.Queue()
    failures: list[BaseException] = []

    async def serve() -> None:
        stop = trio.Event()
        async with (
            open_supervision() as supervision,
            agent_process(folder, a_unique_config(supervision.url, *identities)) as agent,
        ):
            up.put((agent.port, supervision, trio.lowlevel.current_trio_token(), stop.set))
            await stop.wait()

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:  # told to the tests' thread, which raises it
            failures.append(error)

    thread = threading.Thread(target=run, name="relayed site")
    thread.start()
    try:
        port, supervision, token, stop = up.get(timeout=UP_WITHIN_S)
        yield RelayedSite(port, supervision, token)
        token.run_sync_soon(stop)
    finally:
        thread.join(UP_WITHIN_S)
    if failures:
        raise failures[0]
