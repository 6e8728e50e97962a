"""Ten thousand connections that are no stations: stations stay served, nothing is left behind."""

import json
import sys
from pathlib import Path

import pytest
import trio
from pointsman_simulator.errors import HandshakeRefused
from pointsman_simulator.station import Station, connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.processes import AgentProcess, agent_process
from support.sites import a_unique_config

CONNECTIONS = 10_000
PROCESSES = 2
STORM_WITHIN_S = 100.0
ANSWER_WITHIN_S = 5.0  # a Heartbeat takes a millisecond; nobody should be thrown out at the default of 30 s
GIVEN_BACK_WITHIN_S = 15.0
MOST_GROWTH_BYTES = 64 * 1024 * 1024
TESTS = Path(__file__).parent.parent


@pytest.mark.timeout(150)
async def test_r30_ten_thousand_junk_connections_leave_stations_served_and_nothing_behind(tmp_path: Path) -> None:
    async with (
        open_supervision() as supervision,
        agent_process(tmp_path, a_unique_config(supervision.url, "CP-1", "CP-2")) as agent,
        connect_station(agent.url("CP-1")) as station,
    ):
        assert (await run_session(station)).completed
        descriptors, memory = agent.descriptors(), agent.resident_bytes()

        seen, beats = await storm(agent, station)

        assert sum(each["connected"] for each in seen) >= 0.95 * CONNECTIONS
        assert beats >= 50
        await descriptors_fall_to(descriptors, agent)
        assert agent.resident_bytes() - memory <= MOST_GROWTH_BYTES
        assert station.closed is None
        assert await newcomer_completes(agent)


async def storm(agent: AgentProcess, station: Station) -> tuple[list[dict[str, int]], int]:
    """Let the junk come, and `station` talk meanwhile; return the counts of both."""
    seen: list[dict[str, int]] = []
    beats = 0

    async def junk() -> None:
        command = [sys.executable, "-m", "support.junk", str(agent.port), str(CONNECTIONS // PROCESSES)]
        done = await trio.run_process(command, capture_stdout=True, cwd=TESTS)
        seen.append(json.loads(done.stdout))

    async def talk() -> None:
        nonlocal beats
        while len(seen) < PROCESSES:
            answer = await station.call("Heartbeat", {}, ANSWER_WITHIN_S)
            assert answer.error is None
            beats += 1

    with trio.fail_after(STORM_WITHIN_S):
        async with trio.open_nursery() as nursery:
            for _ in range(PROCESSES):
                nursery.start_soon(junk)
            nursery.start_soon(talk)
    return seen, beats


async def descriptors_fall_to(most: int, agent: AgentProcess) -> None:
    """Wait until the agent has no more descriptors open than that; raises AssertionError."""
    with trio.move_on_after(GIVEN_BACK_WITHIN_S):
        while agent.descriptors() > most:  # noqa: ASYNC110 - descriptors tell nobody when they close
            await trio.sleep(0.05)
    assert agent.descriptors() <= most


async def newcomer_completes(agent: AgentProcess) -> bool:
    """Whether a station that comes after the storm, and again where it is told to, charges."""
    with trio.fail_after(GIVEN_BACK_WITHIN_S):
        while True:
            try:
                async with connect_station(agent.url("CP-2")) as newcomer:
                    return (await run_session(newcomer)).completed
            except HandshakeRefused:
                await trio.sleep(0.5)  # as a station would
