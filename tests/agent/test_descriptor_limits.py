"""Descriptors of the agent's process: it takes what the system allows, and lives with running out of them."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import connect_station
from support.processes import AgentProcess, agent_process
from support.rawpeers import raw_connection, raw_station
from support.sites import a_config, a_station

FEW = 64
STATIONS = 80
WITHIN_S = 30.0  # the deadline of a handshake is 10 s
ANSWER_WITHIN_S = 5.0


async def test_the_soft_limit_of_descriptors_does_not_bound_the_number_of_stations(tmp_path: Path) -> None:
    identities = [f"LOC-{number}" for number in range(STATIONS)]
    config = a_config(stations={identity: a_station() for identity in identities})
    async with agent_process(tmp_path, config, descriptors=(FEW, 10 * FEW)) as agent, AsyncExitStack() as stations:
        peers = [await stations.enter_async_context(raw_station(agent.port, identity)) for identity in identities]

        assert all(peer.head.startswith(b"HTTP/1.1 101") for peer in peers)
        assert agent.descriptors() > FEW


@pytest.mark.timeout(90)
async def test_r30_an_agent_out_of_descriptors_serves_its_stations_and_takes_others_again_afterwards(
    tmp_path: Path,
) -> None:
    config = a_config(stations={"LOC-1": a_station(), "LOC-2": a_station()})
    async with (
        agent_process(tmp_path, config, descriptors=(FEW, FEW)) as agent,
        connect_station(agent.url("LOC-1")) as station,
    ):
        async with AsyncExitStack() as silent:
            for _ in range(2 * FEW):
                await silent.enter_async_context(raw_connection(agent.port))
            with trio.fail_after(WITHIN_S):
                while agent.descriptors() < FEW:  # noqa: ASYNC110 - descriptors tell nobody when they open
                    await trio.sleep(0.01)
            answer = await station.call("Heartbeat", {}, ANSWER_WITHIN_S)

        assert answer.error is None
        assert await is_served(agent, "LOC-2")
        assert station.closed is None


async def is_served(agent: AgentProcess, identity: str) -> bool:
    """Whether a station is served, be it after some tries."""
    with trio.fail_after(WITHIN_S):
        while True:
            try:
                async with connect_station(agent.url(identity)) as station:
                    return (await station.call("Heartbeat", {}, ANSWER_WITHIN_S)).error is None
            except HandshakeFailed:
                await trio.sleep(0.5)  # as a station would
