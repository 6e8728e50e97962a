"""The agent under a long load of stations that come, go and misbehave: `python -m support.soak --minutes 30`.

Peers live in processes of their own (see `soakpeers`) and hold every text that arrives against the one that was sent.
Here the agent's memory and descriptors are watched. Prints figures, and a verdict; ends with 1 when something was lost
or altered, a link ended by itself, or memory or descriptors grow.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio
import trustme
from pointsman_schema.bundle import Config, KeyPair
from support.processes import AgentProcess, agent_process
from support.sites import a_config, a_listener, a_remote_group, a_station, a_supervision, free_port

PROCESSES: Final = 2
TLS_EVERY: Final = 4  # one station of so many has TLS on both legs
SAMPLE_EVERY_S: Final = 2.0
WARM_UP_SHARE: Final = 0.4  # of the time, but no longer than:
LONGEST_WARM_UP_S: Final = 180.0
MOST_GROWTH_BYTES: Final = 12 * 1024 * 1024  # between the first and the last third after the warm-up ...
MOST_GROWTH_SHARE: Final = 0.05  # ... and in proportion
GIVEN_BACK_WITHIN_S: Final = 20.0
PARTS_WITHIN_S: Final = 120.0
SPARE_DESCRIPTORS: Final = 600  # handshakes under way, junk, links that are replaced


@dataclass(slots=True)
class Totals:
    """What all processes of peers have counted."""

    texts: int = 0
    bytes: int = 0
    cut_off: int = 0
    links: int = 0
    refused: int = 0
    live: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, seen: dict[str, Any]) -> None:
        """Add what one process said."""
        for name in ("texts", "bytes", "cut_off", "links", "refused", "live"):
            setattr(self, name, getattr(self, name) + seen[name])
        self.ends.update(seen["ends"])
        self.faults += seen["faults"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The agent at one moment."""

    at_s: float
    resident_bytes: int
    descriptors: int


class PeersProcess:
    """One running process of peers; it says its ports at once."""

    def __init__(self, process: "subprocess.Popen[str]", certificates: Path) -> None:
        self._process = process
        self._tell({"certificates": str(certificates)})
        self.plain_port, self.tls_port = self._line()

    def begin(self, port: int, identities: dict[str, int], seed: int) -> None:
        """Let the stations come, each to its port of the agent."""
        self._tell({"port": port, "identities": identities, "seed": seed})

    def ask(self, totals: Totals) -> None:
        """Add what was seen so far."""
        self._write("\n")
        totals.add(self._line())

    def end(self, totals: Totals) -> None:
        """Let all links end, and add what was seen in all."""
        self._write("stop\n")
        totals.add(self._line())

    def _tell(self, what: dict[str, Any]) -> None:
        self._write(json.dumps(what) + "\n")

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a process of peers has failed")
        return json.loads(line)


@contextmanager
def peers_process(certificates: Path) -> Iterator[PeersProcess]:
    """Run peers until the block ends."""
    command = [sys.executable, "-m", "support.soakpeers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield PeersProcess(process, certificates)
        finally:
            process.kill()


class Site:
    """Certificates, ports and the configuration of one soak."""

    def __init__(self, folder: Path, stations: int) -> None:
        self.folder = folder
        self.plain_port, self.tls_port = free_port(), free_port()
        self.identities = [f"{'S' if number % TLS_EVERY else 'T'}-{number:05}" for number in range(stations)]
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "supervision.pem")
        self._root = authority.cert_pem.bytes().decode()
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems).decode()
        self._pair = KeyPair(chain=chain, key="listener-key")
        self.secrets = {"listener-key": issued.private_key_pem.bytes()}

    def port_of(self, identity: str) -> int:
        """Return the listener to which a station connects."""
        return self.tls_port if identity.startswith("T") else self.plain_port

    def share(self, process: int) -> dict[str, int]:
        """Return the stations of one process, with their ports."""
        return {identity: self.port_of(identity) for identity in self.identities[process::PROCESSES]}

    def config(self, peers: list[PeersProcess]) -> Config:
        """Return a configuration in which every process operates its own stations, plain and under TLS."""
        supervisions, stations = {}, {}
        for number, each in enumerate(peers):
            url = f"ws://127.0.0.1:{each.plain_port}/ocpp"
            supervisions[f"s{number}"] = a_supervision(url)
            url = f"wss://127.0.0.1:{each.tls_port}/ocpp"
            supervisions[f"t{number}"] = a_supervision(url, trust=[self._root])
            for identity in self.share(number):
                operator = f"{identity[0].lower()}{number}"
                stations[identity] = a_station(operator, operator)
        return a_config(
            supervisions=supervisions,
            groups={name: a_remote_group(name) for name in supervisions},
            stations=stations,
            badges={},
            listeners={
                "lan": a_listener(self.plain_port),
                "secure": a_listener(self.tls_port, security_profile=2, certificate=self._pair),
            },
        )


async def soak(folder: Path, stations: int, seconds: float, seed: int) -> list[str]:
    """Run it; print figures; return what was wrong."""
    site = Site(folder, stations)
    with ExitStack() as stack:
        peers = [stack.enter_context(peers_process(folder)) for _ in range(PROCESSES)]
        async with agent_process(folder, site.config(peers), secrets=site.secrets) as agent:
            before = agent.descriptors()
            for number, each in enumerate(peers):
                each.begin(site.plain_port, site.share(number), seed + number)
            samples = await _watch(agent, peers, seconds)
            totals = Totals()
            with trio.fail_after(PARTS_WITHIN_S):
                for each in peers:
                    await trio.to_thread.run_sync(each.end, totals, abandon_on_cancel=True)
            left = await _descriptors_left(agent, before)
    _print_totals(totals, seconds)
    return _verdict(samples, totals, stations, left)


async def _watch(agent: AgentProcess, peers: list[PeersProcess], seconds: float) -> list[Sample]:
    began = trio.current_time()
    samples: list[Sample] = []
    while (at := trio.current_time() - began) < seconds:
        samples.append(Sample(at, agent.resident_bytes(), agent.descriptors()))
        if len(samples) % 8 == 0:
            totals = Totals()
            for each in peers:
                await trio.to_thread.run_sync(each.ask, totals, abandon_on_cancel=True)
            _print_sample(samples[-1], totals)
        await trio.sleep(SAMPLE_EVERY_S)
    return samples


async def _descriptors_left(agent: AgentProcess, before: int) -> int:
    """Return how many descriptors more than before the agent has, once it had time to give them back."""
    with trio.move_on_after(GIVEN_BACK_WITHIN_S):
        while agent.descriptors() > before:  # noqa: ASYNC110 - descriptors tell nobody when they close
            await trio.sleep(0.1)
    return agent.descriptors() - before


def _verdict(samples: list[Sample], totals: Totals, stations: int, left: int) -> list[str]:
    warm = [each for each in samples if each.at_s >= min(samples[-1].at_s * WARM_UP_SHARE, LONGEST_WARM_UP_S)]
    third = max(1, len(warm) // 3)
    first, last = (statistics.median(each.resident_bytes for each in part) for part in (warm[:third], warm[-third:]))
    most = max(each.descriptors for each in samples)
    bound = first * (1 + MOST_GROWTH_SHARE) + MOST_GROWTH_BYTES
    print(f"agent: {_mib(first)} MiB once warm, {_mib(last)} MiB at the end (bound {_mib(bound)}); ", end="")
    print(f"{most} descriptors at most, {left} more than before once all had gone")
    wrong = [*totals.faults]
    if totals.live:
        wrong.append(f"{totals.live} links did not end")
    if last > bound:
        wrong.append(f"memory grew from {_mib(first)} to {_mib(last)} MiB")
    if most > 2 * stations + SPARE_DESCRIPTORS:
        wrong.append(f"{most} descriptors for {stations} stations")
    if left > 0:
        wrong.append(f"{left} descriptors were not given back")
    if totals.links < stations:
        wrong.append(f"only {totals.links} links of {stations} stations came about")
    return wrong


def _print_sample(sample: Sample, totals: Totals) -> None:
    print(
        f"{sample.at_s:6.0f} s  {totals.live} links up, {totals.links} made, {totals.refused} refused; "
        f"{totals.texts} texts, {totals.ends['faults']} faults; "
        f"agent {_mib(sample.resident_bytes)} MiB, {sample.descriptors} descriptors",
        flush=True,
    )


def _print_totals(totals: Totals, seconds: float) -> None:
    print(
        f"{totals.texts} texts ({_mib(totals.bytes)} MiB) arrived, {totals.texts / seconds:.0f} a second; "
        f"{totals.cut_off} were under way when a peer vanished or closed"
    )
    for plan, count in sorted(totals.ends.items()):
        print(f"  {count:7} {plan}")


def _mib(count: float) -> str:
    return f"{count / 1024 / 1024:.1f}"


def main() -> int:
    """Soak for so many minutes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--stations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pointsman-soak-") as folder:
        wrong = trio.run(soak, Path(folder), given.stations, given.minutes * 60, given.seed)
    for each in wrong:
        print(f"WRONG: {each}")
    print("verdict: " + (f"{len(wrong)} things are wrong" if wrong else "nothing lost, nothing altered, nothing grew"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
