"""The agent's activation with all that it acts on, but without sockets, threads and disks: for a mock clock.

Stations come, are served by what is in force for them, and come again when their session is ended.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import trio
from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.assembly import assembled
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.walk import Activation
from pointsman_agent.entries import BundleEvent
from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.listener import ListenerFault, Listeners, PreparedListeners
from pointsman_agent.names import CachedNames
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.frame import parse
from pointsman_agent.ports import BundleStore
from pointsman_agent.routing import Route
from pointsman_agent.session import Session, Sessions
from pointsman_agent.status import Status
from pointsman_agent.uplink import Uplinks
from pointsman_agent.uplinkkeys import UplinkKeys
from pointsman_schema.bundle import Config, Listener
from support.fakes import FakeClock, FakeSecrets, MemoryJournal
from support.sites import SITE, a_bundle

RETRY_S = 2.0


class TiedClock(FakeClock):
    """A wall clock that goes with trio's, from noon at the start of a run."""

    def now(self) -> datetime:
        """Return the time."""
        return self.moment + timedelta(seconds=trio.current_time())


class QuietUplinks(Uplinks):
    """Uplinks that probe nothing."""

    async def watch(self, in_force: InForce, name: str) -> None:
        """Do nothing until cancelled."""
        await trio.sleep_forever()


class NoListeners(Listeners):
    """Listeners without sockets. `fault` is raised by the next `prepare`."""

    def __init__(self) -> None:
        self.fault: ListenerFault | None = None
        self.names: list[str] = []

    async def prepare(self, wanted: Mapping[str, Listener]) -> PreparedListeners:
        """Bind nothing."""
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        return PreparedListeners({(each.address, each.port): name for name, each in wanted.items()}, {})

    def switch(self, prepared: PreparedListeners) -> None:
        """Note the names."""
        self.names = sorted(prepared.names.values())


class House:
    """One run of an agent. `fails` says of a route why its uplink is not made, None: it is."""

    def __init__(self, folder: Path, store: BundleStore, journal: MemoryJournal, clock: TiedClock) -> None:
        self.store = store
        self.journal = journal
        self.clock = clock
        self.secrets = FakeSecrets()
        self.holder = Holder()
        self.sessions = Sessions()
        self.status = Status("0", clock)
        self.observer = Observer(journal)
        self.listeners = NoListeners()
        self.uplinks = QuietUplinks(self.status, UplinkKeys(folder / "keys"), CachedNames(), self.holder)
        self.fails: Callable[[Route], str | None] = lambda route: None
        self.stations: dict[str, FakeStation] = {}
        self.asked_again = 0
        self.activation: Activation
        self.movement: Movement
        self.nursery: trio.Nursery

    async def start(self, nursery: trio.Nursery) -> None:
        """Resume what is stored."""
        self.nursery = nursery
        archive = Archive(SITE, None, self.store.load(), self.store, self.secrets)
        self.activation, self.movement = assembled(
            archive=archive,
            journal=self.journal,
            observer=self.observer,
            holder=self.holder,
            listeners=self.listeners,
            sessions=self.sessions,
            uplinks=self.uplinks,
            status=self.status,
            clock=self.clock,
            nursery=nursery,
            ask_again=self._ask_again,
        )
        await self.observer.load()
        await self.activation.resume()
        nursery.start_soon(self.movement.run)
        nursery.start_soon(self.observer.run)

    async def offer(self, config: Config, sequence: int) -> bool:
        """Offer a bundle of `config`."""
        return await self.activation.offer(a_bundle(config, sequence=sequence), origin="a test")

    def come(self, *identities: str) -> None:
        """Switch stations on."""
        for identity in identities:
            station = self.stations[identity] = FakeStation(self, identity)
            self.nursery.start_soon(station.run)

    def served_by(self, identity: str) -> str | None:
        """Return the operator that a station is connected to now."""
        return self.stations[identity].operator

    @property
    def bundle(self) -> dict[str, Any]:
        """The bundles' part of the status."""
        bundle: dict[str, Any] = self.status.snapshot(None, {})["bundle"]
        return bundle

    @property
    def events(self) -> list[str]:
        """What the journal has of bundles, in words."""
        return [each.what for each in self.journal.entries if isinstance(each, BundleEvent)]

    def _ask_again(self) -> None:
        self.asked_again += 1


class FakeStation:
    """A station. `past` are the URLs of its supervisions (local: none), one a connection."""

    def __init__(self, house: House, identity: str) -> None:
        self._house = house
        self._power = trio.CancelScope()
        self.identity = identity
        self.past: list[str] = []
        self.changes: list[InForce] = []
        self.operator: str | None = None

    def leave(self) -> None:
        """Switch it off."""
        self._power.cancel()

    def say(self, text: str) -> None:
        """A CALL of the station passes through the agent."""
        self._house.observer.hear(self.identity, "ocpp1.6", parse(text))

    async def run(self) -> None:
        """Be connected, again and again."""
        with self._power:
            while True:
                await self._live()
                await trio.sleep(RETRY_S)

    async def _live(self) -> None:
        house = self._house
        in_force = house.holder.coming(self.identity)
        route = None if in_force is None else in_force.routing.routes.get(self.identity)
        if in_force is None or route is None:
            return
        async with house.sessions.claim(self.identity, listener="lan") as session:
            if route.supervision is not None:
                failure = house.fails(route)
                house.uplinks.on_outcome(in_force, route, failure)
                if failure is not None:
                    return
            with self._connected(route, session):
                await session.end_asked.wait()

    @contextmanager
    def _connected(self, route: Route, session: Session) -> Iterator[None]:
        self.past.append("" if route.supervision is None else route.supervision.url)
        self.operator = route.station.operator
        session.on_change = self.changes.append
        self._house.status.connected(route, "ocpp1.6", None)
        try:
            yield
        finally:
            self.operator = None
            self._house.status.disconnected(route)


@asynccontextmanager
async def a_house(folder: Path, store: BundleStore, journal: MemoryJournal, clock: TiedClock) -> AsyncIterator[House]:
    """Run an agent until the block ends, as if its power was cut then."""
    house = House(folder, store, journal, clock)
    async with trio.open_nursery() as nursery:
        await house.start(nursery)
        yield house
        nursery.cancel_scope.cancel()


def inline(monkeypatch: Any) -> None:
    """Let threads run at once: a mock clock must not pass time while they work."""

    async def run_sync(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)
