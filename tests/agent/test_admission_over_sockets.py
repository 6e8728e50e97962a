"""Who gets in: identities, passwords, profiles and subprotocols, on real sockets."""

import sqlite3
import ssl
from pathlib import Path

import pytest
import trio
import trustme
from pointsman_schema.bundle import KeyPair, UplinkPassword
from pointsman_simulator.errors import HandshakeRefused
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.sites import LISTENER, a_config, a_listener, a_password, a_station, a_unique_config, free_port

PASSWORD = "a-long-station-password"


async def refusal(agent: RunningAgent, identity: str, password: str | None = None) -> int:
    """Return the HTTP status with which a station is refused."""
    with pytest.raises(HandshakeRefused) as refused:
        async with connect_station(agent.url(identity), password=password):
            pass
    return refused.value.status


async def test_r2_an_unknown_identity_gets_404(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        assert await refusal(agent, "STRANGER") == 404


async def test_r2_a_password_is_demanded_and_failures_stand_in_the_security_log(tmp_path: Path) -> None:
    config = a_config(stations={"LOC-01": a_station(password=a_password("loc"))})
    async with running_agent(tmp_path, config, secrets={"loc": PASSWORD.encode() + b"\n"}) as agent:
        assert await refusal(agent, "LOC-01") == 401
        assert await refusal(agent, "LOC-01", "wrong-password-1") == 401
        async with connect_station(agent.url("LOC-01"), password=PASSWORD) as station:
            assert (await station.call("Heartbeat", {})).error is None
        assert (await agent.station("LOC-01"))["lastError"] is not None

    database = sqlite3.connect(agent.state / "journal.sqlite3")
    kept = database.execute("SELECT station, kind, detail FROM security_events").fetchall()
    database.close()
    assert kept == [
        ("LOC-01", "FailedToAuthenticate", "no Basic credentials"),
        ("LOC-01", "FailedToAuthenticate", "wrong password"),
    ]


async def test_the_uplink_shows_the_supervisions_password_per_station(tmp_path: Path) -> None:
    password = UplinkPassword(secret="acme-{station}", format="hex")
    key = bytes(range(20))
    async with open_supervision(password={"CP-1": key}) as supervision:
        config = a_unique_config(supervision.url, password=password)
        async with (
            running_agent(tmp_path, config, secrets={"acme-CP-1": key.hex().encode()}) as agent,
            connect_station(agent.url("CP-1")) as station,
        ):
            assert (await run_session(station)).completed


@pytest.mark.parametrize("path", ["/CP%7C1", "/ocpp/CP%7C1/", "/any/prefix/CP%7C1?x=1", "/ocpp/cp%7c1"])
async def test_r3_the_identity_is_the_last_segment_of_any_path(tmp_path: Path, path: str) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP|1")) as agent,
        connect_station(f"ws://127.0.0.1:{agent.port}{path}") as station,
    ):
        link = await supervision.wait_connected("CP|1")

        assert link.path == "/ocpp/CP%7C1"
        assert station.protocol == "ocpp1.6"


async def test_r5_the_supervisions_choice_among_what_the_station_offers_is_agreed(tmp_path: Path) -> None:
    async with (
        open_supervision(protocols=["ocpp2.0.1"]) as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp1.6", "ocpp2.0.1"]) as station,
    ):
        link = await supervision.wait_connected("CP-1")

        assert list(link.offered) == ["ocpp1.6", "ocpp2.0.1"]
        assert station.protocol == "ocpp2.0.1"


async def test_r5_no_common_protocol_completes_the_handshake_without_one_and_closes(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, protocols=["ocpp2.0.1"])) as agent,
        connect_station(agent.url("CP-1"), protocols=["ocpp1.6"]) as station,
    ):
        closed = await station.wait_closed()

        assert station.protocol is None
        assert closed.code == 1002
        assert supervision.past_connections == []


async def test_r5_a_station_that_offers_nothing_speaks_what_is_assumed(tmp_path: Path) -> None:
    async with open_supervision() as supervision:
        config = a_unique_config(supervision.url)
        config.stations["CP-1"] = a_station("acme", None, assume_protocol="ocpp1.6")
        async with (
            running_agent(tmp_path, config) as agent,
            connect_station(agent.url("CP-1"), protocols=(), assume_protocol="ocpp1.6") as station,
        ):
            assert (await run_session(station)).completed
            assert supervision.connections["CP-1"].protocol == "ocpp1.6"


async def test_r8_profile_3_takes_a_certificate_of_its_root_and_name_only(tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    served = authority.issue_cert("localhost")
    listener = a_listener(
        port,
        security_profile=3,
        certificate=KeyPair(chain=served.cert_chain_pems[0].bytes().decode(), key="agent-key"),
        station_trust=[authority.cert_pem.bytes().decode()],
    )
    config = a_config(listeners={LISTENER: listener}, stations={"LOC-01": a_station(certificate_name="serial-0815")})
    secrets = {"agent-key": served.private_key_pem.bytes()}
    async with running_agent(tmp_path, config, port=port, secrets=secrets) as agent:
        good = client_context(authority, "serial-0815")
        async with connect_station(agent.url("LOC-01", "wss"), ssl_context=good) as station:
            assert (await station.call("Heartbeat", {})).error is None
        with pytest.raises(HandshakeRefused) as refused:
            async with connect_station(
                agent.url("LOC-01", "wss"), ssl_context=client_context(authority, "serial-4711")
            ):
                pass
        assert refused.value.status == 401


async def test_junk_and_silence_on_a_listener_do_not_disturb_stations(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        silent = [await trio.open_tcp_stream("127.0.0.1", agent.port) for _ in range(20)]
        for junk in (b"\x16\x03\x01junk", b"GET / HTTP/1.1\r\n\r\n", b"POST /ocpp/LOC-01 HTTP/1.1\r\nHost: x\r\n\r\n"):
            await send_until_closed(agent.port, junk)
        async with connect_station(agent.url("LOC-01")) as station:
            assert (await station.call("Heartbeat", {})).error is None
        for stream in silent:
            await stream.aclose()


async def send_until_closed(port: int, junk: bytes) -> None:
    """Send `junk` and wait until the agent ends the connection."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(junk)
        await stream.send_eof()
        with trio.fail_after(10):
            while await stream.receive_some():
                pass


def client_context(authority: trustme.CA, common_name: str) -> ssl.SSLContext:
    """Return the TLS context of a station that shows a certificate of `common_name`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert(f"{common_name}.example", common_name=common_name).configure_cert(context)
    return context
