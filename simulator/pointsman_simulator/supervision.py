"""An operator's system on a real socket: accepts stations, answers them, records every text, fails on demand.

A station is whoever connects: the last segment of the path is its identity. The newest connection of an identity is
the one in `connections`; the end of an older one does not take the newer one out.
"""

import base64
import binascii
import hmac
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

import trio

from pointsman_simulator.answers import OperatorAnswers
from pointsman_simulator.background import background
from pointsman_simulator.clock import Clock, utc_now
from pointsman_simulator.errors import HandshakeFailed, LinkClosed, UnknownStation
from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.handshakes import Handshake, accepted
from pointsman_simulator.peer import ANSWER_WITHIN_S, Answer, Closed, Peer
from pointsman_simulator.sockets import SocketLink
from pointsman_simulator.transcript import SEEN_WITHIN_S, Recorded, Transcript

Fail = Literal["mute", "refuse", "slow", "close", "no-subprotocol"]
FAILS: tuple[Fail, ...] = get_args(Fail)
PREFERRED = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")
REFUSE_WITH = 503
SLOW_S = 5.0  # above no default of the agent (30 s): late, not lost

Passwords = str | bytes | Mapping[str, str | bytes]
"""One for all stations, or by identity."""

Direction = Literal["received", "sent"]


def last_segment(path: str) -> str:
    """Return the last segment of a request's path, percent-decoded once (OCPP-J 1.6 section 3.1.1)."""
    return unquote(path.partition("?")[0].rstrip("/").rpartition("/")[2])


class Connection(Peer):
    """A station's live connection; `path` and `headers` are those of its handshake."""

    def __init__(self, link: SocketLink, station: str, handshake: Handshake, clock: Clock) -> None:
        super().__init__(link, station, clock=clock, answerer=None)
        self.station = station
        self.path = handshake.path
        self.offered = handshake.protocols
        self.headers = handshake.headers


@dataclass(slots=True)
class Behaviour:
    """How a supervision behaves; everything in here may be changed while it runs."""

    fail: Fail | None = None
    password: Passwords | None = None
    protocols: Sequence[str] = PREFERRED
    stations: Collection[str] | None = None
    refuse_with: int = REFUSE_WITH
    slow_s: float = SLOW_S
    identity_of: Callable[[str], str] = last_segment


class Supervision:
    """A running supervision. `received` and `sent` hold the texts of all its links, in order."""

    def __init__(self, url: str, behaviour: Behaviour, answers: OperatorAnswers, clock: Clock) -> None:
        self.url = url
        self.behaviour = behaviour
        self.answers = answers
        self.received = Transcript()
        self.sent = Transcript()
        self.faults: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self.connections: dict[str, Connection] = {}
        self.past_connections: list[Connection] = []
        self.on_text: Callable[[Direction, Recorded], None] | None = None
        self._clock = clock
        self._changed = trio.Event()

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return urlsplit(self.url).port or 0

    @property
    def mute(self) -> bool:
        """Whether calls are left without an answer; may be set at any time."""
        return self.behaviour.fail == "mute"

    @mute.setter
    def mute(self, is_mute: bool) -> None:
        self.behaviour.fail = "mute" if is_mute else None

    def url_of(self, station: str) -> str:
        """Return the URL at which `station` would connect without an agent in between."""
        return f"{self.url}/{station}"

    async def wait_for(self, predicate: Callable[[Recorded], bool], within_s: float = SEEN_WITHIN_S) -> Recorded:
        """Return the first received text that fits, past or to come; raises trio.TooSlowError after `within_s`."""
        return await self.received.wait_for(predicate, within_s)

    async def wait_connected(self, station: str, within_s: float = SEEN_WITHIN_S) -> Connection:
        """Return the live connection of `station`, once there is one; raises trio.TooSlowError after `within_s`."""
        with trio.fail_after(within_s):
            while station not in self.connections:
                await self._changed.wait()
        return self.connections[station]

    async def call(self, station: str, action: str, payload: Payload, within_s: float = ANSWER_WITHIN_S) -> Answer:
        """Send a CALL to `station` and return its answer; raises UnknownStation, NoAnswer or LinkClosed."""
        return await self.connection(station).call(action, payload, within_s)

    async def send_text(self, station: str, text: str) -> None:
        """Send `text` to `station` as it is; raises UnknownStation or LinkClosed."""
        await self.connection(station).send_text(text)

    async def close_station(self, station: str, code: int = 1000, reason: str | None = None) -> Closed:
        """Close the link of `station`; raises UnknownStation."""
        return await self.connection(station).close(code, reason)

    async def drop_station(self, station: str) -> None:
        """Give the connection of `station` up without a Close frame; raises UnknownStation."""
        await self.connection(station).drop()

    def connection(self, station: str) -> Connection:
        """Return the live connection of `station`; raises UnknownStation."""
        connection = self.connections.get(station)
        if connection is None:
            raise UnknownStation(f"{station!r} is not connected to {self.url}")
        return connection

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one TCP connection to its end; what the client does wrong ends it and nothing else."""
        try:
            async with accepted(stream) as handshake:
                await self._serve_handshake(handshake)
        except (HandshakeFailed, LinkClosed) as error:
            self.faults.append(f"a connection ended: {error}")

    async def _serve_handshake(self, handshake: Handshake) -> None:
        station = self.behaviour.identity_of(handshake.path)
        status = self._refusal(station, handshake)
        if status is not None:
            self.refused.append((station, status))
            challenge = [("WWW-Authenticate", 'Basic realm="ocpp"')] if status == 401 else []
            await handshake.reject(status, challenge)
            return
        protocol = self._choose(handshake.protocols)
        link = await handshake.accept(protocol)
        if protocol is None:
            await link.close(1002, "no common subprotocol")  # OCPP-J 1.6 section 3.2
            return
        await self._serve_station(Connection(link, station, handshake, self._clock))

    def _refusal(self, station: str, handshake: Handshake) -> int | None:
        """Return the HTTP status to refuse with, or None."""
        if self.behaviour.fail == "refuse":
            return self.behaviour.refuse_with
        known = self.behaviour.stations
        if not station or (known is not None and station not in known):
            return 404
        if not _is_authentic(self.behaviour.password, station, handshake.header("authorization")):
            return 401
        return None

    def _choose(self, offered: Sequence[str]) -> str | None:
        if self.behaviour.fail == "no-subprotocol":
            return None
        return next((protocol for protocol in self.behaviour.protocols if protocol in offered), None)

    async def _serve_station(self, connection: Connection) -> None:
        connection.answerer = partial(self._answer, connection)
        connection.received.on_add = partial(self._record, "received", self.received)
        connection.sent.on_add = partial(self._record, "sent", self.sent)
        connection.faults = self.faults  # one list, whoever made the fault
        self.connections[connection.station] = connection
        self._note_change()
        try:
            await connection.run()
        finally:
            if self.connections.get(connection.station) is connection:
                del self.connections[connection.station]
            self.past_connections.append(connection)
            self._note_change()

    async def _answer(self, connection: Connection, call: Call) -> CallResult | CallError | None:
        match self.behaviour.fail:
            case "mute":
                return None
            case "slow":
                await trio.sleep(self.behaviour.slow_s)
            case "close":
                await connection.close(1011, "told to fail")
                return None
        assert connection.protocol is not None
        return self.answers.answer(connection.protocol, call, self._clock())

    def _record(self, direction: Direction, transcript: Transcript, entry: Recorded) -> None:
        transcript.add(entry)
        if self.on_text is not None:
            self.on_text(direction, entry)

    def _note_change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


@asynccontextmanager
async def open_supervision(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    fail: Fail | None = None,
    password: Passwords | None = None,
    protocols: Sequence[str] = PREFERRED,
    stations: Collection[str] | None = None,
    rejected_badges: Collection[str] = (),
    refuse_with: int = REFUSE_WITH,
    slow_s: float = SLOW_S,
    clock: Clock = utc_now,
) -> AsyncIterator[Supervision]:
    """Listen and serve stations while the block runs; port 0 takes a free one, which `Supervision.url` names.

    `protocols` in order of preference; `stations` restricts the identities (others get 404); `password` demands HTTP
    Basic; `fail` and all else of `Behaviour` can be changed on `Supervision.behaviour` at run time.
    Raises OSError when the address cannot be had.
    """
    behaviour = Behaviour(fail, password, protocols, stations, refuse_with, slow_s)
    tcp_listeners = await trio.open_tcp_listeners(port, host=host)
    scheme = "ws" if ssl_context is None else "wss"
    shown_host = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown_host}:{tcp_listeners[0].socket.getsockname()[1]}/ocpp"
    supervision = Supervision(url, behaviour, OperatorAnswers(rejected_badges), clock)
    async with background() as nursery:
        if ssl_context is None:
            await nursery.start(trio.serve_listeners, supervision.serve, tcp_listeners)
        else:
            listeners = [trio.SSLListener(each, ssl_context, https_compatible=True) for each in tcp_listeners]
            await nursery.start(trio.serve_listeners, supervision.serve, listeners)
        yield supervision


def _is_authentic(passwords: Passwords | None, station: str, header: str | None) -> bool:
    if passwords is None:
        return True
    expected = passwords.get(station) if isinstance(passwords, Mapping) else passwords
    if expected is None or header is None:
        return False
    scheme, _, token = header.partition(" ")
    try:
        user, _, given = base64.b64decode(token, validate=True).partition(b":")
    except binascii.Error:
        return False
    raw = expected.encode() if isinstance(expected, str) else expected
    return scheme.lower() == "basic" and user == station.encode() and hmac.compare_digest(given, raw)
