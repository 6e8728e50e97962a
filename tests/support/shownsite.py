"""A site to look at in a browser: an agent process, two supervisions and stations that come back, in a thread.

Tests drive a browser from their own thread, and break things here by plain calls.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from pointsman_simulator.errors import HandshakeFailed
from pointsman_simulator.station import Station, connect_station, run_boot, run_session
from pointsman_simulator.supervision import open_supervision
from support.processes import AgentProcess, agent_process
from support.sites import STAFF_BADGE, a_badge, a_config, a_local_group, a_remote_group, a_station, a_supervision

SITE: Final = "lyon-part-dieu"
STATIONS: Final = {
    **dict.fromkeys(("STAFF-1", "STAFF-2"), ("local", "staff")),
    **dict.fromkeys(("GATE-1", "GATE-2", "GATE-3"), ("acme", "visitors")),
    **dict.fromkeys(("DECK-1", "DECK-2"), ("volt", "partners")),
}
"""Stations, their operators and groups."""

UP_WITHIN_S: Final = 40.0
CALLED_WITHIN_S: Final = 20.0
BACK_AFTER_S: Final = 0.5
"""How soon a station that was cut comes back; quick, for tests."""


class ShownSite:
    """The running site."""

    agent: AgentProcess

    def __init__(self, nursery: trio.Nursery) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._nursery = nursery
        self._stations: dict[str, Station] = {}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._gone: dict[str, trio.Event] = {}

    @property
    def url(self) -> str:
        """The address of the admin interface."""
        return self.agent.access.url

    @property
    def read_token(self) -> str:
        """The token that only reads."""
        return (self.agent.state / "read-token").read_text().strip()

    def cut(self, name: str) -> None:
        """End a station or a supervision for good."""
        self._call(partial(self._cut, name))

    def start_station(self, identity: str) -> None:
        """Let a station come (back)."""
        self._call(partial(self._start_station, identity))

    def start_supervision(self, name: str, port: int) -> None:
        """Let a supervision come (back)."""
        self._call(partial(self._nursery.start, self._run_supervision, name, port))

    def say(self, identity: str, action: str, payload: dict[str, Any]) -> None:
        """Let a station make a CALL, and wait for the answer."""
        self._call(partial(self._say, identity, action, payload))

    def charge(self, identity: str) -> None:
        """Let somebody of the staff charge."""
        self._call(partial(self._charge, identity))

    async def run(self, folder: Path, ports: dict[str, int], ready: Callable[[], None], stop: trio.Event) -> None:
        """Run all until `stop`; `ready` is called when every station is connected."""
        for name, port in ports.items():
            await self._nursery.start(self._run_supervision, name, port)
        async with agent_process(folder, shown_config(ports), site=SITE) as self.agent:
            for identity in STATIONS:
                await self._start_station(identity)
            ready()
            await stop.wait()

    def end(self, stop: trio.Event) -> None:
        """Let `run` end."""
        trio.from_thread.run_sync(stop.set, trio_token=self._token)

    def _call(self, function: Callable[[], Any]) -> None:
        async def bounded() -> None:
            with trio.fail_after(CALLED_WITHIN_S):
                await function()

        trio.from_thread.run(bounded, trio_token=self._token)

    async def _say(self, identity: str, action: str, payload: dict[str, Any]) -> None:
        assert (await self._stations[identity].call(action, payload)).error is None

    async def _charge(self, identity: str) -> None:
        assert not (await run_session(self._stations[identity], STAFF_BADGE)).faults

    async def _cut(self, name: str) -> None:
        self._scopes[name].cancel()
        await self._gone[name].wait()

    async def _start_station(self, identity: str) -> None:
        await self._nursery.start(self._run_station, identity)

    async def _run_station(self, identity: str, *, task_status: trio.TaskStatus[None]) -> None:
        with self._life_of(identity):
            while True:
                with contextlib.suppress(HandshakeFailed):
                    async with connect_station(self.agent.url(identity)) as station:
                        self._stations[identity] = station
                        await run_boot(station)
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        await station.wait_closed(float("inf"))
                await trio.sleep(BACK_AFTER_S)

    async def _run_supervision(self, name: str, port: int, *, task_status: trio.TaskStatus[None]) -> None:
        with self._life_of(name):
            async with open_supervision(port=port):
                task_status.started()
                await trio.sleep_forever()

    @contextmanager
    def _life_of(self, name: str) -> Iterator[None]:
        self._scopes[name], self._gone[name] = trio.CancelScope(), trio.Event()
        try:
            with self._scopes[name]:
                yield
        finally:
            self._gone[name].set()


def shown_config(ports: dict[str, int]) -> Any:
    """Return the site's configuration."""
    return a_config(
        supervisions={name: a_supervision(f"ws://127.0.0.1:{port}/ocpp") for name, port in ports.items()},
        groups={"staff": a_local_group(), "visitors": a_remote_group("acme"), "partners": a_remote_group("volt")},
        stations={identity: a_station(operator, group) for identity, (operator, group) in STATIONS.items()},
        badges={STAFF_BADGE: a_badge("staff")},
    )


@contextmanager
def shown_site(folder: Path, ports: dict[str, int]) -> Iterator[ShownSite]:
    """Run the site, supervisions by name on `ports`, until the block ends."""
    ready: queue.Queue[ShownSite | BaseException] = queue.Queue()
    stop = trio.Event()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            site = ShownSite(nursery)
            await site.run(folder, ports, lambda: ready.put(site), stop)
            nursery.cancel_scope.cancel()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # told where it can be seen
            ready.put(error)

    thread = threading.Thread(target=run, name="shown site")
    thread.start()
    found = ready.get(timeout=UP_WITHIN_S)
    if isinstance(found, BaseException):
        raise found
    try:
        yield found
    finally:
        found.end(stop)
        thread.join(UP_WITHIN_S)
