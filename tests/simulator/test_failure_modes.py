"""How a supervision fails on demand, and that a bad peer costs the other side nothing but its own link."""

import pytest
import trio
from pointsman_simulator.errors import HandshakeFailed, HandshakeRefused, NoAnswer
from pointsman_simulator.station import basic_credentials, connect_station, run_session
from pointsman_simulator.supervision import open_supervision


async def test_mute_answers_nothing_while_the_link_stays_alive() -> None:
    async with (
        open_supervision(fail="mute") as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        result = await run_session(station, answer_within_s=0.05)
        await station.ping()

    assert not result.completed
    assert result.reason == "LYO-01: no answer to BootNotification within 0.05 s"
    assert supervision.received.actions == ["BootNotification"]


async def test_mute_can_be_switched_while_it_runs() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        supervision.mute = True
        with pytest.raises(NoAnswer):
            await station.call("Heartbeat", {}, within_s=0.05)
        supervision.mute = False
        answer = await station.call("Heartbeat", {})

    assert "currentTime" in answer.payload


async def test_refuse_answers_the_handshake_with_an_http_status() -> None:
    async with open_supervision(fail="refuse", refuse_with=503) as supervision:
        with pytest.raises(HandshakeRefused) as caught:
            async with connect_station(f"{supervision.url}/LYO-01"):
                pass

    assert caught.value.status == 503
    assert supervision.refused == [("LYO-01", 503)]


async def test_slow_answers_late() -> None:
    async with (
        open_supervision(fail="slow", slow_s=0.2) as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        asked_at = trio.current_time()
        await station.call("Heartbeat", {})

    assert trio.current_time() - asked_at >= 0.2


async def test_close_ends_the_link_at_the_first_call() -> None:
    async with (
        open_supervision(fail="close") as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        result = await run_session(station)
        closed = await station.wait_closed()

    assert not result.completed
    assert (closed.code, closed.reason) == (1011, "told to fail")


async def test_no_subprotocol_completes_the_handshake_and_closes() -> None:
    async with (
        open_supervision(fail="no-subprotocol") as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
    ):
        closed = await station.wait_closed()
        result = await run_session(station)

    assert station.protocol is None
    assert closed.code == 1002
    assert result.reason == "the other side chose no subprotocol"


async def test_no_common_protocol_is_treated_the_same() -> None:
    async with (
        open_supervision(protocols=["ocpp2.0.1"]) as supervision,
        connect_station(f"{supervision.url}/LYO-01", protocols=["ocpp1.6"]) as station,
    ):
        await station.wait_closed()

    assert station.protocol is None


async def test_an_unknown_identity_is_404() -> None:
    async with open_supervision(stations=["LYO-01"]) as supervision:
        with pytest.raises(HandshakeRefused) as caught:
            async with connect_station(f"{supervision.url}/LYO-02"):
                pass

    assert caught.value.status == 404


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_a_missing_or_wrong_password_is_401(password: str | None) -> None:
    async with open_supervision(password="right") as supervision:
        with pytest.raises(HandshakeRefused) as caught:
            async with connect_station(f"{supervision.url}/LYO-01", password=password):
                pass

    assert caught.value.status == 401
    assert caught.value.header("www-authenticate") == 'Basic realm="ocpp"'


async def test_passwords_are_bytes_and_may_differ_by_station() -> None:
    raw = bytes(range(20))
    async with (
        open_supervision(password={"LYO-01": raw}) as supervision,
        connect_station(f"{supervision.url}/LYO-01", password=raw) as station,
    ):
        assert (await station.call("Heartbeat", {})).error is None


def test_the_basic_header_is_that_of_the_white_paper() -> None:
    key = bytes.fromhex("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF")

    assert basic_credentials("AL1000", key) == [("Authorization", "Basic QUwxMDAwOgABAgMEBQYH////////////////")]


async def test_a_client_that_speaks_no_websocket_harms_no_other() -> None:
    async with (
        open_supervision() as supervision,
        connect_station(f"{supervision.url}/LYO-01") as station,
        await trio.open_tcp_stream("127.0.0.1", supervision.port) as stranger,
    ):
        await stranger.send_all(b"\x00\x01garbage\r\n\r\n")
        with trio.fail_after(5):
            while await stranger.receive_some():
                pass
        answer = await station.call("Heartbeat", {})

    assert "currentTime" in answer.payload


async def test_a_server_that_hangs_up_in_the_handshake_is_noticed_at_once() -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, hang_up, [listener])
        port = listener.socket.getsockname()[1]
        with trio.fail_after(5), pytest.raises(HandshakeFailed, match="ended within the handshake"):
            async with connect_station(f"ws://127.0.0.1:{port}/LYO-01"):
                pass
        nursery.cancel_scope.cancel()


async def test_a_mute_server_ends_by_the_bound_of_the_handshake() -> None:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        with pytest.raises(HandshakeFailed, match=r"within 0\.1 s"):
            async with connect_station(f"ws://127.0.0.1:{port}/LYO-01", within_s=0.1):
                pass
        await listener.aclose()
        nursery.cancel_scope.cancel()


async def test_a_refusal_whose_body_ends_with_the_connection_keeps_its_status() -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 504 Gateway Timeout\r\nRetry-After: 7\r\n\r\nlate")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, refuse, [listener])
        port = listener.socket.getsockname()[1]
        with pytest.raises(HandshakeRefused) as caught:
            async with connect_station(f"ws://127.0.0.1:{port}/LYO-01"):
                pass
        nursery.cancel_scope.cancel()

    assert (caught.value.status, caught.value.header("retry-after")) == (504, "7")


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "ws:///x", "ws://127.0.0.1:99999/x", "nonsense"])
async def test_what_is_no_websocket_url_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(HandshakeFailed, match="URL"):
        async with connect_station(url):
            pass


async def test_nobody_listening_is_a_failed_handshake() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()

    with pytest.raises(HandshakeFailed, match="no connection to"):
        async with connect_station(f"ws://127.0.0.1:{port}/LYO-01"):
            pass
