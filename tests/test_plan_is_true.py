"""What a plan says of connections, and what a running agent does to them when it gets the second bundle.

Pairs of sites are generated, compiled and planned by the real compiler; real stations are connected through the real
agent to real supervisions, and then the sockets are looked at: at once, and for drops that come late. Many pairs at a
time, each with an agent of its own, wait for these together.
"""

import ssl
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import trio
import trustme
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.planning import Wish, make_plan
from pointsman_compiler.stores.folder import Folder
from pointsman_schema.bundle import Config
from pointsman_simulator.errors import LinkClosed, NoAnswer
from pointsman_simulator.station import Station, connect_station
from pointsman_simulator.supervision import open_supervision
from support.agents import running_agent
from support.sites import free_port
from support.trees import lay_out

AT: Final = datetime(2026, 11, 22, tzinfo=UTC)
STATIONS: Final = ("A", "B", "C", "D")
PASSWORD: Final = "a-password-of-a-station"
SECRETS: Final = ("one", "two")
AT_A_TIME: Final = 6
EXAMPLES: Final = 3
WITHIN_S: Final = 10.0
LATE_WITHIN_S: Final = 1.0
"""After the last drop that was planned; nothing in these bundles asks the agent to wait for anything."""


@dataclass(frozen=True)
class Written:
    """What differs between generated sites; what goes by STATIONS is a tuple, with "" for no such station or value."""

    path: str
    ping: int
    timeout: int
    forward: bool
    roots: str
    online: str
    title: str
    time_zone: str
    groups: str
    listener: str
    profile: int
    operators: tuple[str, ...]
    protocols: tuple[str, ...]
    passwords: tuple[str, ...]

    def text(self, ports: Mapping[str, int]) -> str:
        """The site's file; `ports` are those of the supervisions and of the listener."""
        there = [index for index, operator in enumerate(self.operators) if operator]
        groups = {
            operator: ", ".join(STATIONS[index] for index in there if self.operators[index] == operator)
            for operator in sorted({self.operators[index] for index in there})
        }
        strategy = {"acme": "", "volt": "", "local": f", authentication: {{online: {self.online}}}"}
        return "\n".join(
            [
                "version: 1",
                "site: test-site",
                f"title: {self.title}",
                f"timeZone: {self.time_zone}",
                "supervision: multiple",
                "activation: {spread: 0, probation: 10, drainLimit: 0}",
                "supervisions:",
                f"  acme: {{url: 'ws://127.0.0.1:{ports['acme']}/{self.path}', pingInterval: {self.ping}}}",
                f"  volt: {{url: 'wss://localhost:{ports['volt']}', messageTimeout: {self.timeout},"
                f" forwardSecurityEvents: {str(self.forward).lower()}, trust: {self.roots}}}",
                "groups:",
                *(
                    f"  {self.groups}{name}: {{operator: {name}, stations: [{names}]{strategy[name]}}}"
                    for name, names in groups.items()
                ),
                "stations:",
                *(f"  {STATIONS[index]}: {{{', '.join(self._station(index))}}}" for index in there),
                f"listeners: {{{self.listener}: {{address: 127.0.0.1, port: {ports['lan']},"
                f" securityProfile: {self.profile}}}}}",
                "",
            ]
        )

    def _station(self, index: int) -> Iterator[str]:
        yield f"protocols: {self.protocols[index]}"
        password = self.passwords[index] or (SECRETS[0] if self.profile else "")
        if password:
            yield f"password: {{secret: {password}}}"


OPERATORS = st.sampled_from(["acme", "acme", "volt", "local"])
WRITTEN = st.builds(
    Written,
    path=st.sampled_from(["one", "two"]),
    ping=st.sampled_from([30, 20]),
    timeout=st.sampled_from([30, 20]),
    forward=st.booleans(),
    roots=st.sampled_from(["[root.pem]", "[root.pem, other.pem]"]),
    online=st.sampled_from(["known", "any"]),
    title=st.sampled_from(["here", "there"]),
    time_zone=st.sampled_from(["Europe/Paris", "Europe/Lisbon"]),
    groups=st.sampled_from(["", "all-of-"]),
    listener=st.sampled_from(["lan", "lan", "lan", "door"]),
    profile=st.sampled_from([0, 0, 0, 1]),
    operators=st.tuples(OPERATORS, OPERATORS, OPERATORS, st.sampled_from(["", "acme", "volt"])),
    protocols=st.tuples(*[st.sampled_from(["[ocpp1.6]", "[ocpp1.6, ocpp2.0.1]"])] * len(STATIONS)),
    passwords=st.tuples(*[st.sampled_from(["", *SECRETS])] * len(STATIONS)),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Written, Written]:
    """A site and what becomes of it: some of its values are others."""
    before, other = draw(WRITTEN), draw(WRITTEN)
    changed = draw(st.sets(st.sampled_from(list(before.__dataclass_fields__)), min_size=1, max_size=5))
    values = {name: getattr(other if name in changed else before, name) for name in before.__dataclass_fields__}
    return before, Written(**values)


BATCHES = st.integers(0, 99).flatmap(
    lambda number: st.lists(pairs(), min_size=AT_A_TIME, max_size=AT_A_TIME) if number else st.just([])
)
"""Of the simplest, with which hypothesis begins, there is nothing to learn: in it nothing changes."""


@dataclass(frozen=True)
class Outcome:
    """Which stations lost their connection, of those that had one, and what was planned."""

    dropped: frozenset[str]
    planned: frozenset[str]


class Authority:
    """Who the operator with TLS is vouched for by, and another one that nobody needs."""

    def __init__(self) -> None:
        authority, other = trustme.CA(), trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.server)
        self.files = {"root.pem": authority.cert_pem.bytes(), "other.pem": other.cert_pem.bytes()}


class Together:
    """Where tasks wait until all of them are there."""

    def __init__(self, tasks: int) -> None:
        self._missing = tasks
        self._all = trio.Event()

    async def wait(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        with trio.fail_after(WITHIN_S * AT_A_TIME):
            await self._all.wait()


def planned(plan: SitePlan) -> frozenset[str]:
    """The stations whose connections end, be it for good."""
    return frozenset(station for fate in plan.fates if fate.drops for station in fate.stations)


def compiled(
    folder: Path, pair: tuple[Written, Written], ports: Mapping[str, int], files: Mapping[str, bytes]
) -> tuple[SitePlan, list[Config]]:
    configs = []
    for name, written in zip(("before", "after"), pair, strict=True):
        found = check(lay_out(folder / name, {"test-site.yaml": written.text(ports), **files}), AT)
        assert found.errors == 0, found.problems
        configs.append(found.resolved[0].config)
    sides = Folder(folder / "before"), Folder(folder / "after")
    (site,) = make_plan(*sides, ("before", "after"), Wish(AT), lambda sites, _: iter(sites)).sites
    return site, configs


async def observed(
    pair: tuple[Written, Written], folder: Path, authority: Authority, together: Together, outcomes: list[Outcome]
) -> None:
    """Connect all stations, put the second bundle in force, and look at each socket."""
    async with AsyncExitStack() as stack:
        ports = {"lan": free_port()}
        for name, context in (("acme", None), ("volt", authority.server)):
            supervision = await stack.enter_async_context(open_supervision(ssl_context=context))
            ports[name] = supervision.port
        plan, (before, after) = compiled(folder, pair, ports, authority.files)
        secrets = dict.fromkeys(SECRETS, PASSWORD.encode())
        agent = await stack.enter_async_context(running_agent(folder, before, port=ports["lan"], secrets=secrets))
        stations = {
            name: await stack.enter_async_context(
                connect_station(agent.url(name), protocols=["ocpp1.6"], password=PASSWORD)
            )
            for name in before.stations
        }
        agent.write(after, sequence=2)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)
        expected = planned(plan)
        for name in expected:
            await stations[name].wait_closed(WITHIN_S)
        rest = [name for name in stations if name not in expected]
        gone = {name for name in rest if not await is_connected(stations[name])}
        await together.wait()
        await first_close(stations[name] for name in rest if name not in gone)
        gone |= {name for name in rest if not await is_connected(stations[name])}
        outcomes.append(Outcome(expected | gone, expected))


async def is_connected(station: Station) -> bool:
    """Whether the agent answers a ping, twice: what has been decided has been done by then."""
    try:
        await station.ping(WITHIN_S)
        await station.ping(WITHIN_S)
    except (LinkClosed, NoAnswer, trio.TooSlowError):
        return False
    return True


async def first_close(stations: Iterable[Station]) -> None:
    """Wait for a connection that ends late, as long as one may."""

    async def watch(station: Station) -> None:
        await station.wait_closed(WITHIN_S)
        nursery.cancel_scope.cancel()

    with trio.move_on_after(LATE_WITHIN_S):
        async with trio.open_nursery() as nursery:
            for station in stations:
                nursery.start_soon(watch, station)


async def observed_together(batch: Sequence[tuple[Written, Written]], places: Sequence[Path]) -> list[Outcome]:
    """Look at each pair in a place of its own; the outcomes come in no order."""
    outcomes: list[Outcome] = []
    authority, together = Authority(), Together(len(batch))
    async with trio.open_nursery() as nursery:
        for pair, place in zip(batch, places, strict=True):
            nursery.start_soon(observed, pair, place, authority, together, outcomes)
    return outcomes


@pytest.mark.timeout(170)
@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(BATCHES)
def test_r43_exactly_those_drop_who_are_planned_to(batch: list[tuple[Written, Written]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(len(batch))]
        for place in places:
            place.mkdir()
        found = trio.run(observed_together, batch, places)

    assert len(found) == len(batch)
    assert [outcome.dropped for outcome in found] == [outcome.planned for outcome in found]
