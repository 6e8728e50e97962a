"""The offline strategy on real sockets: sent, resumed after a cut, cleared before a supervision takes the station."""

from pathlib import Path

import pytest
from pointsman_simulator.memory import StationMemory
from pointsman_simulator.station import connect_station, run_boot, run_session
from pointsman_simulator.supervision import open_supervision
from support.agents import RunningAgent, running_agent, started
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_config,
    a_local_group,
    a_remote_group,
    a_station,
    a_supervision,
)

CAPACITY = 2000


def a_memory() -> StationMemory:
    memory = StationMemory()
    memory.keys["LocalAuthListMaxLength"] = str(CAPACITY)
    memory.variables["LocalAuthListCtrlr.Entries#MaxSet"] = str(CAPACITY)
    return memory


async def wait_in_force(agent: RunningAgent) -> None:
    await agent.wait_status(
        lambda status: any(row["strategy"] and row["strategy"]["state"] == "in force" for row in status["stations"])
    )


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_r37_a_list_of_1000_badges_arrives_though_the_cable_is_pulled_on_the_way(
    tmp_path: Path, protocol: str
) -> None:
    badges = {f"{number:08x}": a_badge("staff") for number in range(1000)}
    memory = a_memory()
    async with running_agent(tmp_path, a_config(badges=badges)) as agent:
        async with connect_station(agent.url("LOC-01"), protocols=[protocol], memory=memory) as station:
            await run_boot(station)
            await station.sent.wait_for(lambda _: len(memory.local_list) >= 300, 10)
            await station.drop()
        arrived = len(memory.local_list)
        async with connect_station(agent.url("LOC-01"), protocols=[protocol], memory=memory) as station:
            await run_boot(station)
            await wait_in_force(agent)

            assert station.faults == []
    assert 300 <= arrived < 1000
    assert set(memory.local_list) == set(badges)
    assert memory.is_list_enabled(protocol == "ocpp1.6")


async def test_r37_what_is_in_force_is_known_after_a_restart_of_the_agent(tmp_path: Path) -> None:
    memory = a_memory()
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), memory=memory) as station,
    ):
        await run_boot(station)
        await wait_in_force(agent)
    version = memory.local_list_version

    async with started(agent), connect_station(agent.url("LOC-01"), memory=memory) as station:
        await run_boot(station)
        await wait_in_force(agent)

    assert memory.local_list_version == version


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_r39_a_station_is_cleared_before_a_supervision_gets_it(tmp_path: Path, protocol: str) -> None:
    memory = a_memory()
    async with open_supervision() as supervision:
        local = a_config(
            supervisions={"acme": a_supervision(supervision.url)},
            groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
            stations={"LOC-01": a_station(), "V-1": a_station("acme", "visitors")},
        )
        async with running_agent(tmp_path, local) as agent:
            async with connect_station(agent.url("LOC-01"), protocols=[protocol], memory=memory) as station:
                await run_boot(station)
                await wait_in_force(agent)
            assert list(memory.local_list) == [STAFF_BADGE]
            agent.write(
                a_config(
                    supervisions={"acme": a_supervision(supervision.url)},
                    groups={"visitors": a_remote_group("acme")},
                    badges={},
                    stations={name: a_station("acme", "visitors") for name in ("LOC-01", "V-1")},
                ),
                sequence=2,
            )
            await agent.reload()
            await agent.wait_status(lambda status: status["bundle"]["active"]["sequence"] == 2)

            async with connect_station(agent.url("LOC-01"), protocols=[protocol], memory=memory) as station:
                booted = await run_boot(station)
                await station.wait_closed()
            assert booted.boot_status == "Pending"
            assert memory.local_list == {}
            assert supervision.past_connections == []
            async with connect_station(agent.url("LOC-01"), protocols=[protocol], memory=memory) as station:
                assert (await run_session(station, STAFF_BADGE)).completed
                assert len(supervision.connections) == 1
