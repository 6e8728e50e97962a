"""What all tests share: how hypothesis searches, the same way on every machine; the end of programs that wait."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from support import warm

# derandomize: a red run is red again. No deadline: two cores are shared with other suites.
settings.register_profile(
    "pointsman", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=150
)
settings.load_profile("pointsman")


@pytest.fixture(scope="session", autouse=True)
def programs_that_wait() -> Iterator[None]:
    yield
    warm.end_all()
