"""The doctor: each fault is found before anything runs, with what to do; a healthy controller passes."""

import json
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization
from pointsman_agent.bundleurl import BundleUrl
from pointsman_agent.doctor.checks import Check
from pointsman_agent.doctor.examination import examine
from pointsman_agent.doctor.listeners import check_certificates
from pointsman_agent.doctor.network import check_clock
from pointsman_agent.doctor.state import LEAST_FREE_BYTES, check_state
from pointsman_agent.ports import StoredState
from pointsman_agent.run import SystemClock
from pointsman_agent.settings import Settings
from pointsman_agent.slots import Slots
from pointsman_agent.tables import WIDTH
from pointsman_schema.bundle import Config, KeyPair, UplinkPassword
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent
from support.bundleserver import answer, bundle_server
from support.fakes import NOON, FakeClock
from support.heads import answering
from support.programs import agent_command
from support.sites import LISTENER, a_config, a_listener, a_password, a_station, a_unique_config, free_port

WITHIN_S = 30.0
LIST = b"badge,authorized\n04A2B1C3D4E580,true\n,true\n"


@pytest.fixture
def agent(tmp_path: Path) -> RunningAgent:
    """An agent that is configured and not started, on a private state folder."""
    agent = RunningAgent(tmp_path, free_port())
    agent.state.mkdir(mode=0o700)
    return agent


async def findings(agent: RunningAgent, config: Config | None = None, **secrets: bytes) -> dict[str, Check]:
    """Return what the doctor finds, by name; a name that comes twice keeps its worst."""
    for name, content in secrets.items():
        (agent.secrets / name).write_bytes(content)
        (agent.secrets / name).chmod(0o600)
    if config is not None:
        agent.write(config)
    with trio.fail_after(WITHIN_S):
        checks = await examine(agent.settings(), SystemClock())
    order = {"ok": 0, "warn": 1, "fail": 2}
    found: dict[str, Check] = {}
    for check in sorted(checks, key=lambda check: order[check.verdict]):
        found[check.name] = check
        assert (check.verdict == "ok") == (check.remedy == ""), check
    return found


ANY_ADMIN = ("--admin", "127.0.0.1:0")


def faults(found: dict[str, Check]) -> dict[str, str]:
    """Return what is not ok: name and verdict."""
    return {name: check.verdict for name, check in found.items() if check.verdict != "ok"}


async def test_a_healthy_controller_passes(agent: RunningAgent) -> None:
    async with open_supervision(stations=["CP-1"]) as supervision:
        found = await findings(agent, a_unique_config(supervision.url))

    assert faults(found) == {}
    assert list(found) == [
        "state folder", "disk", "lock", "admin", "bundle", "clock", "secrets", "listener lan",
        "acme dns", "acme tcp", "acme http",
    ]  # fmt: skip
    assert "sequence 1" in found["bundle"].seen
    assert not (agent.state / "journal.sqlite3").exists()
    assert list(agent.state.iterdir()) == []


async def test_ports_of_the_running_agent_are_its_own(tmp_path: Path) -> None:
    async with running_agent(tmp_path, a_config()) as agent:
        found = await findings(agent)

    assert found["lock"].seen.startswith("an agent runs")
    assert found["listener lan"].seen.endswith("the running agent has it")
    assert faults(found) == {}


async def test_a_port_that_another_program_has_is_a_failure(agent: RunningAgent) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = await findings(agent, a_config(listeners={LISTENER: a_listener(port)}))

    assert faults(found) == {"listener lan": "fail"}
    assert f":{port}" in found["listener lan"].remedy


@pytest.mark.parametrize(
    ("address", "words"), [("203.0.113.7", "does not have that address"), ("no.such.host.invalid", "check `address`")]
)
async def test_an_address_that_the_controller_does_not_have(agent: RunningAgent, address: str, words: str) -> None:
    listener = a_listener(free_port(), address=address)
    found = await findings(agent, a_config(listeners={LISTENER: listener}))

    assert faults(found) == {"listener lan": "fail"}
    assert words in found["listener lan"].remedy


@pytest.mark.parametrize(
    ("secrets", "expected", "words"),
    [
        ({}, {"secret": "fail"}, "lay the secret down"),
        ({"loc": b"zz", "cards": b"badge\n"}, {"secrets": "fail"}, "lay the secret down"),
        ({"loc": b"00ff", "cards": LIST}, {"secrets": "fail"}, "mend that line"),
        ({"loc": b"00ff", "cards": b"badge,authorized\n04FF00FF,true\n"}, {}, ""),
    ],
)
async def test_secrets_are_read_as_the_agent_would(
    agent: RunningAgent, secrets: dict[str, bytes], expected: dict[str, str], words: str
) -> None:
    config = a_config(badge_lists=["cards"], stations={"LOC-01": a_station(password=a_password("loc", "hex"))})
    found = await findings(agent, config, **secrets)

    assert faults(found) == expected
    assert all(words in found[name].remedy for name in expected)
    assert "04A2B1C3D4E580" not in str(found)


async def test_a_secret_and_a_state_folder_open_to_everybody_are_told(agent: RunningAgent) -> None:
    config = a_config(stations={"LOC-01": a_station(password=a_password("loc"))})
    agent.state.chmod(0o755)
    agent.write(config)
    (agent.secrets / "loc").write_bytes(b"password")
    (agent.secrets / "loc").chmod(0o644)
    found = await findings(agent)

    assert faults(found) == {"state folder": "warn", "secret": "warn"}
    assert "chmod 700" in found["state folder"].remedy


@pytest.mark.parametrize(
    ("content", "code"), [(None, "No such file"), (b"{}", "no-envelope"), (b"x" * 9_000_000, "too-large")]
)
async def test_a_bundle_that_is_none(agent: RunningAgent, content: bytes | None, code: str) -> None:
    if content is not None:
        agent.bundle.write_bytes(content)
    found = await findings(agent)

    assert faults(found) == {"bundle": "fail"}
    assert code in found["bundle"].seen


async def test_a_bundle_of_another_key_another_site_or_an_older_one_is_refused_as_the_agent_would(
    agent: RunningAgent, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = RunningAgent(tmp_path / "other", agent.port)
    other.write(a_config())
    agent.bundle.write_bytes(other.bundle.read_bytes())
    assert (await findings(agent))["bundle"].seen.startswith("untrusted")

    agent.write(a_config(), site="another-site")
    assert (await findings(agent))["bundle"].seen.startswith("wrong-site")

    Slots(agent.state).save(StoredState(site="test-site", highest_sequence=5, highest_digest="x"))
    agent.write(a_config(), sequence=4)
    found = await findings(agent)
    assert found["bundle"].seen.startswith("old-sequence")
    assert "higher sequence" in found["bundle"].remedy

    Slots(agent.state).save(StoredState(site="third-site"))
    assert "belongs to 'third-site'" in (await findings(agent))["bundle"].seen


async def test_a_damaged_state_folder_is_found(agent: RunningAgent) -> None:
    (agent.state / "state.json").write_text("{damaged")
    found = await findings(agent, a_config())

    assert faults(found) == {"state": "fail"}
    assert "backup" in found["state"].remedy


def test_a_state_folder_that_is_not_there_yet_is_made_by_the_agent(tmp_path: Path) -> None:
    (check,) = check_state(tmp_path / "a" / "b")
    assert check.verdict == "ok"
    assert "is not there yet" in check.seen


def test_a_disk_that_is_full_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": LEAST_FREE_BYTES - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    disk = next(check for check in check_state(tmp_path) if check.name == "disk")
    assert disk.verdict == "fail"


async def test_a_supervision_that_is_not_to_be_had_fails_and_the_others_are_tried_too(agent: RunningAgent) -> None:
    config = a_unique_config("ws://nowhere.invalid/ocpp")
    dead = next(iter(config.supervisions.values()))
    async with open_supervision(stations=[]) as supervision:
        good = next(iter(a_unique_config(supervision.url).supervisions.values()))
        config.supervisions.clear()
        config.supervisions.update(acme=dead, volt=good)
        found = await findings(agent, config)

    assert faults(found) == {"acme dns": "fail"}
    assert found["volt http"].verdict == "ok"


async def test_tls_of_a_supervision_is_proven_with_its_own_roots(agent: RunningAgent) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    root, other = (each.cert_pem.bytes().decode() for each in (authority, trustme.CA()))
    async with open_supervision(ssl_context=server, stations=[]) as supervision:
        url = supervision.url.replace("127.0.0.1", "localhost")
        good = await findings(agent, a_unique_config(url, trust=[root]))
        bad = await findings(agent, a_unique_config(url, trust=[other]))

    assert good["acme tls"].verdict == "ok"
    assert "expires" in good["acme certificate"].seen
    assert faults(bad) == {"acme tls": "fail"}


@pytest.mark.parametrize(("seconds", "verdict"), [(0, "ok"), (-3600, "warn"), (3600, "warn")])
async def test_the_clock_is_held_against_the_supervisions(agent: RunningAgent, seconds: int, verdict: str) -> None:
    date = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answer = f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()
    async with answering(answer) as port:
        found = await findings(agent, a_unique_config(f"ws://127.0.0.1:{port}/ocpp"))

    assert found["acme clock"].verdict == verdict
    if seconds:
        assert ("ahead" in found["acme clock"].seen) == (seconds > 0)


def test_a_clock_before_what_has_happened_is_a_failure() -> None:
    assert check_clock(None, StoredState(activated_at="2026-11-22T11:00:00Z"), NOON).verdict == "ok"
    assert check_clock(None, StoredState(activated_at="2026-11-22T13:00:00Z"), NOON).verdict == "fail"


def issued(authority: trustme.CA, until: datetime | None = None) -> str:
    """Return a PEM chain of a server certificate."""
    leaf = authority.issue_cert("controller.example", not_after=until)
    return "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems) + authority.cert_pem.bytes().decode()


@pytest.mark.parametrize(
    ("days", "verdict"), [(-1, "fail"), (0, "warn"), (29, "warn"), (31, "ok")], ids=lambda value: str(value)
)
def test_r53_certificates_are_warned_of_thirty_days_ahead(days: int, verdict: str) -> None:
    now = datetime.now(UTC)
    chain = issued(trustme.CA(), now + timedelta(days=days, minutes=5))
    certificate = KeyPair(chain=chain, key="tls")
    listener = a_listener(9443, security_profile=2, certificate=certificate)
    (check,) = check_certificates(a_config(listeners={LISTENER: listener}), now)

    assert check.verdict == verdict
    assert check.name == "certificate lan"


def test_a_chain_in_the_wrong_order_and_an_unreadable_root_are_found() -> None:
    authority = trustme.CA()
    root = authority.cert_pem.bytes().decode()
    wrong = KeyPair(chain=root + issued(authority), key="tls")
    listener = a_listener(
        9443, security_profile=3, certificate=wrong, station_trust=["-----BEGIN CERTIFICATE-----\nxx\n"]
    )
    chain, station_root = check_certificates(a_config(listeners={LISTENER: listener}), FakeClock().now())

    assert (chain.verdict, station_root.verdict) == ("fail", "fail")
    assert "order the chain" in chain.remedy


async def test_the_command_exits_1_on_a_failure_and_fits_a_terminal(agent: RunningAgent, tmp_path: Path) -> None:
    public = agent.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "site.pub").write_bytes(public)
    password = UplinkPassword(secret="acme-{station}-with-a-rather-long-name", format="text")
    agent.write(a_unique_config(f"ws://127.0.0.1:{free_port()}/ocpp", password=password))
    flags = ["--bundle", str(agent.bundle), "--site", "test-site", "--state", str(agent.state)]
    flags += ["--secrets", str(agent.secrets), "--trust", str(tmp_path / "site.pub"), *ANY_ADMIN]
    text, as_json = (
        await agent_command("doctor", *flags),
        await agent_command("doctor", "--json", *flags),
    )
    usage = await agent_command("doctor", "--bundle", "x")

    found: dict[str, Any] = json.loads(as_json.stdout)
    assert (text.returncode, as_json.returncode, usage.returncode) == (1, 1, 2)
    assert not found["ok"]
    assert [check["check"] for check in found["checks"] if check["verdict"] == "fail"] == ["secret", "acme tcp"]
    assert "FAIL  secret" in text.stdout
    assert text.stdout.splitlines()[-1].endswith("2 failed")
    assert max(len(line) for line in text.stdout.splitlines()) <= WIDTH
    assert "--trust FILE is needed" in usage.stderr


async def test_settings_without_a_site_say_so(agent: RunningAgent) -> None:
    agent.write(a_config())
    settings = agent.settings()
    nameless = Settings(
        settings.bundle, None, settings.trusted, settings.state, settings.secrets, settings.admin_host, 0
    )
    checks = await examine(nameless, SystemClock())

    assert next(check for check in checks if check.name == "bundle").remedy == "give --site ID"


async def test_a_bundle_by_https_is_reached_believed_and_opened_or_it_says_what_to_do(agent: RunningAgent) -> None:
    agent.write(a_config())
    async with bundle_server(agent.bundle) as server:
        agent.place = BundleUrl(server.url, trust=server.root, token="token")
        good = await findings(agent, token=b"hush")
        (agent.secrets / "token").chmod(0o644)
        told = await findings(agent)
        server.script = lambda headers: answer(403)
        closed = await findings(agent)
        agent.place = BundleUrl(server.url)
        strange = await findings(agent)
    gone = await findings(agent)

    assert faults(good) == {}
    assert list(good)[4:7] == ["bundle url", "bundle certificate", "bundle"]
    assert faults(told) == {"secret": "warn"}
    assert closed["bundle url"].seen.startswith("unreadable: ")
    assert "--bundle-token" in closed["bundle url"].remedy
    assert "tls: certificate" in strange["bundle url"].seen
    assert "--bundle-trust" in strange["bundle url"].remedy
    assert gone["bundle url"].verdict == "fail"
    assert "bundle" not in gone


async def test_a_bundle_server_without_etags_and_a_client_certificate_without_use_are_told(
    agent: RunningAgent, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_text("no certificate")  # a few bytes
    envelope = agent.write(a_config())
    async with bundle_server(agent.bundle) as server:
        server.script = lambda headers: answer(200, {}, envelope)
        agent.place = BundleUrl(server.url, trust=server.root)
        tagless = await findings(agent)
        agent.place = BundleUrl(server.url, trust=server.root, certificate=chain, key="key")
        useless = await findings(agent, key=b"no key")

    assert faults(tagless) == {"bundle url": "warn"}
    assert faults(useless) == {"bundle client certificate": "fail", "bundle url": "fail"}
    assert useless["bundle url"].seen.startswith("tls-material: ")


async def test_a_taken_port_of_the_admin_interface_is_told(tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path, free_port())
    agent.write(a_config())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = replace(agent.settings(), admin_port=taken.getsockname()[1])
        checks = await examine(settings, SystemClock())

    (admin,) = (check for check in checks if check.name == "admin")
    assert admin.verdict == "fail"
    assert "choose another port" in admin.remedy
