"""CPU time per message of the agent's relay, against the least relay that trio-websocket allows."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import free_port
from benchmarks.report import Figure, Round

ROOT: Final = Path(__file__).parent.parent
STATIONS: Final = 100
ROUNDS: Final = 3
SECONDS: Final = 4.0
UP_WITHIN_S: Final = 20.0
DOWN_WITHIN_S: Final = 15.0
ROUND_WITHIN_S: Final = 60.0

_SITE: Final = """\
version: 1
site: benchmark
timeZone: UTC
supervision: unique
supervisions: {{acme: {{url: "ws://127.0.0.1:{supervision}/ocpp", pingInterval: 60}}}}
listeners: {{lan: {{address: 127.0.0.1, port: {listener}}}}}
stations: {{{stations}}}
"""


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay: its process, where stations come to, and the socket on which it finds its supervision."""

    pid: int
    port: int
    supervision: socket.socket


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """A running agent: its process, and where stations come to."""

    pid: int
    port: int


def measure(folder: Path) -> Figure:
    """Return the figure; `folder` is empty and ours for the time."""
    with ExitStack() as stack:
        ours = stack.enter_context(agent(folder))
        bare = stack.enter_context(yardstick())
        rounds = [Round(_cpu_us(ours), _cpu_us(bare)) for _ in range(ROUNDS)]
    name = f"relay, CPU a message, {STATIONS} stations"
    return Figure(name, "µs", "a bare relay on trio-websocket", rounds)


def _cpu_us(relay: Relay) -> float:
    """Load a relay for one round and return its CPU time a message in µs."""
    arguments = {
        "--relay": relay.port,
        "--supervision": relay.supervision.fileno(),
        "--pid": relay.pid,
        "--stations": STATIONS,
        "--seconds": SECONDS,
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.load_generator",
            *(str(part) for pair in arguments.items() for part in pair),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=ROUND_WITHIN_S,
        check=False,
        pass_fds=[relay.supervision.fileno()],
    )
    if done.returncode:
        raise SystemExit(f"the load generator failed: {done.stderr}")
    seen: Mapping[str, float] = json.loads(done.stdout)
    return seen["cpu_s"] / seen["messages"] * 1e6


@contextmanager
def agent(folder: Path) -> Iterator[Relay]:
    """Run the real agent with STATIONS stations until the block ends."""
    supervision = listening()
    with supervision, agent_process(folder, STATIONS, _port(supervision)) as running:
        yield Relay(running.pid, running.port, supervision)


@contextmanager
def agent_process(folder: Path, stations: int, supervision_port: int) -> Iterator[AgentProcess]:
    """Run the real agent, on a bundle that the real compiler made, until the block ends; `folder` is empty.

    Its stations are CP-0000 and so on, all of one supervision, and are not pinged.
    """
    port = free_port()
    entries = ", ".join(f"CP-{number:04}: {{pingInterval: 0}}" for number in range(stations))
    sites = folder / "sites"
    sites.mkdir()
    site = _SITE.format(supervision=supervision_port, listener=port, stations=entries)
    (sites / "benchmark.yaml").write_text(site)
    bin_folder = Path(sys.executable).parent
    compiler = str(bin_folder / "pointsman")
    subprocess.run([compiler, "compile", sites, "--out", folder, "--sequence", "1"], check=True, timeout=UP_WITHIN_S)
    command = [str(bin_folder / "pointsman-agent"), "run", "--bundle", str(folder / "benchmark.bundle")]
    command += ["--site", "benchmark", "--allow-unsigned", "--state", str(folder / "state")]
    command += ["--admin", "127.0.0.1:0", "--log-level", "error"]
    with _running(command, port) as pid:
        yield AgentProcess(pid, port)


@contextmanager
def yardstick() -> Iterator[Relay]:
    """Run the least relay until the block ends."""
    port, supervision = free_port(), listening()
    module = "benchmarks.yardsticks.bare_trio_websocket"
    with supervision, _running([sys.executable, "-m", module, str(port), str(_port(supervision))], port) as pid:
        yield Relay(pid, port, supervision)


def listening() -> socket.socket:
    """Return a listening socket for a supervision, on a free port of loopback."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


def _port(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[int]:
    """Run `command` until the block ends; yields its process id once something listens on `port`."""
    # What a relay says when its peers leave at the end of a round is of no interest; where it fails, a round fails.
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
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
