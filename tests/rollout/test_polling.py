"""When the agent's source looks, over a real repository: by trio's clock, which jumps to what is waited for.

While a thread looks, nobody waits for a time, so the clock stands still.
"""

from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise, repeat
from pathlib import Path

import pytest
import trio
from pointsman_agent.sources.tuf import TufSource
from support.rollouts import repository_server
from support.rolloutsites import Fleet
from support.sites import SITE
from trio.testing import MockClock


class Polling:
    """A source that follows `fleet`, and when it looked and offered, in seconds since its start at `began`."""

    def __init__(self, fleet: Fleet, url: str, clock: MockClock, began: datetime, *chances: float) -> None:
        self.looked: list[float] = []
        self.offered: list[float] = []
        self._clock = clock
        self._start = clock.current_time()
        self._began = began
        self._chances = chain(chances, repeat(0.5))
        self._looks = 0
        self._is_done = trio.Event()
        state = fleet.folder / "state"
        self._source = TufSource(url, SITE, state, fleet.root, self, on_look=self._look, chance=self._chances.__next__)

    async def run(self, looks: int) -> None:
        """Follow until it has looked so often."""
        self._looks = looks
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._source.follow, self._offer, self._fail)
            await self._is_done.wait()
            nursery.cancel_scope.cancel()

    def now(self) -> datetime:
        """The agent's time, also in threads."""
        return self._began + timedelta(seconds=self._passed())

    def _passed(self) -> float:
        return self._clock.current_time() - self._start

    def _look(self, is_stale: bool, trouble: tuple[str, str] | None) -> None:
        self.looked.append(self._passed())
        if len(self.looked) == self._looks:
            self._is_done.set()

    async def _offer(self, envelope: bytes) -> None:
        self.offered.append(self._passed())

    async def _fail(self, code: str, message: str) -> None:
        pytest.fail(f"{code}: {message}")


async def test_polls_are_a_minute_apart_a_quarter_more_or_less(fleet: Fleet, autojump_clock: MockClock) -> None:
    with repository_server(fleet.folder / "repository") as server:
        polling = Polling(fleet, server.url, autojump_clock, datetime.now(UTC), 0.0, 0.5, 1.0)
        await polling.run(4)

    assert [after - before for before, after in pairwise(polling.looked)] == pytest.approx([45.0, 60.0, 75.0])


@pytest.mark.parametrize(("before_s", "looked"), [(20.0, [0.0, 20.0, 80.0]), (70.0, [0.0, 60.0, 70.0])])
async def test_a_site_looks_when_its_turn_comes_between_two_polls(
    tmp_path: Path, autojump_clock: MockClock, before_s: float, looked: list[float]
) -> None:
    fleet = Fleet(tmp_path / "spread", spread=3600)
    fleet.offer(1)
    began = fleet.turn() - timedelta(seconds=before_s)
    with repository_server(fleet.folder / "repository") as server:
        polling = Polling(fleet, server.url, autojump_clock, began)
        await polling.run(3)

    assert polling.offered == pytest.approx([before_s])
    assert polling.looked == pytest.approx(looked)
