"""A relayed station between two raw peers, both legs plain or both under TLS."""

import functools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
import trustme
from pointsman_schema.bundle import KeyPair
from support.agents import RunningAgent, running_agent
from support.rawpeers import RawPeer, RawTransport, opening_request
from support.sites import LISTENER, a_listener, a_unique_config, free_port

HANDSHAKE_WITHIN_S: Final = 10.0


@functools.cache
def certificates() -> "Certificates":
    """Return one authority and what it issued; making keys takes a while."""
    return Certificates()


class Certificates:
    """An authority that both legs trust, and a certificate for loopback."""

    def __init__(self) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        self.root = authority.cert_pem.bytes().decode()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems).decode()
        self.pair = KeyPair(chain=chain, key="listener-key")
        self.secrets = {"listener-key": issued.private_key_pem.bytes()}


class Legs:
    """A running agent, the way to it for raw stations, and the supervision's ends as they come."""

    def __init__(
        self, agent: RunningAgent, uplinks: "trio.MemoryReceiveChannel[RawPeer]", uplink_port: int, *, is_tls: bool
    ) -> None:
        self.agent = agent
        self.uplink_port = uplink_port
        self._uplinks = uplinks
        self._is_tls = is_tls

    @asynccontextmanager
    async def connection(self, *, buffer: int | None = None) -> AsyncIterator[RawPeer]:
        """Connect to the agent, TLS handshake done; `buffer` bounds what the kernel takes before we read."""
        stream = await self._open(buffer)
        try:
            yield RawPeer(stream, is_client=True)
        finally:
            await trio.aclose_forcefully(stream)

    @asynccontextmanager
    async def joined(
        self, identity: str = "CP-1", *, buffer: int | None = None
    ) -> AsyncIterator[tuple[RawPeer, RawPeer]]:
        """Connect a station; yields its end and the supervision's, both handshakes done."""
        async with self.connection(buffer=buffer) as station:
            await station.send(opening_request(identity, "ocpp2.1"))
            uplink = await self.uplink()
            await uplink.send(uplink.switching_protocols("ocpp2.1"))
            head = await station.read_head()
            assert head.startswith(b"HTTP/1.1 101"), head
            yield station, uplink

    async def uplink(self) -> RawPeer:
        """Return the supervision's end of the next connection, its opening request read and not answered."""
        with trio.fail_after(HANDSHAKE_WITHIN_S):
            while True:
                peer = await self._uplinks.receive()
                try:
                    await peer.read_head()
                except (trio.BrokenResourceError, EOFError):
                    continue  # the agent's own probe, which connects and says nothing
                return peer

    async def _open(self, buffer: int | None) -> RawTransport:
        with trio.fail_after(HANDSHAKE_WITHIN_S):
            sock = trio.socket.socket()
            if buffer is not None:
                sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, buffer)
            await sock.connect(("127.0.0.1", self.agent.port))
            stream = trio.SocketStream(sock)
            if not self._is_tls:
                return stream
            secured = trio.SSLStream(stream, certificates().client, server_hostname="localhost", https_compatible=True)
            await secured.do_handshake()
            return secured


@asynccontextmanager
async def raw_legs(
    folder: Path,
    *identities: str,
    is_tls: bool,
    uplink_buffer: int | None = None,
    **supervision: Any,
) -> AsyncIterator[Legs]:
    """Run an agent whose stations speak OCPP 2.1 to a supervision that is in the hands of the test."""
    send, receive = trio.open_memory_channel[RawPeer](1000)
    over = trio.Event()
    async with (
        _listening(send, over, is_tls=is_tls, buffer=uplink_buffer) as uplink_port,
        _agent(folder, uplink_port, identities, is_tls, supervision) as agent,
    ):
        try:
            yield Legs(agent, receive, uplink_port, is_tls=is_tls)
        finally:
            over.set()


@asynccontextmanager
async def _agent(
    folder: Path, uplink_port: int, identities: tuple[str, ...], is_tls: bool, supervision: dict[str, Any]
) -> AsyncIterator[RunningAgent]:
    scheme, port = "wss" if is_tls else "ws", free_port()
    listener = a_listener(port)
    trust: list[str] | None = None
    secrets: dict[str, bytes] = {}
    if is_tls:
        listener = a_listener(port, security_profile=2, certificate=certificates().pair)
        trust, secrets = [certificates().root], certificates().secrets
    config = a_unique_config(f"{scheme}://localhost:{uplink_port}/ocpp", *identities, trust=trust, **supervision)
    config = msgspec.structs.replace(config, listeners={LISTENER: listener})
    async with running_agent(folder, config, port=port, secrets=secrets) as agent:
        yield agent


@asynccontextmanager
async def _listening(
    send: "trio.MemorySendChannel[RawPeer]", over: trio.Event, *, is_tls: bool, buffer: int | None
) -> AsyncIterator[int]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    if buffer is not None:  # inherited by what is accepted
        listeners[0].socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, buffer)

    async def hand_out(stream: trio.SocketStream) -> None:
        transport: RawTransport = stream
        if is_tls:
            transport = trio.SSLStream(stream, certificates().server, server_side=True, https_compatible=True)
        try:
            send.send_nowait(RawPeer(transport, is_client=False))
            await over.wait()
        finally:
            await trio.aclose_forcefully(transport)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hand_out, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
