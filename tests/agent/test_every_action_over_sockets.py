"""Every action of every version through a real socket: a valid request, and an answer that is valid too (rule 32)."""

from pathlib import Path

import pytest
from pointsman_simulator.schemas import faults_of_call
from pointsman_simulator.station import connect_station
from support.agents import running_agent
from support.requests import least_request
from support.sites import a_config
from support.stationactions import FROM_STATIONS

NOT_SUPPORTED = {("ocpp2.1", "GetCertificateChainStatus")}
"""Its answer needs at least one certificate's status, which the controller does not look up."""


@pytest.mark.parametrize("protocol", FROM_STATIONS)
async def test_r32_every_action_of_a_station_gets_a_valid_answer_over_a_real_socket(
    tmp_path: Path, protocol: str
) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol]) as station,
    ):
        for action in FROM_STATIONS[protocol]:
            request = least_request(protocol, action)
            assert faults_of_call(protocol, action, request) == [], action

            answer = await station.call(action, request)

            error = None if answer.error is None else answer.error.code
            assert error == ("NotSupported" if (protocol, action) in NOT_SUPPORTED else None), (action, answer.text)
            assert answer.faults == (), action
        assert station.closed is None


async def test_r32_a_stream_of_periodic_events_gets_no_answer(tmp_path: Path) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=["ocpp2.1"]) as station,
    ):
        await station.send("NotifyPeriodicEventStream", least_request("ocpp2.1", "NotifyPeriodicEventStream"))
        await station.call("Heartbeat", {})

        assert len(station.received.texts) == 1  # the heartbeat's


@pytest.mark.parametrize("protocol", FROM_STATIONS)
async def test_r32_an_action_of_the_central_system_is_not_implemented(tmp_path: Path, protocol: str) -> None:
    async with (
        running_agent(tmp_path, a_config()) as agent,
        connect_station(agent.url("LOC-01"), protocols=[protocol]) as station,
    ):
        for action in ("Reset", "UnlockConnector", "SendLocalList", "NoSuchAction"):
            answer = await station.call(action, {})

            assert answer.error is not None
            assert answer.error.code == "NotImplemented"
