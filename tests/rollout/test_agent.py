"""A whole agent that follows a repository: what is offered is taken, a start needs no network, nothing stops."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pointsman_agent.push.exposition import expose
from pointsman_agent.settings import RolloutSettings, Settings
from pointsman_agent.tables import status_text
from support.agents import RunningAgent, started
from support.rollouts import RepositoryServer, forbidden, repository_server, unavailable
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


def offer(fleet: Fleet, agent: RunningAgent, sequence: int, now: datetime | None = None, **changes: Any) -> None:
    config = agent.placed(a_config(title=f"sequence {sequence}", **changes))
    fleet.offer(sequence, now, **{SITE: config})


@asynccontextmanager
async def following(fleet: Fleet, server: RepositoryServer, folder: Path) -> AsyncIterator[RolloutAgent]:
    """An agent that runs, and has taken the first bundle."""
    agent = RolloutAgent(folder, fleet, server.url)
    offer(fleet, agent, 1)
    async with started(agent):
        await agent.wait_status(has_sequence(1))
        yield agent


def has_sequence(sequence: int) -> Any:
    return lambda status: status["bundle"]["active"] is not None and status["bundle"]["active"]["sequence"] == sequence


async def test_it_takes_what_is_offered_and_starts_again_without_a_network(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
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
    async with following(fleet, server, tmp_path) as agent:
        offer(fleet, agent, 2, now=datetime.now(UTC) - timedelta(days=3))
        status = await agent.wait_status(lambda status: status["state"] == "stale")
        assert has_sequence(1)(status)

        fleet.refresh(datetime.now(UTC))
        status = await agent.wait_status(has_sequence(2))
        assert status["state"] == "running"


async def test_the_bundle_of_another_site_is_refused_though_it_is_signed(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
        fleet.offer_swapped(2)
        status = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)

    assert status["bundle"]["lastFailed"]["code"] == "wrong-site"
    assert has_sequence(1)(status)


async def test_a_fault_of_the_web_server_hides_no_bundle_that_failed(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
        offer(fleet, agent, 2, badge_lists=["is-not-there"])
        status = await agent.wait_status(lambda status: status["bundle"]["lastFailed"] is not None)
        failed = status["bundle"]["lastFailed"]
        assert failed["code"] == "secret-missing"
        break_timestamp(fleet)
        status = await agent.wait_status(has_source_error("metadata"))

    assert status["bundle"]["lastFailed"] == failed
    report = expose(status, datetime.now(UTC)).partition("\n")[0]
    assert f'failed="{failed["digest"]}",failed_sequence="2",code="secret-missing"' in report


async def test_a_good_look_lifts_a_fault_of_the_source_before_the_next_turn(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
        honest = break_timestamp(fleet)
        status = await agent.wait_status(lambda status: status["state"] == "degraded")
        assert status["bundle"]["lastFailed"]["code"] == "metadata"
        (fleet.metadata / "timestamp.json").write_bytes(honest)
        fleet.rules = replace(fleet.rules, spread=7 * 24 * 3600)
        offer(fleet, agent, 2)
        status = await agent.wait_status(lambda status: status["state"] == "running")

    assert status["bundle"]["lastFailed"] is None
    assert status["source"] == {"stale": False, "lastError": None}
    assert has_sequence(1)(status)


async def test_what_has_ended_is_stale_also_after_a_refusal(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
        fleet.offer_swapped(2)
        await agent.wait_status(lambda status: status["state"] == "degraded")
        offer(fleet, agent, 3, now=datetime.now(UTC) - timedelta(days=3))
        status = await agent.wait_status(lambda status: status["state"] == "stale")

    assert status["source"]["stale"]
    assert status["source"]["lastError"]["class"] == "stale"
    assert status["bundle"]["lastFailed"]["code"] == "wrong-site"


async def test_a_server_that_lets_nobody_in_shows_in_the_status_and_degrades_nothing(
    fleet: Fleet, server: RepositoryServer, tmp_path: Path
) -> None:
    async with following(fleet, server, tmp_path) as agent:
        server.answer = forbidden
        status = await agent.wait_status(has_source_error("unreachable"))

    assert status["state"] == "running"
    assert "HTTP 403" in status["source"]["lastError"]["message"]
    assert "HTTP 403" in status_text(status)


def has_source_error(code: str) -> Any:
    return lambda status: (status["source"]["lastError"] or {}).get("class") == code


def break_timestamp(fleet: Fleet) -> bytes:
    """Put nonsense in the place of the timestamp; return what it was."""
    path = fleet.metadata / "timestamp.json"
    honest = path.read_bytes()
    path.write_bytes(b"{}")
    return honest


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
