"""A relayed station on the data plane: the trio task that waits beside its pair, for what is slow."""

import trio

from pointsman_agent.ocpp.events import Event
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.ocpp.link import Link
from pointsman_agent.plane.pair import Pair
from pointsman_agent.plane.reactor import Reactor
from pointsman_agent.relay import Chores, RelayCase, liveness_of
from pointsman_agent.wire import StreamWire


class PlaneRelay:
    """Hands two connections over to the reactor and waits until they have ended there."""

    def __init__(self, reactor: Reactor, case: RelayCase, station: StreamWire, supervision: StreamWire) -> None:
        self._reactor = reactor
        self._case = case
        self._station = station
        self._supervision = supervision
        self._pair: Pair | None = None

    async def run(self) -> None:
        """Relay until either side or the session ends; both sockets are closed then."""
        try:
            await self._run()
        finally:
            if self._pair is not None:
                self._pair.part()

    async def _run(self) -> None:
        over = trio.Event()
        record = self._case.status.station(self._case.route.identity)
        async with trio.open_nursery() as nursery:
            pair = Pair(Link(self._case.settings), Chores(self._case, nursery, self._report).carry_out, over.set)
            self._join(pair)
            self._pair = pair
            record.traffic = pair
            nursery.start_soon(self._await_end)
            try:
                with self._case.tail.joined(self._case.route.identity, pair):
                    await over.wait()
            finally:
                self._case.status.settle(record)
                record.traffic = None
                pair.abort()
            nursery.cancel_scope.cancel()

    def _join(self, pair: Pair) -> None:
        now = trio.current_time()
        handed = {Side.STATION: self._station.hand_over(), Side.SUPERVISION: self._supervision.hand_over()}
        pair.join(handed, liveness_of(self._case.route, now), self._reactor, self._case.budget, now)

    async def _report(self, event: Event) -> None:
        assert self._pair is not None
        self._pair.tell(event, trio.current_time())

    async def _await_end(self) -> None:
        await self._case.session.end_asked.wait()
        await self._report(self._case.session.ending)
