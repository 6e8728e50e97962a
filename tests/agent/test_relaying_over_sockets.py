"""The relay as a whole: a real agent between stations and supervisions of the simulator, on real sockets."""

import re
import ssl
from pathlib import Path

import pytest
import trio
import trustme
from pointsman_agent.uplink import LONGEST_TOLD_S
from pointsman_simulator.errors import HandshakeRefused
from pointsman_simulator.station import connect_station, report_security_event, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.cables import open_cable
from support.heads import answering
from support.sites import a_config, a_remote_group, a_station, a_supervision, a_unique_config, free_port
from support.ways import Way


@pytest.fixture(params=["plain", "tls"])
def way(request: pytest.FixtureRequest) -> Way:
    """Each rule of the relay holds plain and under TLS."""
    return Way(is_tls=request.param == "tls")


ODD_CALL = ' [2, "a\\u0062c",\t"DataTransfer",{"vendorId":"é\\u00e9","n":1.10e+2,"n":1e400,  "x":[ ]}]'
ODD_RESULT = '[3,"abc", {"status" : "Accepted","data":"\\ud83d\\ude00","n":0.10}]'


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_r1_a_station_of_a_unique_site_charges_at_its_supervision(
    tmp_path: Path, way: Way, protocol: str
) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1", protocols=[protocol]) as station,
    ):
        result = await run_session(station)

        assert result.completed, result.reason
        assert station.protocol == protocol
        assert supervision.connections["CP-1"].protocol == protocol
        assert supervision.received.texts == station.sent.texts
        assert station.received.texts == supervision.sent.texts
        assert (await agent.station("CP-1"))["uplink"] == {"connected": True, "protocol": protocol}


async def test_r11_text_is_forwarded_byte_for_byte_in_both_directions(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision(fail="mute") as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        await station.send_text(ODD_CALL)
        arrived = await supervision.wait_for(lambda entry: True)
        await supervision.send_text("CP-1", ODD_RESULT)
        returned = await station.receive_text()

        assert arrived.text == ODD_CALL
        assert returned == ODD_RESULT


async def test_calls_of_the_supervision_reach_the_station_and_its_answers_return(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        answer = await supervision.call("CP-1", "GetConfiguration", {"key": ["HeartbeatInterval"]})

        assert answer.error is None
        assert answer.text == station.sent.texts[-1]
        assert answer.faults == ()


async def test_r1_in_multiple_every_group_reaches_its_own_supervision(tmp_path: Path, way: Way) -> None:
    async with way.open_supervision() as acme, way.open_supervision() as volt:
        config = a_config(
            supervisions={"acme": a_supervision(acme.url), "volt": a_supervision(volt.url)},
            groups={"visitors": a_remote_group("acme"), "partners": a_remote_group("volt")},
            stations={"A-1": a_station("acme", "visitors"), "V-1": a_station("volt", "partners")},
            badges={},
        )
        async with (
            way.running_agent(tmp_path, config) as agent,
            way.connect_station(agent, "A-1") as first,
            way.connect_station(agent, "V-1", protocols=["ocpp2.0.1"]) as second,
        ):
            assert (await run_session(first)).completed
            assert (await run_session(second)).completed

            assert list(acme.connections) == ["A-1"]
            assert list(volt.connections) == ["V-1"]
            assert [row["stationsUp"] for row in (await agent.status())["supervisions"]] == [1, 1]


async def test_r20_a_security_event_is_held_back_answered_and_kept(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url, forward_security_events=False)) as agent,
        way.connect_station(agent, "CP-1", protocols=["ocpp2.0.1"]) as station,
    ):
        outcome = await report_security_event(station)
        await station.call("Heartbeat", {})

        assert outcome.is_completed, outcome.failure
        assert supervision.received.actions == ["Heartbeat"]


async def test_r20_a_security_event_is_forwarded_where_the_site_says_so(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url, forward_security_events=True)) as agent,
        way.connect_station(agent, "CP-1", protocols=["ocpp2.0.1"]) as station,
    ):
        outcome = await report_security_event(station)

        assert outcome.is_completed, outcome.failure
        assert supervision.received.texts == station.sent.texts
        assert supervision.received.actions == ["SecurityEventNotification"]


async def test_r25_a_supervision_that_stays_mute_longer_than_message_timeout_loses_its_link(
    tmp_path: Path, way: Way
) -> None:
    async with (
        way.open_supervision(fail="mute") as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url, message_timeout=1)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        link = await supervision.wait_connected("CP-1")
        began = trio.current_time()
        await station.send_text('[2,"1","Heartbeat",{}]')
        closed = await station.wait_closed()
        took = trio.current_time() - began

        assert closed.code == 1001
        assert 0.9 <= took <= 5
        assert (await link.wait_closed()).code == 1001
        status = await agent.wait_status(lambda status: status["supervisions"][0]["stationsUp"] == 0)
        assert status["supervisions"][0]["lastError"]["class"] == "message-timeout"
        assert status["stations"][0]["lastError"]["message"].startswith("Heartbeat unanswered for 1 s")


async def test_r24_a_pulled_cable_is_noticed_within_ping_interval_and_message_timeout(tmp_path: Path, way: Way) -> None:
    async with way.open_supervision() as supervision, open_cable(supervision.port) as cable:
        config = a_unique_config(f"{way.scheme}://127.0.0.1:{cable.port}/ocpp", ping_interval=1, message_timeout=1)
        async with way.running_agent(tmp_path, config) as agent, way.connect_station(agent, "CP-1") as station:
            await supervision.wait_connected("CP-1")
            began = trio.current_time()
            cable.pull()
            closed = await station.wait_closed()
            took = trio.current_time() - began

            assert closed.code == 1001
            assert took <= 1 + 1 + 3
            assert (await agent.station("CP-1"))["lastError"]["class"] == "ping"


async def test_r24_pings_keep_a_quiet_link_alive(tmp_path: Path, way: Way) -> None:
    config_of = {"ping_interval": 1, "message_timeout": 1}
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url, **config_of)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        await supervision.wait_connected("CP-1")
        with pytest.raises(trio.TooSlowError):
            await station.wait_closed(within_s=3.5)

        assert (await station.call("Heartbeat", {})).error is None


async def test_r26_the_close_code_of_a_supervision_reaches_the_station(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        await supervision.wait_connected("CP-1")
        await supervision.close_station("CP-1", 3001, "moved for the night")
        closed = await station.wait_closed()

        assert (closed.code, closed.reason) == (3001, "moved for the night")


async def test_r26_a_supervision_that_vanishes_closes_the_station_with_1001(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        await supervision.wait_connected("CP-1")
        await supervision.drop_station("CP-1")

        assert (await station.wait_closed()).code == 1001


async def test_r26_a_station_that_vanishes_closes_its_uplink(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as station,
    ):
        link = await supervision.wait_connected("CP-1")
        await station.drop()

        assert (await link.wait_closed()).code == 1001


async def test_r6_a_supervision_that_refuses_makes_the_stations_handshake_fail(tmp_path: Path) -> None:
    async with (
        open_supervision(fail="refuse", refuse_with=401) as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
    ):
        with pytest.raises(HandshakeRefused) as refused:
            async with connect_station(agent.url("CP-1")):
                pass

        assert refused.value.status == 502
        assert (await agent.station("CP-1"))["lastError"]["class"] == "http-401"


async def test_r6_and_r27_a_dead_supervision_is_502_and_then_503_with_retry_after(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(supervision_until, stop := trio.Event())
        async with running_agent(tmp_path, a_unique_config(url, "CP-1", "CP-2")) as agent:
            await agent.wait_status(lambda status: status["supervisions"][0]["reachable"] is True)
            stop.set()
            refusals = [await refusal(agent, identity) for identity in ("CP-1", "CP-2")]

            assert [each.status for each in refusals] == [502, 503]
            assert int(refusals[1].header("Retry-After") or 0) >= 1
            row = (await agent.status())["supervisions"][0]
            assert row["reachable"] is False
            assert row["lastError"]["class"] == "tcp"
            assert (await agent.status())["state"] == "degraded"


async def test_r27_the_agent_itself_finds_out_whether_a_supervision_can_be_reached(tmp_path: Path) -> None:
    port = free_port()
    async with running_agent(tmp_path, a_unique_config(f"ws://127.0.0.1:{port}/ocpp")) as agent:
        await agent.wait_status(lambda status: status["supervisions"][0]["reachable"] is False)
        async with open_supervision(port=port):
            await agent.wait_status(lambda status: status["supervisions"][0]["reachable"] is True)
            async with connect_station(agent.url("CP-1")) as station:
                assert (await run_session(station)).completed


async def test_r27_a_station_that_is_refused_backs_off_alone(tmp_path: Path) -> None:
    async with (
        open_supervision(stations=["CP-2"]) as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
    ):
        first, second = await refusal(agent, "CP-1"), await refusal(agent, "CP-1")
        async with connect_station(agent.url("CP-2")) as other:
            assert (await run_session(other)).completed

        assert (first.status, second.status) == (502, 503)
        assert supervision.refused == [("CP-1", 404)]


async def test_r27_stations_look_again_soon_while_the_gate_keeps_a_supervisions_two_minutes(
    tmp_path: Path,
) -> None:
    asked: list[bytes] = []
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
    async with answering(busy, asked.append) as port:
        config = a_unique_config(f"ws://127.0.0.1:{port}/ocpp", "CP-1", "CP-2")
        async with running_agent(tmp_path, config) as agent:
            first = await refusal(agent, "CP-1")
            assert len([head for head in asked if head]) == 1
            second = await refusal(agent, "CP-2")
            why = (await agent.station("CP-2"))["lastError"]["message"]

    assert (first.status, second.status) == (502, 503)
    assert second.header("Retry-After") == f"{LONGEST_TOLD_S:.0f}"
    assert re.search(r"next try in 1[12]\d s", why)  # the gate itself keeps to what the supervision asked for
    assert len([head for head in asked if head]) == 1


async def supervision_until(stop: trio.Event, *, task_status: trio.TaskStatus[str]) -> None:
    """Run a supervision until `stop`."""
    async with open_supervision() as supervision:
        task_status.started(supervision.url)
        await stop.wait()


async def refusal(agent: RunningAgent, identity: str) -> HandshakeRefused:
    """Return how a station is refused."""
    with pytest.raises(HandshakeRefused) as refused:
        async with connect_station(agent.url(identity)):
            pass
    return refused.value


async def test_r6_a_supervision_that_chooses_no_subprotocol_is_502(tmp_path: Path) -> None:
    async with (
        open_supervision(fail="no-subprotocol") as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
    ):
        with pytest.raises(HandshakeRefused) as refused:
            async with connect_station(agent.url("CP-1")):
                pass

        assert refused.value.status == 502
        assert (await agent.station("CP-1"))["lastError"]["class"] == "subprotocol"


async def test_r7_a_second_connection_of_an_identity_replaces_the_first(tmp_path: Path, way: Way) -> None:
    async with (
        way.open_supervision() as supervision,
        way.running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        way.connect_station(agent, "CP-1") as first,
        way.connect_station(agent, "CP-1") as second,
    ):
        assert (await first.wait_closed()).code == 1000
        assert (await run_session(second)).completed
        assert (await agent.station("CP-1"))["connected"] is True
        assert list(supervision.connections) == ["CP-1"]


async def test_r9_both_legs_speak_tls_and_verify(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    root = authority.cert_pem.bytes().decode()
    async with open_supervision(ssl_context=server) as supervision:
        url = supervision.url.replace("127.0.0.1", "localhost")
        async with (
            running_agent(tmp_path, a_unique_config(url, trust=[root])) as agent,
            connect_station(agent.url("CP-1")) as station,
        ):
            assert (await run_session(station)).completed


async def test_r9_a_supervision_of_an_unknown_root_gets_no_connection(tmp_path: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(server)
    other_root = trustme.CA().cert_pem.bytes().decode()
    async with open_supervision(ssl_context=server) as supervision:
        url = supervision.url.replace("127.0.0.1", "localhost")
        async with running_agent(tmp_path, a_unique_config(url, trust=[other_root])) as agent:
            with pytest.raises(HandshakeRefused) as refused:
                async with connect_station(agent.url("CP-1")):
                    pass

            error = (await agent.station("CP-1"))["lastError"]
            assert refused.value.status in (502, 503)  # 503 when the agent's own probe was first
            assert error["class"] == "tls"
            assert "certificate" in error["message"]
