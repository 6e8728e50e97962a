"""Fixtures that several modules of the agent's tests use."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs


@pytest.fixture
def bugs() -> Iterator[list[str]]:
    """Whatever a peer does, it must not end in the boundary for our own errors; a test says here what it provokes."""
    expected: list[str] = []
    with capture_logs() as logs:
        yield expected
    assert {entry["event"] for entry in logs if entry["log_level"] == "error"} == set(expected)
