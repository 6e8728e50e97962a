"""Relays as processes: the real agent, and what it is measured against. Each runs until its block ends."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import cores, free_port, on_core
from benchmarks.yardsticks import nginx

ROOT: Final = Path(__file__).parent.parent
NODE: Final = ROOT / "benchmarks" / "yardsticks" / "node"
STATIONS: Final = 100
BACKLOG: Final = 4096
PASSWORD: Final = b"correct-horse-battery"
"""Of every station, where there is TLS: profile 2 wants one."""
UP_WITHIN_S: Final = 20.0
DOWN_WITHIN_S: Final = 15.0

_SITE: Final = """\
version: 1
site: benchmark
timeZone: UTC
supervision: unique
supervisions: {{acme: {{url: "{scheme}://localhost:{supervision}/ocpp", pingInterval: 60{trust}}}}}
listeners: {{lan: {{address: 127.0.0.1, port: {listener}{profile}}}}}
stations: {{{stations}}}
"""
_TRUST: Final = ", trust: [certificates/ca.pem]"
_PROFILE: Final = ", securityProfile: 2, certificate: {chain: certificates/relay-chain.pem, key: {secret: relay-key}}"
_STATION: Final = "{pingInterval: 0}"
_STATION_TLS: Final = "{pingInterval: 0, password: {secret: station}}"


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay: its process, where stations come to, and the socket on which it finds its supervision."""

    name: str
    pid: int
    port: int
    supervision: socket.socket


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """A running agent: its process, and where stations come to."""

    pid: int
    port: int


@contextmanager
def agent(folder: Path, stations: int = STATIONS, certificates: Path | None = None) -> Iterator[Relay]:
    """Run the real agent; `folder` is empty. With `certificates`, TLS on both sides."""
    supervision = listening()
    with supervision, agent_process(folder, stations, _port(supervision), certificates) as running:
        yield Relay("the agent", running.pid, running.port, supervision)


@contextmanager
def agent_process(
    folder: Path, stations: int, supervision_port: int, certificates: Path | None = None
) -> Iterator[AgentProcess]:
    """Run the real agent, on a bundle that the real compiler made, until the block ends; `folder` is empty.

    Its stations are CP-0000 and so on, all of one supervision, and are not pinged.
    """
    port = free_port()
    with agent_on(folder, _compile(folder, stations, port, supervision_port, certificates), port) as agent:
        yield agent


@contextmanager
def agent_on(folder: Path, bundle: Path, port: int) -> Iterator[AgentProcess]:
    """Run the real agent on a bundle whose listener has `port`, until the block ends; its state is in `folder`."""
    command = [str(_BIN / "pointsman-agent"), "run", "--bundle", str(bundle)]
    command += ["--site", "benchmark", "--allow-unsigned", "--state", str(folder / "state")]
    command += ["--admin", "127.0.0.1:0", "--log-level", "error"]
    with _running(command, port) as pid:
        yield AgentProcess(pid, port)


def compiled(sites: Path, site: str, out: Path, *, sequence: int = 1) -> Path:
    """Write `site` into the folder `sites`, let the real compiler compile it, and return the bundle's path in `out`."""
    (sites / "benchmark.yaml").write_text(site)
    command = [str(_BIN / "pointsman"), "compile", str(sites), "--out", str(out), "--sequence", str(sequence)]
    subprocess.run(command, check=True, timeout=UP_WITHIN_S)
    return out / "benchmark.bundle"


@contextmanager
def yardstick() -> Iterator[Relay]:
    """Run the least relay that trio-websocket allows."""
    port, supervision = free_port(), listening()
    module = "benchmarks.yardsticks.bare_trio_websocket"
    with supervision, _running([sys.executable, "-m", module, str(port), str(_port(supervision))], port) as pid:
        yield Relay("trio-websocket", pid, port, supervision)


@contextmanager
def node_ws(certificates: Path | None = None) -> Iterator[Relay]:
    """Run the least relay that node's ws allows."""
    port, supervision = free_port(), listening()
    command = [shutil.which("node") or "node", str(NODE / "relay.js"), str(port), str(_port(supervision))]
    if certificates is not None:
        command.append(str(certificates))
    with supervision, _running(command, port) as pid:
        yield Relay("node", pid, port, supervision)


def why_no_node() -> str | None:
    """Return why node's ws cannot run here, None when it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    return None if (NODE / "node_modules" / "ws").is_dir() else f"run `npm ci` in {NODE.relative_to(ROOT)}"


@contextmanager
def nginx_tunnel(folder: Path, certificates: Path | None = None) -> Iterator[Relay]:
    """Run nginx as a websocket proxy; `folder` is empty and ours for the time."""
    port, supervision = free_port(), listening()
    path = folder / "nginx.conf"
    path.write_text(nginx.configuration(folder, port, _port(supervision), certificates))
    command = [nginx.find() or "nginx", "-p", str(folder), "-c", str(path), "-e", "stderr"]
    with supervision, _running(command, port) as pid:
        yield Relay("nginx", pid, port, supervision)


def why_no_nginx() -> str | None:
    """Return why nginx cannot run here, None when it can."""
    return "nginx is not installed" if nginx.find() is None else None


def listening() -> socket.socket:
    """Return a listening socket for a supervision, on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


_BIN: Final = Path(sys.executable).parent


def _compile(folder: Path, stations: int, port: int, supervision_port: int, certificates: Path | None) -> Path:
    """Write the site and its secrets, and compile it; return the bundle's path."""
    is_tls = certificates is not None
    sites, secrets = folder / "sites", folder / "state" / "secrets"
    sites.mkdir()
    if certificates is not None:
        shutil.copytree(
            certificates,
            sites / "certificates",
            ignore=shutil.ignore_patterns("*-key.pem", "relay.pem", "supervision.pem"),
        )
        secrets.mkdir(parents=True, mode=0o700)
        (secrets / "relay-key").write_bytes((certificates / "relay-key.pem").read_bytes())
        (secrets / "station").write_bytes(PASSWORD)
    site = _SITE.format(
        scheme="wss" if is_tls else "ws",
        supervision=supervision_port,
        trust=_TRUST if is_tls else "",
        listener=port,
        profile=_PROFILE if is_tls else "",
        stations=", ".join(f"CP-{number:04}: {_STATION_TLS if is_tls else _STATION}" for number in range(stations)),
    )
    return compiled(sites, site, folder)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """Run `command` until the block ends; yields its process id once something listens on `port`."""
    # What a relay says when its peers leave at the end of a round is of no interest; where it fails, a round fails.
    with on_core(cores()[0]):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    with process:
        try:
            _wait_open(process, port)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DOWN_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_open(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args!r} does not listen on port {port}")
