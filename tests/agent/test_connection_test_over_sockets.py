"""Rule 51: the connection test of a supervision, with a real agent, real supervisions, and servers that are none."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from pointsman_agent.checktables import connection_test_text
from pointsman_agent.client import AgentRefused, ask_test
from pointsman_agent.tables import WIDTH
from pointsman_schema.bundle import Proxy, UplinkPassword
from pointsman_simulator.station import connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.heads import answering, open_proxy
from support.programs import agent_command
from support.sites import a_unique_config, free_port

WITHIN_S = 20.0
PASSWORD = "a-long-uplink-password"
OPENING = (
    b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


async def report_of(agent: RunningAgent, station: str | None = None) -> dict[str, Any]:
    """Return the report of a test of the supervision `acme`."""
    with trio.fail_after(WITHIN_S):
        return await trio.to_thread.run_sync(ask_test, agent.access, "acme", station)


def steps_of(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and verdicts, in order."""
    return [(step["step"], step["verdict"]) for step in report["steps"]]


async def test_r51_a_test_works_without_a_station_and_leaves_no_trace(tmp_path: Path) -> None:
    async with (
        open_supervision(stations=["CP-1"]) as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
    ):
        report = await report_of(agent)

        assert report["ok"]
        assert steps_of(report) == [("dns", "ok"), ("tcp", "ok"), ("http", "ok")]
        assert report["steps"][-1]["seen"] == "HTTP 404 to an identity of no station"
        assert all(step["milliseconds"] >= 0 and step["remedy"] == "" for step in report["steps"])
        assert report["certificate"] is None
        assert (await agent.status())["stationsConnected"] == 0


async def test_r51_tls_tells_the_certificate_also_of_a_server_that_is_not_believed(tmp_path: Path) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", common_name="csms.acme.example").configure_cert(server)
    root, other = (each.cert_pem.bytes().decode() for each in (authority, trustme.CA()))
    async with open_supervision(ssl_context=server) as supervision:
        url = supervision.url.replace("127.0.0.1", "localhost")
        async with running_agent(tmp_path, a_unique_config(url, trust=[root])) as agent:
            good = await report_of(agent)
            agent.write(a_unique_config(url, trust=[other]), sequence=2)
            await agent.reload()
            await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)
            bad = await report_of(agent)

        assert steps_of(good) == [("dns", "ok"), ("tcp", "ok"), ("tls", "ok"), ("http", "warn")]
        assert good["ok"]
        assert steps_of(bad) == [("dns", "ok"), ("tcp", "ok"), ("tls", "fail")]
        assert not bad["ok"]
        assert "`trust`" in bad["steps"][-1]["remedy"]
        assert good["certificate"] == bad["certificate"]
        assert "csms.acme.example" in good["certificate"]["subject"]
        assert good["certificate"]["expires"].endswith("Z")


async def test_r51_a_name_that_is_not_there_and_a_port_where_nobody_listens(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_unique_config(f"ws://127.0.0.1:{free_port()}/ocpp")) as agent:
        refused = await report_of(agent)
    (tmp_path / "other").mkdir()
    async with running_agent(tmp_path / "other", a_unique_config("ws://nowhere.invalid/ocpp")) as agent:
        unknown = await report_of(agent)

    assert steps_of(refused) == [("dns", "ok"), ("tcp", "fail")]
    assert "nothing listens there" in refused["steps"][-1]["remedy"]
    assert steps_of(unknown) == [("dns", "fail")]
    assert "nowhere.invalid" in unknown["steps"][0]["seen"]
    assert "DNS servers" in unknown["steps"][0]["remedy"]


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "ok", ""),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "fail", "ask its operator"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "fail", "no WebSocket at that path"),
        (b"HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\n\r\n", "fail", "check the path"),
        (b"HTTP/1.1 301 Moved\r\nLocation: wss://new.example/\r\nContent-Length: 0\r\n\r\n", "fail", "wss://new.example/"),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "warn", "later"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "fail", "not a WebSocket server"),
        (b"", "fail", "not a WebSocket server"),
        (None, "fail", "not a WebSocket server"),
    ],
)  # fmt: skip
async def test_r51_each_http_answer_has_its_verdict(
    tmp_path: Path, answer: bytes | None, verdict: str, words: str
) -> None:
    async with answering(answer) as port:
        config = a_unique_config(f"ws://127.0.0.1:{port}/ocpp?token=secret", connect_timeout=1)
        async with running_agent(tmp_path, config) as agent:
            report = await report_of(agent)

    assert steps_of(report)[-1] == ("http", verdict)
    assert words in report["steps"][-1]["remedy"]
    assert report["ok"] is (verdict != "fail")
    assert "secret" not in str(report)


async def test_r51_a_proxy_is_a_step_of_its_own(tmp_path: Path) -> None:
    async with open_supervision(stations=[]) as supervision, open_proxy(b"Basic aWQ6cGFzcw==") as proxy:
        config = a_unique_config(
            supervision.url, proxy=Proxy(url=f"http://id@127.0.0.1:{proxy.port}", password="proxy")
        )
        async with running_agent(tmp_path, config, secrets={"proxy": b"pass"}) as agent:
            good = await report_of(agent)
            (agent.secrets / "proxy").write_bytes(b"wrong")
            await agent.reload()
            while (bad := await report_of(agent))["ok"]:  # until the secret is read anew; bounded by the suite
                pass

    assert steps_of(good) == [("dns", "ok"), ("tcp", "ok"), ("proxy", "ok"), ("http", "ok")]
    assert steps_of(bad) == [("dns", "ok"), ("tcp", "ok"), ("proxy", "fail")]
    assert "user and password" in bad["steps"][-1]["remedy"]


async def test_r51_with_a_station_the_whole_handshake_is_made_with_its_own_password(tmp_path: Path) -> None:
    secrets = {"up": PASSWORD.encode()}
    async with open_supervision(password=PASSWORD, stations=["CP-1"]) as supervision:
        config = a_unique_config(supervision.url, password=UplinkPassword(secret="up", format="text"))
        async with running_agent(tmp_path, config, secrets=secrets) as agent:
            good = await report_of(agent, "CP-1")
            assert (await agent.status())["stationsConnected"] == 0
            supervision.behaviour.password = "another-password-now"
            bad = await report_of(agent, "CP-1")

    assert steps_of(good)[-1] == ("handshake", "ok")
    assert good["steps"][-1]["seen"] == "accepted, ocpp2.1"
    assert [link.station for link in supervision.past_connections] == ["CP-1"]
    assert steps_of(bad)[-1] == ("handshake", "fail")
    assert bad["steps"][-1]["seen"] == "HTTP 401"
    assert "password" in bad["steps"][-1]["remedy"]


async def test_r51_a_connected_station_is_left_alone(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        running_agent(tmp_path, a_unique_config(supervision.url)) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        with pytest.raises(AgentRefused, match="'CP-1' is connected"):
            await report_of(agent, "CP-1")

        assert (await run_session(station)).completed
        assert supervision.past_connections == []


async def test_r51_a_station_that_connects_while_its_handshake_is_tested_wins(tmp_path: Path) -> None:
    handshakes, asked = 0, trio.Event()
    refusals: list[str] = []

    def count(head: bytes) -> None:
        nonlocal handshakes
        if head.startswith(b"GET /ocpp/CP-1 "):  # not a probe, which says nothing
            handshakes += 1
            asked.set()

    async def test_it(agent: RunningAgent) -> None:
        with pytest.raises(AgentRefused) as refused:
            await report_of(agent, "CP-1")
        refusals.append(str(refused.value))

    async with answering(None, count) as port:
        config = a_unique_config(f"ws://127.0.0.1:{port}/ocpp", connect_timeout=60)
        async with running_agent(tmp_path, config) as agent, trio.open_nursery() as nursery:
            with trio.fail_after(WITHIN_S):
                nursery.start_soon(test_it, agent)
                await asked.wait()
                station = await trio.open_tcp_stream("127.0.0.1", agent.port)
                await station.send_all(OPENING)
                while not refusals or handshakes < 2:
                    await trio.testing.wait_all_tasks_blocked(0.01)
            await station.aclose()

    assert refusals == ["station 'CP-1' connected meanwhile: its link is the proof"]


@pytest.mark.parametrize(("supervision", "station"), [("volt", None), ("acme", "STRANGER")])
async def test_r51_what_the_bundle_does_not_have_is_refused_in_words(
    tmp_path: Path, supervision: str, station: str | None
) -> None:
    async with running_agent(tmp_path, a_unique_config("ws://127.0.0.1:1/ocpp")) as agent:
        with pytest.raises(AgentRefused, match=repr(station or supervision)):
            await trio.to_thread.run_sync(ask_test, agent.access, supervision, station)


async def test_r51_without_a_bundle_there_is_nothing_to_test(tmp_path: Path) -> None:
    async with running_agent(tmp_path, None) as agent:
        with pytest.raises(AgentRefused, match="no bundle"):
            await report_of(agent)


async def test_r51_the_command_says_where_it_ends_and_what_to_do_within_80_columns(tmp_path: Path) -> None:
    config = a_unique_config(f"ws://127.0.0.1:{free_port()}/a/rather/long/path/of/an/operator/that/likes/paths")
    async with running_agent(tmp_path, config) as agent:
        state = ["--state", str(agent.state)]
        done = await agent_command("test", "acme", *state)
        unknown = await agent_command("test", "volt", *state)
    gone = await agent_command("test", "acme", *state)

    assert (done.returncode, unknown.returncode, gone.returncode) == (1, 1, 4)
    assert "FAIL  tcp" in done.stdout
    assert "→ nothing listens there" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= WIDTH
    assert "there is: acme" in unknown.stderr


def test_a_report_is_as_wide_as_a_terminal_whatever_peers_say() -> None:
    report = {
        "supervision": "acme",
        "url": "wss://csms.acme.example/ocpp",
        "station": "LYO-03",
        "steps": [
            {"step": "tls", "verdict": "fail", "seen": "x " * 100 + "\x1b[31m", "milliseconds": 3, "remedy": "do " * 50}
        ],
        "certificate": {"subject": "CN=" + "x" * 200, "issuer": "CN=y", "expires": "2027-01-01T00:00:00Z"},
    }
    text = connection_test_text(report)

    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "\x1b" not in text
    assert "\x1b[1;31mFAIL\x1b[0m" in connection_test_text(report, colour=True)
