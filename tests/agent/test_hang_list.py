"""Where trio-websocket hangs or leaks, against peers that behave so on purpose: one test or more a trap.

The peers are plain TCP, so that they can do what no library would. Descriptors are counted in this process, which
holds both ends: what a test keeps open itself is known, so what is more than that is a leak of the agent.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from pointsman_agent import station as agent_station
from pointsman_agent.ocpp.events import Command
from pointsman_agent.ocpp.link import Link
from pointsman_agent.plane.driver import Plane
from pointsman_agent.relay import RelayCase
from pointsman_agent.streams import OwnedStream
from pointsman_agent.wire import StreamWire
from pointsman_simulator.errors import HandshakeRefused
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.cables import open_cable
from support.rawpeers import (
    CLOSE,
    COMPRESSED_TEXT,
    PING,
    PONG,
    TEXT,
    RawPeer,
    close_code,
    header,
    hold,
    opening_request,
    part,
    raw_connection,
    raw_station,
    raw_supervision,
)
from support.sites import a_config, a_station, a_unique_config

pytestmark = pytest.mark.usefixtures("bugs")

HEARTBEAT = b'[2,"1","Heartbeat",{}]'
ENDED_WITHIN_S = 8.0  # a close handshake of 2 s, draining of 2 s, and the other leg's after it
MANY = 12


def connections(agent: RunningAgent) -> int:
    """Return how many ends of TCP connections this process holds, be they dead; those of the admin interface apart."""
    admin = urlsplit(agent.access.url).port
    return sum(1 for sock in tcp_sockets() if admin not in (sock.getsockname()[1], peer_port(sock)))


def tcp_sockets() -> Iterator[socket.socket]:
    """Yield every TCP socket of this process that does not listen, as a duplicate that is closed afterwards."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed meanwhile
        with sock:
            is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
            if is_tcp and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield sock


def peer_port(sock: socket.socket) -> int | None:
    """Return the port at the other end; None when that has gone."""
    try:
        port: int = sock.getpeername()[1]
    except OSError:
        return None
    return port


async def connections_fall_to(wanted: int, agent: RunningAgent) -> None:
    """Wait until so many ends of connections are left, which is what the test itself holds."""
    with trio.move_on_after(ENDED_WITHIN_S):
        while connections(agent) > wanted:  # noqa: ASYNC110 - descriptors tell nobody when they close
            await trio.sleep(0.01)
    assert connections(agent) == wanted


async def refused(agent: RunningAgent, identity: str = "CP-1") -> int:
    """Return the HTTP status with which a station is refused."""
    with pytest.raises(HandshakeRefused) as error:
        async with connect_station(agent.url(identity)):
            pass
    return error.value.status


async def last_error(agent: RunningAgent, identity: str = "CP-1") -> str:
    """Return the reason class of a station's last error."""
    error: str = (await agent.station(identity))["lastError"]["class"]
    return error


async def test_trap_01_a_supervision_that_accepts_tcp_and_stays_mute_costs_its_connect_timeout(tmp_path: Path) -> None:
    async with (
        raw_supervision(hold) as url,
        running_agent(tmp_path, a_unique_config(url, connect_timeout=1)) as agent,
    ):
        began = trio.current_time()
        status = await refused(agent)

        assert status == 504
        assert trio.current_time() - began <= 1 + 2
        assert await last_error(agent) == "handshake-timeout"


async def test_trap_01_a_station_that_connects_and_stays_mute_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_station, "HANDSHAKE_WITHIN_S", 0.5)
    async with running_agent(tmp_path, a_config()) as agent, raw_connection(agent.port) as mute:
        await mute.wait_end(ENDED_WITHIN_S)


async def test_trap_01_a_station_that_dribbles_its_request_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_station, "HANDSHAKE_WITHIN_S", 0.5)
    async with (
        running_agent(tmp_path, a_config()) as agent,
        raw_connection(agent.port) as dribbling,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(dribble, dribbling)
        await dribbling.wait_end(ENDED_WITHIN_S)
        nursery.cancel_scope.cancel()


async def dribble(peer: RawPeer) -> None:
    """Send a request, one byte at a time and far too slowly."""
    with contextlib.suppress(trio.BrokenResourceError):
        for byte in opening_request("LOC-01"):
            await peer.send(bytes([byte]))
            await trio.sleep(0.1)  # the dribble itself; the whole would take 20 s


async def test_trap_01_a_supervision_that_sends_close_and_keeps_tcp_open_ends_the_link(tmp_path: Path) -> None:
    async def close_only(peer: RawPeer) -> None:
        await peer.answer_handshake()
        await peer.send_frame(CLOSE, (3001).to_bytes(2, "big") + b"bye")
        await hold(peer)

    async with (
        raw_supervision(close_only) as url,
        running_agent(tmp_path, a_unique_config(url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        closed = await station.wait_closed(ENDED_WITHIN_S)
        await agent.wait_status(lambda status: status["supervisions"][0]["stationsUp"] == 0, ENDED_WITHIN_S)

        assert (closed.code, closed.reason) == (3001, "bye")


async def test_trap_01_a_station_that_sends_close_and_keeps_tcp_open_gives_its_descriptor_back(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        raw_station(agent.port) as station,
    ):
        await station.send_frame(CLOSE, (1000).to_bytes(2, "big"))

        await connections_fall_to(1, agent)  # the station's own end


async def test_trap_02_pings_to_a_supervision_that_crashed_do_not_hang(tmp_path: Path) -> None:
    async def crash(peer: RawPeer) -> None:
        await peer.answer_handshake()
        await peer.receive(PING)
        await peer.reset()

    async with (
        raw_supervision(crash) as url,
        running_agent(tmp_path, a_unique_config(url, ping_interval=1, message_timeout=1)) as agent,
    ):
        async with connect_station(agent.url("CP-1")) as station:
            closed = await station.wait_closed(1 + ENDED_WITHIN_S)

        assert closed.code == 1001
        await connections_fall_to(0, agent)


async def test_trap_02_pings_to_a_supervision_that_takes_no_byte_do_not_hang(tmp_path: Path) -> None:
    async def read_nothing(peer: RawPeer) -> None:
        await peer.answer_handshake("ocpp2.1")
        await trio.sleep_forever()

    async with (
        raw_supervision(read_nothing) as url,
        running_agent(tmp_path, a_unique_config(url, ping_interval=1, message_timeout=1)) as agent,
        raw_station(agent.port, protocol="ocpp2.1") as station,
    ):
        began = trio.current_time()
        with contextlib.suppress(trio.BrokenResourceError):  # the agent may have ended the link before the last
            for _ in range(64):  # SEND waits for nothing, so they fill the socket to the supervision
                await station.send_frame(TEXT, b'[6,"1","NotifyPeriodicEventStream",{"x":"%s"}]' % (b"x" * 200_000))
        await station.wait_end(20)

        assert trio.current_time() - began <= 1 + 1 + ENDED_WITHIN_S
        await agent.wait_status(lambda status: not status["stations"][0]["connected"], ENDED_WITHIN_S)
        assert await last_error(agent) in ("slow", "ping")


async def test_trap_03_stations_that_are_refused_and_stay_leave_no_descriptors_behind(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        strangers = [await trio.open_tcp_stream("127.0.0.1", agent.port) for _ in range(MANY)]
        for stranger in strangers:
            await stranger.send_all(opening_request("STRANGER"))
        answers = [await RawPeer(stranger, is_client=True).read_head() for stranger in strangers]

        await connections_fall_to(MANY, agent)
        assert {answer.split(b" ")[1] for answer in answers} == {b"404"}
        for stranger in strangers:
            await stranger.aclose()


async def test_trap_03_a_message_over_the_limit_is_1009_and_leaves_no_descriptors_behind(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        raw_station(agent.port) as station,
    ):
        await station.send_frame(TEXT, b"x" * (1024 * 1024 + 1))
        code = close_code(await station.receive(CLOSE))

        assert code == 1009
        await connections_fall_to(1, agent)  # the station's own end
        assert await last_error(agent) == "size"


async def test_trap_03_supervisions_that_refuse_and_keep_tcp_open_leave_no_descriptors_behind(tmp_path: Path) -> None:
    async def refuse(peer: RawPeer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep_forever()

    identities = [f"CP-{number}" for number in range(MANY)]
    async with raw_supervision(refuse) as url, running_agent(tmp_path, a_unique_config(url, *identities)) as agent:
        statuses = [await refused(agent, identity) for identity in identities]

        assert set(statuses) == {502}
        await connections_fall_to(MANY, agent)  # the supervision's own ends


async def test_trap_04_an_error_of_ours_in_one_station_never_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    bugs.append("station dropped")
    take = Plane.take

    def fail_for_one(plane: Plane, case: RelayCase, station: StreamWire, supervision: StreamWire) -> None:
        if case.route.identity == "CP-1":
            raise ZeroDivisionError("a bug")
        take(plane, case, station, supervision)

    monkeypatch.setattr(Plane, "take", fail_for_one)
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-2")) as other,
    ):
        async with raw_station(agent.port, "CP-1") as failing:
            await failing.wait_end(ENDED_WITHIN_S)

        assert (await run_session(other)).completed
        async with connect_station(agent.url("CP-1")) as again:
            await again.wait_closed(ENDED_WITHIN_S)
        await connections_fall_to(4, agent)  # the other station, its supervision, and the agent's ends of both


@pytest.mark.parametrize("method", ["received", "handle"])
async def test_trap_04_an_error_of_ours_while_a_message_is_relayed_ends_that_link_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bugs: list[str], method: str
) -> None:
    bugs.append("station dropped")

    def fail(link: Link, *event: object) -> list[Command]:
        raise ZeroDivisionError("a bug")

    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-2")) as other,
        raw_station(agent.port, "CP-1") as failing,
    ):
        await supervision.wait_connected("CP-1")
        monkeypatch.setattr(Link, method, fail)
        await failing.send_frame(*(TEXT, HEARTBEAT) if method == "received" else (CLOSE,))
        await failing.wait_end(ENDED_WITHIN_S)
        monkeypatch.undo()

        assert (await run_session(other)).completed
        async with connect_station(agent.url("CP-1")) as again:
            assert (await run_session(again)).completed


async def test_trap_05_a_send_that_was_cancelled_ends_the_stream_so_that_no_half_frame_is_followed() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0] as listener, await trio.open_tcp_stream(*listener.socket.getsockname()) as peer:
        owned = OwnedStream(await listener.accept())

        with trio.move_on_after(0.1) as cancelled:
            await owned.send_all(b"a" * 64_000_000)  # more than loopback's buffers hold
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await owned.send_all(b"b")

        assert cancelled.cancelled_caught
        with trio.fail_after(ENDED_WITHIN_S):
            received = [data async for data in peer]
        assert b"b" not in b"".join(received)


async def test_trap_06_pings_that_arrive_after_our_close_disturb_nothing(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-2")) as other,
        raw_station(agent.port, "CP-1") as station,
    ):
        await supervision.wait_connected("CP-1")
        await supervision.close_station("CP-1", 3001, "bye")
        code = close_code(await station.receive(CLOSE))
        await station.send(station.frame(PING, b"1") * 3 + station.frame(CLOSE, code.to_bytes(2, "big")))
        await station.wait_end(ENDED_WITHIN_S)

        assert code == 3001
        assert await last_error(agent) == "closed"
        assert (await run_session(other)).completed


async def test_trap_07_a_pong_does_not_wait_behind_64_calls_that_nobody_answers(tmp_path: Path) -> None:
    async with (
        open_supervision(fail="mute") as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        raw_station(agent.port) as station,
    ):
        calls = [station.frame(TEXT, b'[2,"%d","Heartbeat",{}]' % number) for number in range(64)]
        await station.send(b"".join(calls) + station.frame(PING, b"are you there"))
        payload = await station.receive(PONG, within_s=2)

        assert payload == b"are you there"


async def test_trap_07_a_pong_does_not_wait_for_a_supervision_that_reads_nothing(tmp_path: Path) -> None:
    async def read_nothing(peer: RawPeer) -> None:
        await peer.answer_handshake()
        await trio.sleep_forever()

    async with (
        raw_supervision(read_nothing) as url,
        running_agent(tmp_path, a_unique_config(url)) as agent,
        raw_station(agent.port) as station,
    ):
        for number in range(16):  # one leaves, the others wait: the agent keeps reading
            await station.send_frame(TEXT, b'[2,"%d","DataTransfer",{"vendorId":"%s"}]' % (number, b"x" * 30_000))
        await station.send_frame(PING, b"still there")

        assert await station.receive(PONG, within_s=2) == b"still there"


@pytest.mark.parametrize("chosen", [None, "ocpp2.1", "soap"])
async def test_trap_08_an_answer_without_a_subprotocol_or_with_one_not_offered_is_no_uplink(
    tmp_path: Path, chosen: str | None
) -> None:
    closes: list[int] = []

    async def answer(peer: RawPeer) -> None:
        await peer.answer_handshake(chosen)
        closes.append(close_code(await peer.receive(CLOSE)))

    async with raw_supervision(answer) as url, running_agent(tmp_path, a_unique_config(url)) as agent:
        assert await refused(agent) == 502
        await connections_fall_to(0, agent)
        if chosen is None:
            assert await last_error(agent) == "subprotocol"
            assert closes == [1001]
        else:
            assert await last_error(agent) in ("subprotocol", "protocol")


async def test_trap_09_the_host_of_an_ipv6_supervision_stands_in_brackets(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 on loopback")
    hosts: list[bytes] = []

    async def answer(peer: RawPeer) -> None:
        await peer.answer_handshake()
        hosts.append(header(peer.head, b"host"))
        await part(peer)

    async with (
        raw_supervision(answer, host="::1") as url,
        running_agent(tmp_path, a_unique_config(url)) as agent,
        raw_station(agent.port),
    ):
        assert hosts == [f"[::1]:{urlsplit(url).port}".encode()]


def has_ipv6() -> bool:
    """Whether ::1 can be bound."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_trap_10_a_pulled_cable_of_a_station_is_noticed_by_pings(tmp_path: Path) -> None:
    async with open_supervision() as supervision:
        config = a_unique_config(supervision.url)
        config.stations["CP-1"] = a_station("acme", None, ping_interval=1)
        async with (
            running_agent(tmp_path, config) as agent,
            open_cable(agent.port) as cable,
            connect_station(f"ws://127.0.0.1:{cable.port}/ocpp/CP-1"),
        ):
            link = await supervision.wait_connected("CP-1")
            began = trio.current_time()
            cable.pull()
            await link.wait_closed(20)

            assert trio.current_time() - began <= 1 + 2 + 3  # an interval, two of silence, and margin
            assert await last_error(agent) == "ping"


async def test_trap_10_the_kernel_gives_up_on_unacknowledged_data_as_soon_as_the_pings_do(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, ping_interval=7, message_timeout=8)) as agent,
        connect_station(agent.url("CP-1")),
    ):
        await supervision.wait_connected("CP-1")
        timeouts = user_timeouts(supervision.port)

    assert timeouts == [(7 + 8) * 1000]


def user_timeouts(port: int) -> list[int]:
    """Return TCP_USER_TIMEOUT, in milliseconds, of every connection of this process to a port of loopback."""
    option = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    return [sock.getsockopt(*option) for sock in tcp_sockets() if peer_port(sock) == port]


async def test_trap_11_compression_is_never_offered_nor_agreed_to(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def answer(peer: RawPeer) -> None:
        await peer.answer_handshake()
        heads.append(peer.head)
        await part(peer)

    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with (
        raw_supervision(answer) as url,
        running_agent(tmp_path, a_unique_config(url)) as agent,
        raw_station(agent.port, extra=offer) as station,
    ):
        assert station.head.startswith(b"HTTP/1.1 101")
        for head in (station.head, *heads):
            with pytest.raises(KeyError):
                header(head, b"sec-websocket-extensions")
        assert len(heads) == 1


async def test_trap_11_a_compressed_frame_without_negotiation_is_1002_and_inflates_nothing(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-2")) as other,
        raw_station(agent.port, "CP-1") as station,
    ):
        await station.send_frame(COMPRESSED_TEXT, b"\xaa\x56\x2a\x01\x00")
        code = close_code(await station.receive(CLOSE))
        await station.send_frame(CLOSE, struct.pack("!H", code))
        await station.wait_end(ENDED_WITHIN_S)

        assert code == 1002
        assert await last_error(agent) == "protocol"
        assert (await run_session(other)).completed


async def test_trap_11_a_supervision_that_agrees_to_compression_unasked_is_no_uplink(tmp_path: Path) -> None:
    async def answer(peer: RawPeer) -> None:
        await peer.answer_handshake(extra=b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        await part(peer)

    async with raw_supervision(answer) as url, running_agent(tmp_path, a_unique_config(url)) as agent:
        assert await refused(agent) == 502
        assert await last_error(agent) == "protocol"
        await connections_fall_to(0, agent)
