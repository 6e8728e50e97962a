"""A repository with one site's offer, and a source that follows it over a real web server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.rollouts import RepositoryServer, repository_server
from support.rolloutsites import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A repository that offers the first bundle to the test's site and to another one."""
    fleet = Fleet(tmp_path / "fleet")
    fleet.offer(1)
    return fleet


@pytest.fixture
def server(fleet: Fleet) -> Iterator[RepositoryServer]:
    """A web server over the repository."""
    with repository_server(fleet.folder / "repository") as running:
        yield running
