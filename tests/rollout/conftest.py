"""A repository with one site's offer, and a source that follows it over a real web server."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from support.rollouts import RepositoryServer, repository_server
from support.rolloutsites import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A repository that offers the first bundle to the test's site and to another one."""
    fleet = Fleet(tmp_path / "fleet")
    fleet.offer(1)
    return fleet


@pytest.fixture
def server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What makes a server of the loopback one of HTTPS that is believed here."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def server(fleet: Fleet) -> Iterator[RepositoryServer]:
    """A web server over the repository."""
    with repository_server(fleet.folder / "repository") as running:
        yield running
