"""A whole agent that follows a repository: what is offered is taken, a start needs no network, nothing stops."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pointsman_agent.settings import RolloutSettings, Settings
from support.agents import RunningAgent, started
from support.rollouts import RepositoryServer, repository_server, unavailable
from support.rolloutsites import Fleet
from support.sites import SITE, a_config, free_port


class RolloutAgent(RunningAgent):
    """An agent that follows the repository at `url`."""

    def __init__(self, folder: Path, fleet: Fleet, url: str) -> None:
        super().__init__(folder, free_port())
        self._rollout = RolloutSettings(url, fleet.metadata / "1.root.json", poll_s=1)

    def settings(self) -> Settings:
        return dataclasses.replace(super().settings(), bundle=None, trusted=None, rollout=self._rollout)


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet")


@pytest.fixture
def server(fleet: Fleet) -> Iterator[RepositoryServer]:
    with repository_server(fleet.folder / "repository") as running:
        yield running


def offer(fleet: Fleet, agent: RunningAgent, sequence: int, now: datetime | None = None) -> None:
    config = agent.placed(a_config(title=f"sequence {sequence}"))
    fleet.offer(sequence, now, **{SITE: config})


def has_sequence(sequence: int) -> Any:
    return lambda status: status["bundle"]["active"] is not None and status["bundle"]["active"]["sequence"] == sequence


async def test_it_takes_what_is_offered_and_starts_again_without_a_network(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    agent = RolloutAgent(tmp_path, fleet, server.url)
    offer(fleet, agent, 1)
    async with started(agent):
        await agent.wait_status(has_sequence(1))
        offer(fleet, agent, 2)
        await agent.wait_status(has_sequence(2))
    server.answer = unavailable

    async with started(agent):
        status = await agent.wait_status(has_sequence(2))

    assert status["state"] == "running"
    assert status["bundle"]["lastFailed"] is None


async def test_metadata_that_has_ended_is_told_as_stale_and_what_is_in_force_stays(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    agent = RolloutAgent(tmp_path, fleet, server.url)
    offer(fleet, agent, 1)
    async with started(agent):
        await agent.wait_status(has_sequence(1))
        offer(fleet, agent, 2, now=datetime.now(UTC) - timedelta(days=3))
        status = await agent.wait_status(lambda status: status["state"] == "stale")
        assert has_sequence(1)(status)

        fleet.refresh(datetime.now(UTC))
        status = await agent.wait_status(has_sequence(2))
        assert status["state"] == "running"


async def test_the_bundle_of_another_site_is_refused_though_it_is_signed(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    agent = RolloutAgent(tmp_path, fleet, server.url)
    offer(fleet, agent, 1)
    async with started(agent):
        await agent.wait_status(has_sequence(1))
        fleet.offer_swapped(2)
        status = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)

    assert status["bundle"]["lastFailed"]["code"] == "wrong-site"
    assert has_sequence(1)(status)


@pytest.mark.parametrize(("lost", "code"), [("fleet-token", "secret-missing"), ("1.root.json", "unreadable")])
async def test_what_it_needs_to_look_may_be_lost_and_stations_are_served_until_it_is_back(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path, lost: str, code: str
) -> None:
    agent = RolloutAgent(tmp_path, fleet, server.url)
    root = agent.secrets / "1.root.json"
    agent._rollout = dataclasses.replace(agent._rollout, root=root, token="fleet-token")
    root.write_bytes((fleet.metadata / "1.root.json").read_bytes())
    (agent.secrets / "fleet-token").write_text("hush")
    offer(fleet, agent, 1)
    async with started(agent):
        await agent.wait_status(has_sequence(1))
    file = agent.secrets / lost
    content = file.read_bytes()
    file.unlink()

    async with started(agent):
        await agent.wait_status(has_failed(code))
        status = await agent.wait_status(has_sequence(1))
        assert lost in status["bundle"]["lastFailed"]["message"]
        offer(fleet, agent, 2)
        file.write_bytes(content)
        await agent.reload()
        status = await agent.wait_status(has_sequence(2))

    assert status["bundle"]["lastFailed"] is None


def has_failed(code: str) -> Any:
    return lambda status: (status["bundle"]["lastFailed"] or {}).get("code") == code
