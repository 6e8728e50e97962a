"""Rule 30: whatever one station does, the others' traffic goes on, and it is served again once it behaves."""

import json
import sys
from pathlib import Path

import pytest
import trio
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import Station, connect_station, run_session
from pointsman_simulator.supervision import open_supervision
from support.processes import AgentProcess, agent_process
from support.sites import a_unique_config

from benchmarks.disturber import KINDS

ROOT = Path(__file__).parent.parent.parent
DISTURBED_S = 1.0
ENDED_WITHIN_S = 20.0
ANSWER_WITHIN_S = 5.0  # a Heartbeat takes a millisecond, and a machine with other work some more
LEAST_BEATS = 10
MOST_GROWTH_BYTES = 48 * 1024 * 1024


@pytest.mark.parametrize("kind", KINDS)
async def test_r30_a_station_that_misbehaves_does_not_hold_up_the_others(tmp_path: Path, kind: str) -> None:
    async with (
        open_supervision() as supervision,
        agent_process(tmp_path, a_unique_config(supervision.url, "BAD", "GOOD")) as agent,
        connect_station(agent.url("GOOD"), protocols=["ocpp2.0.1"]) as good,
    ):
        assert (await run_session(good)).completed
        memory = agent.resident_bytes()

        done, beats = await disturbed(agent, kind, good)

        assert done["connections"] >= 1
        assert done["bytes"] > 500
        assert beats >= LEAST_BEATS
        assert good.closed is None
        assert agent.resident_bytes() - memory <= MOST_GROWTH_BYTES
        assert await is_served(agent, "BAD")


async def disturbed(agent: AgentProcess, kind: str, good: Station) -> tuple[dict[str, int], int]:
    """Let one station misbehave and the other talk; return what the first did and the answers of the second."""
    done: dict[str, int] = {}
    beats = 0

    async def misbehave() -> None:
        command = [sys.executable, "-m", "benchmarks.disturber", kind, str(agent.port), "BAD", str(DISTURBED_S)]
        process = await trio.run_process(command, capture_stdout=True, cwd=ROOT)
        done.update(json.loads(process.stdout))

    with trio.fail_after(ENDED_WITHIN_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(misbehave)
            while not done:
                answer = await good.call("Heartbeat", {}, ANSWER_WITHIN_S)
                assert answer.error is None
                beats += 1
    return done, beats


async def is_served(agent: AgentProcess, identity: str) -> bool:
    """Whether the station that misbehaved charges, once it behaves."""
    with trio.fail_after(ENDED_WITHIN_S):
        while True:
            try:
                async with connect_station(agent.url(identity), protocols=["ocpp2.0.1"]) as station:
                    return (await run_session(station)).completed
            except HandshakeFailed:
                await trio.sleep(0.5)  # as a station would
