"""What a plan says of connections, and what a running agent does to them when it gets the second bundle.

Pairs of sites are generated, compiled and planned by the real compiler; real stations are connected through the real
agent to real supervisions, and then the sockets are looked at.
"""

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import trio
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
EXAMPLES: Final = 12
WITHIN_S: Final = 10.0


@dataclass(frozen=True)
class Written:
    """What differs between generated sites; `operators` and `protocols` go by STATIONS, "" is no such station."""

    path: str
    ping: int
    timeout: int
    forward: bool
    online: str
    title: str
    operators: tuple[str, ...]
    protocols: tuple[str, ...]

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
                "timeZone: Europe/Paris",
                "supervision: multiple",
                "activation: {spread: 0, probation: 10, drainLimit: 0}",
                "supervisions:",
                f"  acme: {{url: 'ws://127.0.0.1:{ports['acme']}/{self.path}', pingInterval: {self.ping}}}",
                f"  volt: {{url: 'ws://127.0.0.1:{ports['volt']}', messageTimeout: {self.timeout},"
                f" forwardSecurityEvents: {str(self.forward).lower()}}}",
                "groups:",
                *(
                    f"  {name}: {{operator: {name}, stations: [{names}]{strategy[name]}}}"
                    for name, names in groups.items()
                ),
                "stations:",
                *(f"  {STATIONS[index]}: {{protocols: {self.protocols[index]}}}" for index in there),
                f"listeners: {{lan: {{address: 127.0.0.1, port: {ports['lan']}}}}}",
                "",
            ]
        )


OPERATORS = st.sampled_from(["acme", "acme", "volt", "local"])
WRITTEN = st.builds(
    Written,
    path=st.sampled_from(["one", "two"]),
    ping=st.sampled_from([30, 20]),
    timeout=st.sampled_from([30, 20]),
    forward=st.booleans(),
    online=st.sampled_from(["known", "any"]),
    title=st.sampled_from(["here", "there"]),
    operators=st.tuples(OPERATORS, OPERATORS, OPERATORS, st.sampled_from(["", "acme", "volt"])),
    protocols=st.tuples(*[st.sampled_from(["[ocpp1.6]", "[ocpp1.6, ocpp2.0.1]"])] * len(STATIONS)),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Written, Written]:
    """A site and what becomes of it: a few of its values are others, or all."""
    before, other = draw(WRITTEN), draw(WRITTEN)
    names = list(before.__dataclass_fields__)
    kept = draw(st.sets(st.sampled_from(names), min_size=len(names) - 3))
    values = {name: getattr(before if name in kept else other, name) for name in names}
    return before, Written(**values)


@dataclass(frozen=True)
class Outcome:
    """Which stations lost their connection, of those that had one, and what was planned."""

    dropped: frozenset[str]
    planned: frozenset[str]


def planned(plan: SitePlan) -> frozenset[str]:
    """The stations whose connections end, be it for good."""
    return frozenset(station for fate in plan.fates if fate.drops for station in fate.stations)


def compiled(folder: Path, pair: tuple[Written, Written], ports: Mapping[str, int]) -> tuple[SitePlan, list[Config]]:
    configs = []
    for name, written in zip(("before", "after"), pair, strict=True):
        found = check(lay_out(folder / name, {"test-site.yaml": written.text(ports)}), AT)
        assert found.errors == 0, found.problems
        configs.append(found.resolved[0].config)
    sides = Folder(folder / "before"), Folder(folder / "after")
    (site,) = make_plan(*sides, ("before", "after"), Wish(AT), lambda sites, _: iter(sites)).sites
    return site, configs


async def observed(pair: tuple[Written, Written], folder: Path) -> Outcome:
    """Connect all stations, put the second bundle in force, and look at each socket."""
    async with AsyncExitStack() as stack:
        ports = {"lan": free_port()}
        for name in ("acme", "volt"):
            supervision = await stack.enter_async_context(open_supervision())
            ports[name] = supervision.port
        plan, (before, after) = compiled(folder, pair, ports)
        agent = await stack.enter_async_context(running_agent(folder, before, port=ports["lan"]))
        stations = {
            name: await stack.enter_async_context(connect_station(agent.url(name), protocols=["ocpp1.6"]))
            for name in before.stations
        }
        agent.write(after, sequence=2)
        await agent.reload()
        await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)
        expected = planned(plan)
        for name in expected:
            await stations[name].wait_closed(WITHIN_S)
        rest = frozenset([name for name in stations if name not in expected and not await is_connected(stations[name])])
        return Outcome(expected | rest, expected)


async def is_connected(station: Station) -> bool:
    """Whether the agent answers a ping, twice: what has been decided has been done by then."""
    try:
        await station.ping(WITHIN_S)
        await station.ping(WITHIN_S)
    except (LinkClosed, NoAnswer, trio.TooSlowError):
        return False
    return True


@pytest.mark.timeout(170)
@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(pairs())
def test_r43_exactly_those_drop_who_are_planned_to(pair: tuple[Written, Written]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = trio.run(observed, pair, Path(folder))

    assert found.dropped == found.planned
