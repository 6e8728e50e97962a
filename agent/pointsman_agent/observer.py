"""What is overheard of all stations, kept durably without ever making a message wait (rules 44 and 45).

Whoever passes a message on tells it here, by a plain call. What has changed is written behind it: transactions and
boots at once, but not more often than a few times a second, connector states every few seconds. So of a station that
changes all the time only its last state is written. Read by those who move stations from one operator to another.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
import structlog
import trio

from pointsman_agent.entries import StationFact
from pointsman_agent.observation import Kept, News, Observation
from pointsman_agent.ocpp.frame import Frame, FrameError, parse
from pointsman_agent.ports import Journal, JournalFault

OBSERVED_FACT: Final = "observed"
SOON_S: Final = 2.0  # how long a connector's state may wait to be stored
REST_S: Final = 0.25  # between two writings: a busy site would spend its time on them
AGAIN_AFTER_S: Final = 5.0  # after the journal could not store
WRITTEN_AT_ONCE: Final = 64  # stations

log = structlog.get_logger()


class Observer:
    """What was overheard of each station."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._stations: dict[str, Observation] = {}
        self._changed: set[str] = set()
        self._is_urgent = trio.Event()

    async def load(self) -> None:
        """Read what an earlier run of the agent heard; raises JournalFault."""
        for station, value in (await self._journal.facts_named(OBSERVED_FACT)).items():
            try:
                self._stations[station] = Observation(msgspec.json.decode(value, type=Kept))
            except msgspec.DecodeError as error:
                log.error("observation not read", station=station, why=str(error))

    def of(self, station: str) -> Observation:
        """Return what was heard of `station`, which may be nothing."""
        found = self._stations.get(station)
        return found if found is not None else Observation()

    def open_transactions(self, stations: Iterable[str]) -> dict[str, int]:
        """Return how many transactions each of `stations` has open, without those of which that is not known."""
        found = ((station, self._stations.get(station)) for station in stations)
        return {station: len(each.open) for station, each in found if each is not None and each.is_certain}

    def hear(self, station: str, protocol: str, call: Frame) -> None:
        """A station made a CALL."""
        self._note(station, self._observation(station).hear(protocol, call, trio.current_time()))

    def hear_answer(self, station: str, call: Frame, answer: str, by: str) -> None:
        """A boot or a StartTransaction was answered; `by` is the supervision's URL, or "local"."""
        try:
            frame = parse(answer)
        except FrameError:
            return
        self._note(station, self._observation(station).hear_answer(call, frame, by))

    def accepted(self, station: str, by: str, interval: int) -> None:
        """A boot that the agent told again was accepted."""
        self._note(station, self._observation(station).accepted(by, interval))

    def forget(self, station: str) -> None:
        """What was heard is of no use any more: the station is gone for good."""
        if self._stations.pop(station, None) is not None:
            self._changed.add(station)

    async def run(self) -> None:
        """Store what changes until cancelled; what is left then is stored by `flush`."""
        while True:
            with trio.move_on_after(SOON_S):
                await self._is_urgent.wait()
            self._is_urgent = trio.Event()
            try:
                await self.flush()
                await trio.sleep(REST_S)
            except JournalFault as error:
                log.error("observations not stored", why=str(error))
                await trio.sleep(AGAIN_AFTER_S)

    async def flush(self) -> None:
        """Store all that has changed by now; raises JournalFault, and nothing of it is forgotten."""
        changed = list(self._changed)
        for first in range(0, len(changed), WRITTEN_AT_ONCE):
            some = changed[first : first + WRITTEN_AT_ONCE]
            self._changed.difference_update(some)
            faults: list[JournalFault] = []
            async with trio.open_nursery() as nursery:
                for station in some:
                    nursery.start_soon(self._store, station, faults)
            if faults:
                raise faults[0]

    async def _store(self, station: str, faults: list[JournalFault]) -> None:
        try:
            await self._journal.append(self._fact(station))
        except JournalFault as error:
            self._changed.add(station)
            faults.append(error)

    def _fact(self, station: str) -> StationFact:
        found = self._stations.get(station)
        value = None if found is None else msgspec.json.encode(found.kept()).decode()
        return StationFact(station, OBSERVED_FACT, value)

    def _observation(self, station: str) -> Observation:
        found = self._stations.get(station)
        if found is None:
            found = self._stations[station] = Observation()
        return found

    def _note(self, station: str, news: News) -> None:
        if news is News.NONE:
            return
        self._changed.add(station)
        if news is News.NOW:
            self._is_urgent.set()
