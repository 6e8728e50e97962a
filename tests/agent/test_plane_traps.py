"""What a data plane of non-blocking sockets gets wrong, met on purpose: a test or more a trap, plain and under TLS.

The numbers are those of the list that the data plane was built against; each test says what goes wrong in its name.
"""

import gc
import hashlib
import os
import random
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.plane.channel import MESSAGES_A_PASS
from pointsman_agent.plane.pair import Pair
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import running_agent
from support.legs import Legs, raw_legs
from support.processes import agent_process
from support.rawpeers import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawPeer,
    close_code,
    opening_request,
    raw_connection,
    raw_station,
)
from support.sites import a_config, a_remote_group, a_station, a_supervision, a_unique_config

pytestmark = pytest.mark.usefixtures("bugs")

PLAIN_AND_TLS = pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
WITHIN_S = 10.0
KIB = 1024
SMALL_BUFFER = 16 * KIB
EMPTY_PINGS_IN_64_KIB = 10_922


def a_text(number: int, size: int = 0) -> bytes:
    """Return a SEND of OCPP 2.1, which is relayed at once and gets no answer, of about `size` bytes."""
    filler = random.Random(number).randbytes(size // 2).hex().encode()
    return b'[6,"%d","NotifyPeriodicEventStream",{"x":"%s"}]' % (number, filler)


FIRST = [a_text(number) for number in range(3 * MESSAGES_A_PASS)]
"""More messages than one pass serves."""


@PLAIN_AND_TLS
@pytest.mark.parametrize("place", ["with the handshake", "right behind it"])
async def test_trap_01_what_a_station_sends_first_moves_without_a_later_event(
    tmp_path: Path, is_tls: bool, place: str
) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        frames = b"".join(station.frame(TEXT, text) for text in FIRST)
        request = opening_request("CP-1", "ocpp2.1")
        await station.send(request + frames if place == "with the handshake" else request)
        uplink = await legs.uplink()
        await uplink.send(uplink.switching_protocols("ocpp2.1"))
        await station.read_head()
        if place == "right behind it":
            await station.send(frames)

        assert [await uplink.receive_message() for _ in FIRST] == FIRST


@PLAIN_AND_TLS
@pytest.mark.parametrize("place", ["with the handshake", "right behind it"])
async def test_trap_01_what_a_supervision_sends_first_moves_without_a_later_event(
    tmp_path: Path, is_tls: bool, place: str
) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        await station.send(opening_request("CP-1", "ocpp2.1"))
        uplink = await legs.uplink()
        frames = b"".join(uplink.frame(TEXT, text) for text in FIRST)
        answer = uplink.switching_protocols("ocpp2.1")
        if place == "with the handshake":
            await uplink.send(answer + frames)
        else:
            await uplink.send(answer)
            await uplink.send(frames)
        await station.read_head()

        assert [await station.receive_message() for _ in FIRST] == FIRST


@PLAIN_AND_TLS
async def test_trap_01_a_frame_may_come_half_with_the_handshake_and_half_after_the_hand_over(
    tmp_path: Path, is_tls: bool
) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        frame = station.frame(TEXT, a_text(1, 4 * KIB))
        await station.send(opening_request("CP-1", "ocpp2.1") + frame[:100])
        uplink = await legs.uplink()
        answer = uplink.frame(TEXT, a_text(2, 4 * KIB))
        await uplink.send(uplink.switching_protocols("ocpp2.1") + answer[:100])
        await station.read_head()
        await station.send(frame[100:])
        await uplink.send(answer[100:])

        assert await uplink.receive_message() == a_text(1, 4 * KIB)
        assert await station.receive_message() == a_text(2, 4 * KIB)


@PLAIN_AND_TLS
async def test_trap_02_large_messages_both_ways_to_slow_readers_arrive_whole_and_in_order(
    tmp_path: Path, is_tls: bool
) -> None:
    sizes = [300 * KIB, 10, 16 * KIB, 300 * KIB, 16 * KIB + 1, 0, 200 * KIB]
    texts = [a_text(number, size) for number, size in enumerate(sizes)]
    async with (
        raw_legs(tmp_path, "CP-1", is_tls=is_tls, uplink_buffer=SMALL_BUFFER) as legs,
        legs.joined(buffer=SMALL_BUFFER) as peers,
    ):
        bound_output_of(legs)
        for peer in peers:
            peer.read_at_most = 997
        for text in texts:
            for peer in peers:
                await peer.send_frame(TEXT, text)
        received: dict[RawPeer, list[str]] = {}
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(receive_digests, peer, len(texts), received)

        assert list(received.values()) == [[digest(text) for text in texts]] * 2


def bound_output_of(legs: Legs) -> None:
    """Let the kernel take little from the agent at once, on every connection that it has at the moment."""
    bounded = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed meanwhile
        with sock:
            if is_of_agent(sock, legs):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
                bounded += 1
    assert bounded >= 2


def is_of_agent(sock: socket.socket, legs: Legs) -> bool:
    try:
        return bool(legs.agent.port == sock.getsockname()[1] or legs.uplink_port == sock.getpeername()[1])
    except (OSError, IndexError):
        return False


async def receive_digests(peer: RawPeer, count: int, received: dict[RawPeer, list[str]]) -> None:
    received[peer] = [digest(await peer.receive_message()) for _ in range(count)]


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@PLAIN_AND_TLS
async def test_trap_02_pongs_are_queued_behind_what_the_peer_does_not_read(tmp_path: Path, is_tls: bool) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs,
        legs.joined(buffer=SMALL_BUFFER) as (station, uplink),
    ):
        bound_output_of(legs)
        text = a_text(1, 600 * KIB)
        await uplink.send_frame(TEXT, text)
        for number in range(20):
            await station.send_frame(PING, b"%d" % number)
            await uplink.send_frame(PING, b"a round trip")
            await uplink.receive(PONG)  # so the pings do not come together

        assert await station.receive_message() == text
        pongs = [await station.receive(PONG)]
        while pongs[-1] != b"19":
            pongs.append(await station.receive(PONG))
        assert pongs == sorted(pongs, key=int)


@PLAIN_AND_TLS
async def test_trap_02_a_peer_that_resets_with_output_queued_for_it_is_no_error_of_ours(
    tmp_path: Path, is_tls: bool
) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs,
        legs.joined(buffer=SMALL_BUFFER) as (station, uplink),
    ):
        bound_output_of(legs)
        await uplink.send_frame(TEXT, a_text(1, 600 * KIB))
        await uplink.send_frame(PING)
        await uplink.receive(PONG)
        await station.reset()

        assert close_code(await uplink.receive(CLOSE)) == 1001
        assert (await legs.agent.station("CP-1"))["lastError"]["class"] == "closed"


@PLAIN_AND_TLS
async def test_trap_04_short_connections_never_get_what_belongs_to_another(tmp_path: Path, is_tls: bool) -> None:
    identities = [f"CP-{number}" for number in range(16)]
    rounds = 6 if is_tls else 12
    arrived: dict[str, list[bytes]] = {identity: [] for identity in identities}
    async with (
        raw_legs(tmp_path, *identities, is_tls=is_tls) as legs,
        trio.open_nursery() as supervision,
    ):
        supervision.start_soon(take_all, legs, arrived, supervision)
        async with trio.open_nursery() as stations:
            for place, identity in enumerate(identities):
                stations.start_soon(come_and_go, legs, identity, place, rounds)
        with trio.fail_after(WITHIN_S):
            while any(len(texts) < rounds * 2 for texts in arrived.values()):  # noqa: ASYNC110 - many tell it
                await trio.sleep(0.01)
        supervision.cancel_scope.cancel()

    for identity, texts in arrived.items():
        place = identities.index(identity)
        assert texts == [a_text(place * 1000 + number) for number in range(rounds * 2)]


async def take_all(legs: Legs, arrived: dict[str, list[bytes]], nursery: trio.Nursery) -> None:
    """Answer every uplink and write down what came on it, under the identity of its path."""
    while True:
        uplink = await legs.uplink()
        identity = uplink.head.split(b" ")[1].rpartition(b"/")[2].decode()
        await uplink.send(uplink.switching_protocols("ocpp2.1"))
        nursery.start_soon(take, uplink, arrived[identity])


async def take(uplink: RawPeer, texts: list[bytes]) -> None:
    while frame := await uplink.receive_frame(60):
        if frame[0] == TEXT:
            texts.append(frame[1])
        elif frame[0] == CLOSE:
            await uplink.send_frame(CLOSE, frame[1])
            return


async def come_and_go(legs: Legs, identity: str, place: int, rounds: int) -> None:
    """Connect, say two things, wait until they were read, and go in one of three ways."""
    for number in range(rounds):
        async with legs.connection() as station:
            await station.send(opening_request(identity, "ocpp2.1"))
            head = await station.read_head()
            assert head.startswith(b"HTTP/1.1 101"), head
            for each in (2 * number, 2 * number + 1):
                await station.send_frame(TEXT, a_text(place * 1000 + each))
            await station.send_frame(PING)
            await station.receive(PONG)
            match (number + place) % 3:
                case 0:
                    await station.send_frame(CLOSE, b"\x03\xe8")
                    await station.receive(CLOSE)
                case 1:
                    await station.reset()


@PLAIN_AND_TLS
async def test_trap_05_a_flood_of_empty_pings_is_answered_in_few_pongs_and_holds_nobody_up(
    tmp_path: Path, is_tls: bool
) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", "CP-2", is_tls=is_tls) as legs,
        legs.joined("CP-1") as (station, uplink),
        legs.joined("CP-2") as (other, other_uplink),
    ):
        flood = station.frame(PING) * EMPTY_PINGS_IN_64_KIB
        await station.send(flood * 4 + station.frame(TEXT, FIRST[0]) + station.frame(PING, b"last"))
        await other.send_frame(TEXT, FIRST[1])

        assert await other_uplink.receive_message() == FIRST[1]
        assert await uplink.receive_message() == FIRST[0]
        pongs = [await station.receive(PONG)]
        while pongs[-1] != b"last":
            pongs.append(await station.receive(PONG))
        assert len(pongs) <= 200


@PLAIN_AND_TLS
async def test_trap_05_a_message_byte_by_byte_arrives_and_holds_nobody_up(tmp_path: Path, is_tls: bool) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", "CP-2", is_tls=is_tls) as legs,
        legs.joined("CP-1") as (station, uplink),
        legs.joined("CP-2") as (other, other_uplink),
    ):
        text = a_text(1, KIB)
        for byte in station.frame(TEXT, text):
            await station.send(bytes([byte]))
            if byte == 0:
                await other.send_frame(TEXT, FIRST[1])
                assert await other_uplink.receive_message() == FIRST[1]

        assert await uplink.receive_message() == text


ODD_TEXTS = {
    "nested brackets": (b'[6,"1","A",' + b"[" * 100_000, True),
    "nested brackets alone": (b"[" * 100_000, False),
    "nested objects": (b'[6,"1","A",' + b'{"a":' * 50_000, True),
    "a lone surrogate in the id": (rb'[6,"\ud800","A",{}]', True),
    "a lone surrogate in the action": (rb'[6,"1","\udfff",{}]', True),
    "a number of 5000 digits": (b'[6,"1","A",{"x":' + b"9" * 5000 + b"}]", True),
    "a type of 5000 digits": (b"[" + b"9" * 5000 + b',"1","A",{}]', False),
    "an unknown type": (rb'[9,"\ud800","A",{}]', False),
    "a result for nobody": (rb'[3,"\ud800",{}]', False),
    "nothing": (b"", False),
}


@pytest.mark.parametrize("name", ODD_TEXTS)
async def test_trap_06_an_odd_text_is_relayed_or_dropped_and_ends_nobody(tmp_path: Path, name: str) -> None:
    text, is_relayed = ODD_TEXTS[name]
    async with raw_legs(tmp_path, "CP-1", is_tls=False) as legs, legs.joined() as (station, uplink):
        for sender, receiver in ((station, uplink), (uplink, station)):
            await sender.send_frame(TEXT, text)
            await sender.send_frame(TEXT, FIRST[0])
            received = [await receiver.receive_message() for _ in range(1 + is_relayed)]

            assert received == [*([text] if is_relayed else []), FIRST[0]]
        assert (await legs.agent.station("CP-1"))["connected"] is True


async def test_trap_06_an_odd_action_that_nobody_answers_ends_its_own_link_and_can_be_told(tmp_path: Path) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", is_tls=False, message_timeout=1) as legs,
        legs.joined() as (station, _),
    ):
        await station.send_frame(TEXT, rb'[2,"\ud800","\udfff",{}]')

        assert close_code(await station.receive(CLOSE)) == 1001
        status = await legs.agent.wait_status(lambda status: status["stations"][0]["lastError"] is not None)
        assert status["stations"][0]["lastError"]["class"] == "message-timeout"


@PLAIN_AND_TLS
async def test_trap_06_an_error_of_ours_ends_both_sockets_of_its_station_and_no_other(
    tmp_path: Path, is_tls: bool, monkeypatch: pytest.MonkeyPatch, bugs: list[str]
) -> None:
    bugs.append("station dropped")
    boom = a_text(666)
    async with (
        raw_legs(tmp_path, "CP-1", "CP-2", is_tls=is_tls) as legs,
        legs.joined("CP-1") as (station, uplink),
        legs.joined("CP-2") as (other, other_uplink),
    ):
        monkeypatch.setattr(Pair, "heard", failing_at(boom.decode()))
        await station.send_frame(TEXT, boom)
        await station.wait_end(WITHIN_S)
        await uplink.wait_end(WITHIN_S)
        await other.send_frame(TEXT, FIRST[0])

        assert await other_uplink.receive_message() == FIRST[0]
        async with legs.joined("CP-1") as (again, again_uplink):
            await again.send_frame(TEXT, FIRST[1])
            assert await again_uplink.receive_message() == FIRST[1]


def failing_at(bad: str) -> Callable[[Pair, Side, str, float, bytes | None], None]:
    """Return `Pair.heard` as it is, but for one text."""
    heard = Pair.heard

    def fail(pair: Pair, side: Side, text: str, now: float, frame: bytes | None = None) -> None:
        if text == bad:
            raise RecursionError("a bug")
        heard(pair, side, text, now, frame)

    return fail


BREACHES: dict[str, tuple[Callable[[RawPeer], bytes], int]] = {
    "a reserved bit": (lambda peer: peer.frame(0xC1, b"x"), 1002),
    "a message too large": (lambda peer: peer.frame(TEXT, b"x" * (1024 * KIB + 1)), 1009),
}


@PLAIN_AND_TLS
@pytest.mark.parametrize("name", BREACHES)
@pytest.mark.parametrize("leg", ["station", "supervision"])
async def test_trap_07_a_close_frame_reaches_a_peer_that_goes_on_sending(
    tmp_path: Path, is_tls: bool, leg: str, name: str
) -> None:
    breach, code = BREACHES[name]
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.joined() as (station, uplink):
        offender, other = (station, uplink) if leg == "station" else (uplink, station)
        await offender.send(breach(offender) + b"\xff" * 2 * 1024 * KIB)

        assert close_code(await offender.receive(CLOSE)) == code
        assert await offender.stream.receive_some() == b""  # the end of the stream, and no reset
        assert close_code(await other.receive(CLOSE)) == 1001


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_trap_08_a_signal_amid_traffic_tears_no_frame_and_tells_both_sides(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with (
        open_supervision() as supervision,
        agent_process(tmp_path, a_unique_config(supervision.url)) as agent,
        raw_station(agent.port, protocol="ocpp2.1") as station,
    ):
        link = await supervision.wait_connected("CP-1")
        sent: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk_without_end, station, sent)
            await supervision.received.wait_for(lambda _: len(supervision.received) >= 100)
            os.kill(agent.pid, number)
            code = close_code(await station.receive(CLOSE))
            nursery.cancel_scope.cancel()
        await station.send_frame(CLOSE, b"\x03\xe9")

        assert code == 1001
        assert (await link.wait_closed()).code == 1001
        texts = supervision.received.texts
        assert texts == sent[: len(texts)]


async def talk_without_end(station: RawPeer, sent: list[str]) -> None:
    while True:
        text = a_text(len(sent), 200)
        sent.append(text.decode())
        try:
            await station.send_frame(TEXT, text)
        except trio.BrokenResourceError:
            return


@PLAIN_AND_TLS
async def test_a_link_that_has_ended_leaves_nothing_to_the_garbage_collector(tmp_path: Path, is_tls: bool) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs:
        await come_close_and_vanish(legs)  # what is made once
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(5):
                await come_close_and_vanish(legs)
            gc.collect()
            left = {
                type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith("pointsman_agent")
            }
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

        assert left == set()


async def come_close_and_vanish(legs: Legs) -> None:
    """Make a link that ends in order, and one that does not; both are over when this returns."""
    async with legs.joined() as (station, uplink):
        await station.send_frame(CLOSE, b"\x03\xe8")
        await uplink.send_frame(CLOSE, await uplink.receive(CLOSE))
        await station.wait_end()
        await uplink.wait_end()
    async with legs.joined() as (station, uplink):
        await station.reset()
        await uplink.send_frame(CLOSE, await uplink.receive(CLOSE))
        await uplink.wait_end()
    await legs.agent.wait_status(lambda status: status["stationsConnected"] == 0)


async def test_trap_09_a_deadline_is_not_held_up_by_a_younger_one_of_another_station(tmp_path: Path) -> None:
    async with open_supervision(fail="mute") as patient, open_supervision(fail="mute") as strict:
        config = a_config(
            supervisions={
                "patient": a_supervision(patient.url, message_timeout=30),
                "strict": a_supervision(strict.url, message_timeout=1),
            },
            groups={"visitors": a_remote_group("patient"), "partners": a_remote_group("strict")},
            stations={"P-1": a_station("patient", "visitors"), "S-1": a_station("strict", "partners")},
            badges={},
        )
        async with (
            running_agent(tmp_path, config) as agent,
            connect_station(agent.url("P-1")) as young,
            connect_station(agent.url("S-1")) as due,
        ):
            await young.send_text('[2,"1","Heartbeat",{}]')
            began = trio.current_time()
            await due.send_text('[2,"1","Heartbeat",{}]')

            assert (await due.wait_closed()).code == 1001
            assert 0.9 <= trio.current_time() - began <= 5
            assert young.closed is None


async def test_trap_10_tls_handshakes_that_never_end_do_not_hold_up_the_others(tmp_path: Path) -> None:
    async with (
        raw_legs(tmp_path, "CP-1", "CP-2", is_tls=True) as legs,
        legs.joined("CP-1") as (station, uplink),
        AsyncExitStack() as stack,
    ):
        for _ in range(60):
            slow = await stack.enter_async_context(raw_connection(legs.agent.port))
            await slow.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # the start of a ClientHello
        for text in FIRST[:20]:
            with trio.fail_after(2):
                await station.send_frame(TEXT, text)
                assert await uplink.receive_message() == text

        async with legs.joined("CP-2") as (newcomer, newcomer_uplink):
            await newcomer.send_frame(TEXT, FIRST[0])
            assert await newcomer_uplink.receive_message() == FIRST[0]


@PLAIN_AND_TLS
@pytest.mark.parametrize("pieces", [1, 3], ids=["in one segment", "in three segments"])
async def test_trap_11_an_interim_response_is_not_the_end_of_the_head(
    tmp_path: Path, is_tls: bool, pieces: int
) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        await station.send(opening_request("CP-1", "ocpp2.1"))
        uplink = await legs.uplink()
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        answer = interim + uplink.switching_protocols("ocpp2.1") + uplink.frame(TEXT, FIRST[0])
        size = -(-len(answer) // pieces)
        for start in range(0, len(answer), size):
            await uplink.send(answer[start : start + size])

        assert (await station.read_head()).startswith(b"HTTP/1.1 101")
        assert await station.receive_message() == FIRST[0]


@PLAIN_AND_TLS
@pytest.mark.parametrize("endless", [b"X-Filling: " + b"x" * 1000 + b"\r\n", b"\r\nHTTP/1.1 100 Continue\r\n"])
async def test_trap_11_a_head_without_end_is_no_uplink(tmp_path: Path, is_tls: bool, endless: bytes) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        await station.send(opening_request("CP-1", "ocpp2.1"))
        uplink = await legs.uplink()
        with trio.fail_after(WITHIN_S):
            with suppress(trio.BrokenResourceError):  # it is ended while it still sends
                await uplink.send(b"HTTP/1.1 100 Continue\r\n" + endless * 2000)

            assert (await station.read_head()).startswith(b"HTTP/1.1 502")
            error = (await legs.agent.station("CP-1"))["lastError"]
            assert (error["class"], "16384 bytes" in error["message"]) == ("protocol", True)


@PLAIN_AND_TLS
async def test_trap_11_a_request_without_end_is_ended_once_it_is_too_large(tmp_path: Path, is_tls: bool) -> None:
    async with raw_legs(tmp_path, "CP-1", is_tls=is_tls) as legs, legs.connection() as station:
        await station.send(opening_request("CP-1")[:-2] + b"X-Filling: " + b"x" * 17 * KIB)

        with trio.fail_after(5):  # sooner than the deadline for a handshake
            await station.wait_end()


async def test_trap_12_without_descriptors_accepting_pauses_and_recovers_and_others_go_on(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        agent_process(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        assert (await run_session(station)).completed
        _, hard = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (agent.descriptors() + 10, hard))
        async with AsyncExitStack() as stack:
            strangers = [await stack.enter_async_context(raw_connection(agent.port)) for _ in range(40)]
            with trio.fail_after(WITHIN_S):
                while agent.descriptors() < resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)[0]:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            for _ in range(20):
                answer = await station.call("Heartbeat", {}, 5)
                assert answer.error is None
            assert len(strangers) == 40

        async with connect_station(agent.url("CP-2"), within_s=WITHIN_S) as newcomer:
            assert (await run_session(newcomer)).completed
        assert station.closed is None
