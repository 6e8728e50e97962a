"""The load generator against every relay that runs here: real processes, short rounds."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from benchmarks import relaying
from benchmarks.certificates import write_certificates
from benchmarks.machine import cpu_seconds, free_port
from benchmarks.relay_load import Scenario, Seen, Work, percentile
from benchmarks.relaying import ROOT, Relay, listening

WITHIN_S = 50.0


def generate_load(
    relay: int, supervision: socket.socket, pid: int, *works: Work, certificates: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    path = None if certificates is None else str(certificates)
    scenario = Scenario(relay, pid, supervision.fileno(), [3, 5], list(works), path)
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.relay_load", msgspec.json.encode(scenario).decode()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
        pass_fds=[supervision.fileno()],
    )


@contextmanager
def running(kind: str, folder: Path, certificates: Path | None) -> Iterator[Relay]:
    """Run a relay, or skip the test where it is not installed."""
    missing = {"node": relaying.why_no_node(), "nginx": relaying.why_no_nginx()}.get(kind)
    if missing is not None:
        pytest.skip(missing)
    (folder / "relay").mkdir()
    with ExitStack() as stack:
        match kind:
            case "agent":
                yield stack.enter_context(relaying.agent(folder / "relay", 5, certificates))
            case "trio-websocket":
                yield stack.enter_context(relaying.yardstick())
            case "node":
                yield stack.enter_context(relaying.node_ws(certificates))
            case _:
                yield stack.enter_context(relaying.nginx_tunnel(folder / "relay", certificates))


@pytest.mark.parametrize("kind", ["agent", "trio-websocket", "node", "nginx"])
def test_stations_exchange_messages_through_a_relay_and_its_cpu_time_is_counted(kind: str, tmp_path: Path) -> None:
    works = [Work(0.2), Work(0.2, burst=4), Work(0.2, calls_a_second=100, at_once=4)]

    with running(kind, tmp_path, None) as relay:
        done = generate_load(relay.port, relay.supervision, relay.pid, *works)
        used_s = cpu_seconds(relay.pid)

    assert done.returncode == 0, done.stderr
    three, five = msgspec.convert(json.loads(done.stdout), list[Seen])
    assert (three.stations, five.stations) == (3, 5)
    counted_s = sum(each.cpu_us * each.messages_a_second * 0.2 / 1e6 for each in (*three.works, *five.works))
    assert 0 < counted_s <= used_s * 1.2  # a slice takes a little longer than it is asked to
    assert five.resident_bytes > 1_000_000
    assert 0 < five.works[2].p50_us <= five.works[2].p99_us


@pytest.mark.parametrize("kind", ["agent", "node", "nginx"])
def test_messages_pass_with_tls_on_both_sides(kind: str, tmp_path: Path) -> None:
    certificates = write_certificates(tmp_path / "certificates")

    with running(kind, tmp_path, certificates) as relay:
        done = generate_load(relay.port, relay.supervision, relay.pid, Work(0.2), certificates=certificates)

    assert done.returncode == 0, done.stderr
    assert msgspec.convert(json.loads(done.stdout), list[Seen])[-1].works[0].messages_a_second > 0


def test_a_relay_that_is_not_there_is_a_failure_not_a_figure() -> None:
    with listening() as supervision:
        done = generate_load(free_port(), supervision, 1, Work(0.1))

    assert done.returncode != 0
    assert done.stdout == ""


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(1, 201)]

    assert percentile(values, 50) == 100.0
    assert percentile(values, 99) == 198.0
    assert percentile([7.0], 99) == 7.0
