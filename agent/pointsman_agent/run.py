"""The composition root: what is made in which order, and the nursery tree in which it runs.

    journal
    └── root nursery
        ├── source          the bundle file or URL, or the rollout's repository, followed
        ├── pusher          the state, to a metrics store
        ├── admin           the HTTP interface of the controller itself
        ├── listeners       one task a listening socket
        ├── connections     one task a station until it is relayed, each with its own nursery and error boundary
        └── reactor         the one task that serves all relayed stations

Here, and in `cli`, the wall clock is read.
"""

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog
import trio

from pointsman_agent.activation.archive import Archive
from pointsman_agent.activation.assembly import assembled
from pointsman_agent.activation.movement import Movement
from pointsman_agent.activation.walk import Activation
from pointsman_agent.admin import AdminInterface
from pointsman_agent.bearer import read_bearer
from pointsman_agent.connectiontest import MOST_TESTS, ConnectionTests
from pointsman_agent.door import ADMIN_FILE, door
from pointsman_agent.inforce import Holder
from pointsman_agent.journal import SqliteJournal, open_journal
from pointsman_agent.latesource import LateSource
from pointsman_agent.listener import Listeners
from pointsman_agent.local import LocalStations
from pointsman_agent.logs import redact_with
from pointsman_agent.names import CachedNames
from pointsman_agent.observer import Observer
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.plane.driver import Plane
from pointsman_agent.plane.reactor import Reactor
from pointsman_agent.ports import Clock, JournalFault, StoredState
from pointsman_agent.push.sender import Pusher
from pointsman_agent.push.spool import Spool
from pointsman_agent.readtoken import open_read_token
from pointsman_agent.redactionkey import open_redactor
from pointsman_agent.secrets import SecretFolder
from pointsman_agent.servicemanager import ServiceManager
from pointsman_agent.session import Sessions
from pointsman_agent.settings import RolloutSettings, Settings, SettingsError
from pointsman_agent.slots import Slots
from pointsman_agent.snapshots import Snapshots
from pointsman_agent.sources import Fail, Offer, Source
from pointsman_agent.sources.file import FileSource
from pointsman_agent.sources.http import HttpSource
from pointsman_agent.station import House
from pointsman_agent.status import Status
from pointsman_agent.tail import Tail
from pointsman_agent.upkeep import keep_well
from pointsman_agent.uplink import Uplinks
from pointsman_agent.uplinkkeys import UplinkKeys
from pointsman_agent.version import VERSION
from pointsman_agent.web.certificate import AdminCertificate, AdminCertificateError
from pointsman_agent.web.server import AdminBindError, bind

STATIONS_LEAVE_WITHIN_S: Final = 6.0  # rule 54: exit within 10 s, the farewell of a link takes up to 6
GOING_AWAY: Final = 1001
SOURCE_AGAIN_S: Final = 30.0  # after a fault of our own in it
KEYS_FOLDER: Final = "keys"
ROLLOUT_FOLDER: Final = "rollout"
PUSH_FOLDER: Final = "push"
JOURNAL_FILE: Final = "journal.sqlite3"

Opened = TypeVar("Opened")

log = structlog.get_logger()


class StartError(Exception):
    """The agent cannot start: a folder, a port or a file is not to be had. The message says which."""


class SystemClock:
    """The system's clock (see `ports.Clock`)."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


async def run(
    settings: Settings, clock: Clock, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run the agent until SIGTERM or SIGINT; returns when every station was told and the journal is closed.

    `task_status` is told when the last good bundle is in force again and the admin interface answers.
    Raises StartError or SettingsError when it cannot start.
    """
    signals = Signals()
    failure: StartError | SettingsError | None = None
    async with trio.open_nursery() as outermost:
        await outermost.start(signals.listen)
        try:
            await _run(settings, clock, signals, task_status)
        except* (StartError, SettingsError) as group:  # raised outside, where no nursery makes a group of it
            failure = _first_of(group)
        outermost.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _first_of(group: BaseExceptionGroup[StartError | SettingsError]) -> StartError | SettingsError:
    """The nurseries through which it came have made groups of groups of it."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _run(settings: Settings, clock: Clock, signals: "Signals", task_status: trio.TaskStatus[None]) -> None:
    with _owned_state(settings.state):
        store = Slots(settings.state)
        stored = _load(store)
        site = _site(settings, stored)
        certificate = await trio.to_thread.run_sync(_admin_certificate, settings)
        admin = _bind_admin(settings)
        with admin:
            try:
                async with open_journal(settings.state / JOURNAL_FILE, lambda: rfc3339(clock.now())) as journal:
                    agent = _Agent(settings, clock, site, store, stored, journal, admin, certificate, signals)
                    await agent.run(task_status)
            except JournalFault as error:
                remedy = "a journal that cannot be read may be moved away: a new one is made"
                raise StartError(f"{error}; {remedy}") from error


@dataclass(slots=True)
class _Agent:
    """What lives as long as the agent."""

    settings: Settings
    clock: Clock
    site: str
    store: Slots
    stored: StoredState
    journal: SqliteJournal
    admin: socket.socket
    admin_certificate: AdminCertificate | None
    signals: "Signals"

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        """Start all, wait for the signal, end all in order."""
        redactor = await _opened(open_redactor, self.settings.state)
        redact_with(redactor.words)
        read_token = await _opened(open_read_token, self.settings.state)
        status, holder, sessions = Status(VERSION, self.clock, redactor.words), Holder(), Sessions()
        names = CachedNames()
        trio.socket.set_custom_hostname_resolver(names)
        keys = UplinkKeys(self.settings.state / KEYS_FOLDER)
        await trio.to_thread.run_sync(keys.load)
        uplinks = Uplinks(status, keys, names, holder)
        reactor, tail, local = Reactor(), Tail(self.clock.now), LocalStations()
        observer = Observer(self.journal)
        await observer.load()
        source = _source(self.settings, self.site, self.clock, status, names)
        snapshots = Snapshots(status, holder, observer, self.journal)
        pusher = self._pusher(snapshots)
        tests = ConnectionTests(holder, sessions, keys, names, trio.CapacityLimiter(MOST_TESTS))
        stop, manager = self.signals.stop, ServiceManager(os.environ)
        async with trio.open_nursery() as root:
            self.signals.on_hangup = partial(manager.reloading, source.reload)
            root.start_soon(reactor.run)
            plane = Plane(reactor, root, sessions)
            house = House(
                holder, self.journal, status, sessions, uplinks, self.clock, tail, observer, plane=plane, local=local
            )
            listeners = Listeners(house, root)
            activation, movement = self._activation(house, listeners, root, source.reload)
            await activation.resume()
            root.start_soon(movement.run)
            root.start_soon(_follow, source, partial(activation.offer, origin=source.origin), activation.fail)
            root.start_soon(observer.run)
            root.start_soon(keep_well, self.journal, holder, status, self.clock)
            entrance = door(self.settings, self.admin, self.admin_certificate, read_token)
            reload = partial(_read_again, source, activation)
            interface = AdminInterface(self.site, entrance, house, self.journal, snapshots, redactor, tests, reload)
            await interface.start(root, stop)
            if pusher is not None:
                root.start_soon(pusher.run)
            log.info("agent runs", site=self.site, version=VERSION, state=str(self.settings.state))
            task_status.started()
            manager.ready()
            root.start_soon(manager.beat)
            await stop.wait()
            manager.stopping()
            await _say_farewell(listeners, sessions)
            await observer.flush()
            root.cancel_scope.cancel()
        log.info("agent ended", site=self.site)

    def _activation(
        self, house: House, listeners: Listeners, root: trio.Nursery, ask_again: Callable[[], None]
    ) -> tuple[Activation, Movement]:
        trusted = None if self.settings.rollout is not None else self.settings.trusted
        archive = Archive(self.site, trusted, self.stored, self.store, SecretFolder(self.settings.secrets))
        return assembled(
            archive=archive,
            journal=self.journal,
            observer=house.observer,
            holder=house.holder,
            listeners=listeners,
            sessions=house.sessions,
            uplinks=house.uplinks,
            status=house.status,
            clock=self.clock,
            nursery=root,
            ask_again=ask_again,
        )

    def _pusher(self, snapshots: Snapshots) -> Pusher | None:
        """Return what pushes the state, None where nothing is pushed."""
        push = self.settings.push
        if push is None:
            return None
        token = partial(_token, self.settings, push.token)
        spool = partial(Spool, self.settings.state / PUSH_FOLDER)
        return Pusher(push.url, token, spool, snapshots.take, self.clock.now, trust=push.trust)


def _source(settings: Settings, site: str, clock: Clock, status: Status, names: CachedNames) -> Source:
    """Return where bundles come from."""
    if settings.rollout is not None:
        return LateSource(settings.rollout.url, partial(_rollout, settings, settings.rollout, site, clock, status))
    if isinstance(settings.bundle, Path):
        return FileSource(settings.bundle)
    assert settings.bundle is not None
    return HttpSource(settings.bundle, SecretFolder(settings.secrets), on_failure=names.forget)


def _rollout(settings: Settings, rollout: RolloutSettings, site: str, clock: Clock, status: Status) -> Source:
    """Return the rollout's repository; raises OSError or SecretMissing for what is not there."""
    from pointsman_agent.sources.fetching import BoundedFetcher  # late: tuf takes 60 ms, and most run without it
    from pointsman_agent.sources.tuf import TufSource

    return TufSource(
        rollout.url,
        site,
        settings.state / ROLLOUT_FOLDER,
        rollout.root.read_bytes(),
        clock,
        on_look=status.source_looked,
        fetcher=BoundedFetcher(_token(settings, rollout.token)),
        poll_every_s=rollout.poll_s,
    )


def _token(settings: Settings, name: str | None) -> str | None:
    """Return the token in the secret `name`; raises SecretMissing."""
    return None if name is None else read_bearer(SecretFolder(settings.secrets), name)


async def _follow(source: Source, offer: Offer, fail: Fail) -> None:
    """Follow the source for ever: where it fails by a fault of ours, what is in force must not end with it."""
    while True:
        try:
            await source.follow(offer, fail)
        except Exception:
            log.exception("bundle source failed", origin=source.origin)
        await trio.sleep(SOURCE_AGAIN_S)


async def _read_again(source: Source, activation: Activation, is_retry: bool) -> None:
    """Look for a bundle at once; `is_retry`: also for one that was tried and failed."""
    if is_retry:
        await activation.retry()
    source.reload()


async def _say_farewell(listeners: Listeners, sessions: Sessions) -> None:
    """No new stations; those that are connected are told, and have a bounded time to go (rule 54)."""
    listeners.close()
    sessions.end_all(GOING_AWAY, "the controller stops", "closed")
    with trio.move_on_after(STATIONS_LEAVE_WITHIN_S):
        await sessions.all_ended()


class Signals:
    """What service managers and people tell the process."""

    def __init__(self) -> None:
        self.stop = trio.Event()
        self.on_hangup: Callable[[], None] = lambda: None

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Take signals until cancelled, which is last of all: a second SIGTERM must not cut the farewell short."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    self.on_hangup()
                else:
                    self.stop.set()


@contextmanager
def _owned_state(folder: Path) -> Iterator[None]:
    """Make the state folder and hold its lock: two agents on one journal would ruin it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StartError(f"--state {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(f"--state {folder}: another agent runs on this folder") from None
        try:
            yield
        finally:
            (folder / ADMIN_FILE).unlink(missing_ok=True)


async def _opened(open_file: Callable[[Path], Opened], state: Path) -> Opened:
    """What `open_file` has in the state folder; raises StartError."""
    try:
        return await trio.to_thread.run_sync(open_file, state)
    except OSError as error:
        raise StartError(f"--state {state}: {error.strerror}") from error


def _bind_admin(settings: Settings) -> socket.socket:
    try:
        return bind(settings.admin_host, settings.admin_port)
    except AdminBindError as error:
        raise StartError(f"--admin: {error}") from error


def _admin_certificate(settings: Settings) -> AdminCertificate | None:
    files = settings.admin_tls
    try:
        return None if files is None else AdminCertificate(files.certificate, files.key)
    except AdminCertificateError as error:
        raise StartError(f"--admin-certificate, --admin-key: {error}") from error


def _load(store: Slots) -> StoredState:
    try:
        return store.load()
    except (OSError, ValueError) as error:
        raise StartError(f"the state folder cannot be read: {error}") from error


def _site(settings: Settings, stored: StoredState) -> str:
    if settings.site is None and stored.site is None:
        raise SettingsError("--site ID is needed: the state folder does not know yet which site this is")
    if settings.site is not None and stored.site is not None and settings.site != stored.site:
        message = f"--site {settings.site}: the state folder belongs to site {stored.site!r}; use another one"
        raise SettingsError(message)
    site = settings.site or stored.site
    assert site is not None
    return site
