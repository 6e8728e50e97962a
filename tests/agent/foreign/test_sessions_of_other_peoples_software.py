"""Other people's stations and supervisions through the real agent: a whole session, asked both ways, text for text."""

import json
from pathlib import Path

import pytest
from support.agents import running_agent
from support.foreign.processes import PACKAGES, foreign_station, foreign_supervision, why_absent
from support.sites import a_unique_config

CALL = 2
SESSION_16 = [
    "BootNotification", "StatusNotification", "Authorize", "StartTransaction", "MeterValues", "StopTransaction"
]  # fmt: skip
SESSION_2 = [
    "BootNotification", "StatusNotification", "Authorize", "TransactionEvent", "MeterValues", "TransactionEvent"
]  # fmt: skip
EXPECTED = {
    "ocpp1.6": (SESSION_16, ["GetConfiguration", "RemoteStopTransaction"]),
    "ocpp2.0.1": (SESSION_2, ["GetVariables", "RequestStopTransaction"]),
    "ocpp2.1": (SESSION_2, ["GetVariables", "RequestStopTransaction"]),
}
INSTALLED = [
    pytest.param(package, marks=pytest.mark.skipif(absent is not None, reason=absent or ""))
    for package, absent in ((package, why_absent(package)) for package in PACKAGES)
]


@pytest.mark.parametrize("protocol", EXPECTED)
@pytest.mark.parametrize("supervision_package", INSTALLED)
@pytest.mark.parametrize("station_package", INSTALLED)
async def test_a_session_is_relayed_text_for_text(
    tmp_path: Path, station_package: str, supervision_package: str, protocol: str
) -> None:
    asked_by_station, asked_by_supervision = EXPECTED[protocol]
    async with foreign_supervision(supervision_package, protocol) as supervision:
        url = f"ws://127.0.0.1:{await supervision.listening()}/ocpp"
        async with running_agent(tmp_path, a_unique_config(url, "CP 1")) as agent:
            async with foreign_station(station_package, agent.url("CP%201"), protocol) as station:
                await station.finished()
                await supervision.finished()
            dropped = (await agent.station("CP 1"))["dropped"]

    assert supervision.received == station.sent
    assert station.received == supervision.sent
    assert actions(station.sent) == asked_by_station
    assert actions(supervision.sent) == asked_by_supervision
    assert dropped == {}


def actions(texts: list[str]) -> list[str]:
    """Return the actions of the CALLs among `texts`, in order."""
    frames = [json.loads(text) for text in texts]
    return [frame[2] for frame in frames if frame[0] == CALL]
