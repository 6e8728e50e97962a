"""What is measured of the relay: relays up, interleaved rounds of load, lines of the goals table."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import relaying
from benchmarks.machine import cores, on_core
from benchmarks.relay_load import Scenario, Seen, Work
from benchmarks.relaying import ROOT, Relay
from benchmarks.report import Amount, Figure, LeftOut, Line, Round

ROUNDS: Final = 3
ROUND_WITHIN_S: Final = 90.0
MANY: Final = 1000
MOST: Final = 5000
WITH_TLS: Final = 320
HEATED: Final = 256
"""Stations that come and go beforehand: what many handshakes at once take is taken once."""
WARM: Final = 20
"""Stations that came before memory is compared: what the first one costs is not what a station costs."""
KIB: Final = 1024

AGENT: Final = "agent"
TRIO: Final = "trio-websocket"
NODE: Final = "node"
NGINX: Final = "nginx"
PEERS: Final = {
    TRIO: "a bare relay on trio-websocket",
    NODE: "a bare relay on node's ws",
    NGINX: "nginx as a websocket proxy",
}

_FULL: Final = Work(0.7)
_SEGMENTS: Final = Work(0.4, burst=4)
_PACED: Final = Work(1.2, calls_a_second=1000)
_BURSTS: Final = Work(0.8, calls_a_second=1000, at_once=4)

Relays = Mapping[str, Relay]
Rounds = Mapping[str, Sequence[Seen]]


def hundred(folder: Path) -> Iterator[Line]:
    """100 stations without TLS: CPU a message at full load and in bursts, round trips at a steady pace."""
    with ExitStack() as stack:
        relays, missing = _started(stack, folder, None)
        with_nginx = {name: relay for name, relay in relays.items() if name in (AGENT, NGINX)}
        others = {name: relay for name, relay in relays.items() if name not in with_nginx}
        rounds: dict[str, list[Seen]] = {name: [] for name in relays}
        for _ in range(ROUNDS):
            _round(rounds, with_nginx, [relaying.STATIONS], [_FULL, _SEGMENTS, _PACED, _BURSTS])
            _round(rounds, others, [relaying.STATIONS], [_FULL])
    name = "CPU a message, 100 stations"
    for peer, goal in ((TRIO, 1 / 7), (NODE, 0.85), (NGINX, 1.7)):
        yield _line(rounds, missing, f"{name}: {peer}", "µs", peer, goal, lambda seen: seen.works[0].cpu_us)
    yield from _beside_nginx(rounds, missing)


def _beside_nginx(rounds: Rounds, missing: Mapping[str, str]) -> Iterator[Line]:
    name = "CPU a message, bursts of 4 stations, 2,000 messages a second: nginx"
    yield _line(rounds, missing, name, "µs", NGINX, 1.15, lambda seen: seen.works[3].cpu_us)
    # OCPP has one request open a station, and the agent sees to that (rule 12): a tunnel does not.
    name = "CPU a message, 4 requests of a station in one segment: nginx"
    yield _line(rounds, missing, name, "µs", NGINX, None, lambda seen: seen.works[1].cpu_us)
    name = "round trip at 2,000 messages a second, the clock's, {}: nginx"
    yield _line(rounds, missing, name.format("p50"), "µs", NGINX, 1.15, lambda seen: seen.works[2].p50_us)
    yield _line(rounds, missing, name.format("p99"), "µs", NGINX, 2.0, lambda seen: seen.works[2].p99_us)


def thousand(folder: Path) -> Iterator[Line]:
    """1,000 stations without TLS, which all connect anew in each round."""
    with ExitStack() as stack:
        relays = {
            AGENT: stack.enter_context(relaying.agent(_made(folder / AGENT), MANY)),
            TRIO: stack.enter_context(relaying.yardstick()),
        }
        rounds: dict[str, list[Seen]] = {name: [] for name in relays}
        for _ in range(ROUNDS):
            _round(rounds, relays, [MANY], [_FULL])
    cpu, connect = f"CPU a message, {MANY:,} stations: {TRIO}", f"reconnect storm, CPU a station: {TRIO}"
    yield _line(rounds, {}, cpu, "µs", TRIO, 1 / 12, lambda seen: seen.works[0].cpu_us)
    yield _line(rounds, {}, connect, "µs", TRIO, 1 / 1.2, lambda seen: seen.connect_cpu_us)


def with_tls(folder: Path, certificates: Path) -> Iterator[Line]:
    """100 stations, TLS 1.3 on both sides."""
    with ExitStack() as stack:
        relays, missing = _started(stack, folder, certificates)
        rounds: dict[str, list[Seen]] = {name: [] for name in relays}
        for _ in range(ROUNDS):
            _round(rounds, relays, [relaying.STATIONS], [_FULL], certificates)
    name = "CPU a message, 100 stations, TLS on both sides"
    for peer, goal in ((NGINX, 1.6), (NODE, 0.85)):
        yield _line(rounds, missing, f"{name}: {peer}", "µs", peer, goal, lambda seen: seen.works[0].cpu_us)
    for peer in (NGINX, NODE):
        line = f"handshakes, CPU a station, TLS on both sides: {peer}"
        yield _line(rounds, missing, line, "µs", peer, None, lambda seen: seen.connect_cpu_us)


def growth(folder: Path, descriptors: int) -> Iterator[Line]:
    """One agent whose stations become ever more: memory a station, and CPU a message beside that at 100."""
    most = MOST if descriptors > 2 * MOST + 200 else MANY
    steps = [WARM, relaying.STATIONS, MANY, MOST]
    with relaying.agent(_made(folder), most) as relay:
        _loaded(relay, [HEATED], [Work(0.3)])
        seen = _loaded(relay, [step for step in steps if step <= most], [Work(0.4)] * ROUNDS)
    yield from _memory(seen, 4.0, "without TLS")
    if most < MOST:
        why = f"{MOST:,} stations need {2 * MOST + 200:,} descriptors, and there are {descriptors:,}"
        yield LeftOut(f"memory a station, {MOST:,} stations, without TLS", None, why)
    yield Amount(
        "memory a station, most stations by 1,000", "times", _kib(seen[-1], seen[0]) / _kib(seen[2], seen[0]), 1.2
    )
    for step in seen[2:]:
        rounds = [Round(*pair) for pair in zip(_cpus(step), _cpus(seen[1]), strict=True)]
        goal = 1.5 if step.stations == MOST else None
        yield Figure(f"CPU a message, {step.stations:,} stations", "µs", "the agent at 100 stations", rounds, goal)


def growth_with_tls(folder: Path, certificates: Path) -> Iterator[Line]:
    """Memory a station with TLS on both sides."""
    with relaying.agent(_made(folder), WITH_TLS, certificates) as relay:
        _loaded(relay, [HEATED], [Work(0.3)], certificates)
        seen = _loaded(relay, [WARM, WITH_TLS], [Work(0.3)], certificates)
    yield from _memory(seen, None, "TLS on both sides")


def _memory(seen: Sequence[Seen], goal: float | None, name: str) -> Iterator[Line]:
    for step in seen[1:]:
        yield Amount(f"memory a station, {step.stations:,} stations, {name}", "KiB", _kib(step, seen[0]), goal)


def _kib(step: Seen, first: Seen) -> float:
    return (step.resident_bytes - first.resident_bytes) / (step.stations - first.stations) / KIB


def _cpus(step: Seen) -> list[float]:
    return [work.cpu_us for work in step.works]


def _started(stack: ExitStack, folder: Path, certificates: Path | None) -> tuple[Relays, Mapping[str, str]]:
    """Start the agent and its peers; return them, and why those that are missing are."""
    relays = {AGENT: stack.enter_context(relaying.agent(_made(folder / AGENT), relaying.STATIONS, certificates))}
    if certificates is None:
        relays[TRIO] = stack.enter_context(relaying.yardstick())
    missing = {NODE: relaying.why_no_node(), NGINX: relaying.why_no_nginx()}
    if missing[NODE] is None:
        relays[NODE] = stack.enter_context(relaying.node_ws(certificates))
    if missing[NGINX] is None:
        relays[NGINX] = stack.enter_context(relaying.nginx_tunnel(_made(folder / NGINX), certificates))
    return relays, {name: why for name, why in missing.items() if why is not None}


def _round(
    rounds: dict[str, list[Seen]],
    relays: Relays,
    stations: list[int],
    works: list[Work],
    certificates: Path | None = None,
) -> None:
    """Load each relay once, one after the other."""
    for name, relay in relays.items():
        rounds[name] += _loaded(relay, stations, works, certificates)


def _loaded(relay: Relay, stations: list[int], works: list[Work], certificates: Path | None = None) -> list[Seen]:
    """Run the load generator on a relay, on a core of its own."""
    inherited = relay.supervision.fileno()
    path = None if certificates is None else str(certificates)
    scenario = Scenario(relay.port, relay.pid, inherited, stations, works, path)
    command = [sys.executable, "-m", "benchmarks.relay_load", msgspec.json.encode(scenario).decode()]
    with on_core(cores()[1]):
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=ROUND_WITHIN_S,
            check=False,
            pass_fds=[inherited],
        )
    if done.returncode:
        raise SystemExit(f"the load of {relay.name} failed: {done.stderr}")
    return msgspec.convert(json.loads(done.stdout), list[Seen])


def _line(
    rounds: Rounds,
    missing: Mapping[str, str],
    name: str,
    unit: str,
    peer: str,
    goal: float | None,
    quantity: Callable[[Seen], float],
) -> Line:
    """Return the agent's figure beside that of a peer, or why there is none."""
    if peer in missing:
        return LeftOut(name, goal, missing[peer])
    pairs = [Round(quantity(ours), quantity(theirs)) for ours, theirs in zip(rounds[AGENT], rounds[peer], strict=True)]
    shares = [seen.works[0].share for who in (AGENT, peer) for seen in rounds[who]]
    return Figure(name, unit, PEERS[peer], pairs, goal, shares)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
