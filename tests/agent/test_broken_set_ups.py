"""Ten set-ups that are broken in the ways that controllers are: the doctor names the fault, and what to do about it."""

import shutil
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trustme
from click.testing import CliRunner
from pointsman_agent.advice import REFUSALS
from pointsman_agent.cli import main
from pointsman_agent.doctor.checks import Check
from pointsman_agent.doctor.examination import examine
from pointsman_agent.ports import Clock
from pointsman_agent.run import SystemClock
from pointsman_agent.verification import CODES
from pointsman_schema.bundle import Proxy
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent
from support.heads import open_proxy
from support.programs import COMMAND
from support.sites import LISTENER, SITE, a_config, a_listener, a_password, a_station, a_unique_config, free_port

WITHIN_S = 30.0


@dataclass(frozen=True)
class At:
    """A clock that stands at `moment`."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def agent(tmp_path: Path) -> RunningAgent:
    agent = RunningAgent(tmp_path, free_port())
    agent.state.mkdir(mode=0o700)
    return agent


async def fault(agent: RunningAgent, clock: Clock | None = None) -> Check:
    """Return the one thing that the doctor finds wrong."""
    with trio.fail_after(WITHIN_S):
        checks = await examine(agent.settings(), clock or SystemClock())
    (found,) = [check for check in checks if check.verdict != "ok"]
    assert found.remedy
    return found


async def test_1_a_secret_is_missing(agent: RunningAgent) -> None:
    agent.write(a_config(stations={"LOC-01": a_station(password=a_password("gate-password"))}))
    found = await fault(agent)

    assert (found.name, found.verdict) == ("secret", "fail")
    assert "gate-password" in found.seen
    assert "secrets folder" in found.remedy


async def test_2_the_port_is_in_use(agent: RunningAgent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        agent.write(a_config(listeners={LISTENER: a_listener(port)}))
        found = await fault(agent)

    assert (found.name, found.verdict) == (f"listener {LISTENER}", "fail")
    assert str(port) in found.seen
    assert "another program has it" in found.remedy


async def test_3_the_clock_is_that_of_a_board_without_battery(agent: RunningAgent) -> None:
    agent.write(a_config(), sequence=int(datetime.now(UTC).timestamp()))
    found = await fault(agent, At(datetime(1970, 1, 1, 0, 3, tzinfo=UTC)))

    assert (found.name, found.verdict) == ("clock", "fail")
    assert "before the bundle's sequence" in found.seen
    assert "time server" in found.remedy


async def test_4_the_certificate_of_the_supervision_has_expired(agent: RunningAgent) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1)).configure_cert(server)
    async with open_supervision(ssl_context=server, stations=[]) as supervision:
        url = supervision.url.replace("127.0.0.1", "localhost")
        agent.write(a_unique_config(url, trust=[authority.cert_pem.bytes().decode()]))
        found = await fault(agent)

    assert (found.name, found.verdict) == ("acme tls", "fail")
    assert "expired" in found.seen
    assert "renew the certificate" in found.remedy


async def test_5_the_host_of_the_supervision_has_no_address(agent: RunningAgent) -> None:
    agent.write(a_unique_config("ws://nowhere.invalid/ocpp"))
    found = await fault(agent)

    assert (found.name, found.verdict) == ("acme dns", "fail")
    assert "DNS" in found.remedy


async def test_6_nothing_listens_at_the_supervision(agent: RunningAgent) -> None:
    agent.write(a_unique_config(f"ws://127.0.0.1:{free_port()}/ocpp"))
    found = await fault(agent)

    assert (found.name, found.verdict) == ("acme tcp", "fail")
    assert "refused" in found.seen.lower()
    assert "nothing listens there" in found.remedy


async def test_7_the_proxy_wants_a_password_that_it_is_not_given(agent: RunningAgent) -> None:
    async with open_proxy(b"Basic Z3VhcmQ6a2V5") as proxy:
        through = Proxy(url=f"http://127.0.0.1:{proxy.port}", password=None)
        agent.write(a_unique_config("ws://csms.acme.example/ocpp", proxy=through))
        found = await fault(agent)

    assert (found.name, found.verdict) == ("acme proxy", "fail")
    assert "407" in found.seen
    assert "password" in found.remedy


@pytest.mark.skipif(shutil.which("unshare") is None, reason="util-linux is not installed")
async def test_8_the_state_folder_is_read_only(agent: RunningAgent, tmp_path: Path) -> None:
    """On a file system that is mounted read-only, which holds for root too."""
    own = ["unshare", "--user", "--map-root-user", "--mount"]
    if (await trio.run_process([*own, "true"], check=False, capture_stderr=True)).returncode != 0:
        pytest.skip("this machine lets nobody mount in a namespace of their own")
    agent.write(a_config())
    flags = ["--bundle", agent.bundle, "--site", SITE, "--allow-unsigned"]
    flags += ["--state", agent.state, "--secrets", agent.secrets]
    mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    with trio.fail_after(WITHIN_S):
        done = await trio.run_process(
            [*own, "sh", "-c", mount, str(agent.state), *COMMAND, "doctor", "--admin", "127.0.0.1:0", *map(str, flags)],
            check=False,
            capture_stdout=True,
        )

    assert done.returncode == 1
    words = " ".join(done.stdout.decode().split())
    assert "FAIL state folder" in words
    assert "Read-only file system" in words


async def test_9_the_bundle_is_another_sites(agent: RunningAgent) -> None:
    agent.write(a_config(), site="another-site")
    found = await fault(agent)

    assert (found.name, found.verdict) == ("bundle", "fail")
    assert "'another-site'" in found.seen
    assert "its own bundle" in found.remedy


@pytest.mark.parametrize(("trust", "words"), [([], "--trust FILE is needed"), (["gone.pub"], "No such file")])
def test_10_there_is_no_trust_key(agent: RunningAgent, trust: list[str], words: str) -> None:
    agent.write(a_config())
    flags = [flag for each in trust for flag in ("--trust", each)]
    done = CliRunner().invoke(main, ["doctor", "--bundle", str(agent.bundle), "--site", SITE, *flags])

    assert done.exit_code == 2
    assert words in done.stderr


def test_every_code_of_a_refused_bundle_has_a_remedy() -> None:
    assert sorted(REFUSALS) == sorted(CODES)
