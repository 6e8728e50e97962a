"""Fakes of the agent's ports, typed by the same Protocols as the adapters: they behave, and fail on demand."""

from collections import deque
from datetime import UTC, datetime, timedelta

import trio
from pointsman_agent.entries import (
    BundleEvent,
    Entry,
    OpenTransaction,
    OwnStart,
    Receipt,
    SecurityEvent,
    StationFact,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import JournalFault, SecretMissing, StoredState, WireClosed, WireLost
from pointsman_schema.badgelist import fold_badge

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SAME_START_WITHIN = timedelta(hours=24)


class FakeClock:
    """A wall clock that stands still until it is set."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """Return the moment."""
        return self.moment

    def advance(self, **delta: float) -> None:
        """Go on by `delta`, as of timedelta."""
        self.moment += timedelta(**delta)


class FakeSecrets:
    """Secrets from a dictionary."""

    def __init__(self, **values: bytes) -> None:
        self.values = values

    def read(self, name: str) -> bytes:
        """Return the secret; raises SecretMissing."""
        if name not in self.values:
            raise SecretMissing(name, f"secret {name!r} is not there")
        return self.values[name]


class MemoryStore:
    """Bundles in memory. `fault` is raised by whatever writes."""

    def __init__(self, state: StoredState | None = None) -> None:
        self.state = state or StoredState()
        self.staged: dict[str, bytes] = {}
        self.fault: OSError | None = None

    def load(self) -> StoredState:
        """Return what was saved last."""
        return self.state

    def read(self, name: str) -> bytes:
        """Return a staged envelope; raises FileNotFoundError."""
        if name not in self.staged:
            raise FileNotFoundError(name)
        return self.staged[name]

    def stage(self, name: str, envelope: bytes) -> None:
        """Keep an envelope."""
        self._fail_if_asked()
        self.staged[name] = envelope

    def save(self, state: StoredState) -> None:
        """Replace the state, forget what it does not name."""
        self._fail_if_asked()
        self.state = state
        self.staged = {name: envelope for name, envelope in self.staged.items() if name in state.bundles()}

    def _fail_if_asked(self) -> None:
        if self.fault is not None:
            raise self.fault


class _Transaction:
    def __init__(self, key: str, station: str, transaction_id: str, badge: str, started: str) -> None:
        self.key = key
        self.connector: int | None = None
        self.meter_start: int | None = None
        self.station = station
        self.transaction_id = transaction_id
        self.badge = badge
        self.started = started
        self.is_open = True
        self.is_superseded = False
        self.is_begun = True
        self.stopped = ""
        self.earlier: str | None = None

    def as_open(self) -> OpenTransaction:
        """Return what is asked of an open transaction."""
        return OpenTransaction(self.station, self.transaction_id, self.started, self.connector, self.meter_start)


class MemoryJournal:
    """The journal's rules without a disk: clocked tests use it, and it passes the same tests as the real one.

    `fault` makes every call fail. `entries` is all that was stored, repeats left out.
    """

    def __init__(self, clock: FakeClock, first_id: int = 1000) -> None:
        self._clock = clock
        self._last_id = first_id
        self._transactions: dict[str, _Transaction] = {}
        self._starts: dict[tuple[object, ...], tuple[int, datetime]] = {}
        self._events: dict[str, set[tuple[int, int]]] = {}
        self._facts: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, str] = {}
        self.newest = ""
        self.entries: list[Entry] = []
        self.fault: str | None = None

    async def append(self, entry: Entry) -> Receipt:
        """Store `entry`; raises JournalFault."""
        await self._checkpoint()
        match entry:
            case TransactionStart():
                receipt = self._start(entry)
            case TransactionStop():
                receipt = self._stop(entry)
            case TransactionEvent():
                receipt = self._event(entry)
            case StationFact():
                receipt = self._fact(entry)
            case OwnStart():
                self._tokens[entry.token] = entry.station
                receipt = Receipt()
            case TransactionSample() | SecurityEvent() | BundleEvent():
                receipt = Receipt()
        self.newest = max(self.newest, rfc3339(self._clock.now()))
        if not receipt.is_repeat:
            self.entries.append(entry)
        return receipt

    async def open_transactions(self) -> dict[str, int]:
        """Return how many transactions are open, by station; raises JournalFault."""
        await self._checkpoint()
        stations = sorted(each.station for each in self._transactions.values() if each.is_open)
        return {station: stations.count(station) for station in stations}

    async def open_with_badge(self, badge: str) -> list[OpenTransaction]:
        """Return the open transactions of a folded badge number; raises JournalFault."""
        await self._checkpoint()
        return [each.as_open() for each in self._transactions.values() if each.is_open and each.badge == badge]

    async def open_of_station(self, station: str) -> list[OpenTransaction]:
        """Return the open transactions of a station, oldest first; raises JournalFault."""
        await self._checkpoint()
        return [each.as_open() for each in self._transactions.values() if each.is_open and each.station == station]

    def has_fact(self, station: str, name: str) -> bool:
        """Whether something is remembered of a station under `name`."""
        return name in self._facts.get(station, {})

    async def facts_named(self, name: str) -> dict[str, str]:
        """Return what is remembered under `name`, by station; raises JournalFault."""
        await self._checkpoint()
        return {station: facts[name] for station, facts in sorted(self._facts.items()) if name in facts}

    async def facts_of(self, station: str) -> dict[str, str]:
        """Return what is remembered of a station; raises JournalFault."""
        await self._checkpoint()
        return dict(sorted(self._facts.get(station, {}).items()))

    async def station_of_token(self, token: str) -> str | None:
        """Return the station that was asked to start with `token`; raises JournalFault."""
        await self._checkpoint()
        return self._tokens.get(fold_badge(token))

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.fault is not None:
            raise JournalFault(self.fault)

    def _fact(self, fact: StationFact) -> Receipt:
        facts = self._facts.setdefault(fact.station, {})
        if fact.value is None:
            facts.pop(fact.name, None)
        else:
            facts[fact.name] = fact.value
        return Receipt()

    def _start(self, start: TransactionStart) -> Receipt:
        badge = fold_badge(start.badge)
        same = (start.station, start.connector, badge, start.meter_start, start.timestamp)
        number, received = self._starts.get(same, (0, datetime.min.replace(tzinfo=UTC)))
        if number and self._clock.now() - received < SAME_START_WITHIN and self._transactions[str(number)].is_open:
            return Receipt(number, is_repeat=True, charges_at=self._older_with_badge(badge, str(number)))
        self._last_id += 1
        key = str(self._last_id)
        self._transactions[key] = fresh = _Transaction(key, start.station, key, badge, start.timestamp)
        fresh.connector, fresh.meter_start = start.connector, start.meter_start
        self._starts[same] = (self._last_id, self._clock.now())
        self._supersede(fresh)
        return Receipt(self._last_id, charges_at=self._older_with_badge(badge, key))

    def _older_with_badge(self, badge: str, key: str) -> tuple[str, ...]:
        keys = list(self._transactions)
        older = [self._transactions[each] for each in keys[: keys.index(key)]]
        return tuple(each.station for each in older if each.is_open and each.badge == badge)

    def _stop(self, stop: TransactionStop) -> Receipt:
        transaction = self._transactions.get(str(stop.transaction_id))
        if transaction is None or transaction.station != stop.station:
            return Receipt()
        is_repeat = not transaction.is_open and not transaction.is_superseded
        transaction.is_open = transaction.is_superseded = False
        return Receipt(is_repeat=is_repeat)

    def _supersede(self, fresh: _Transaction) -> None:
        for each in self._transactions.values():
            is_there = (each.station, each.connector) == (fresh.station, fresh.connector)
            if is_there and each is not fresh and each.is_open and (each.connector or 0) > 0:
                each.is_open, each.is_superseded = False, True

    def _event(self, event: TransactionEvent) -> Receipt:
        if not event.transaction_id:
            return Receipt()
        key = f"{event.station}/{event.transaction_id}"
        known = self._transactions.get(key)
        same = None if event.sequence is None else (event.sequence, event.content)
        earlier = None if known is None else known.earlier
        if same in self._events.get(key, ()) or (earlier is not None and same in self._events[earlier]):
            return Receipt(is_repeat=True)
        if known is not None and event.kind == "Started" and self._is_another(known, event):
            earlier = self._set_aside(known)
        if same is not None:
            self._events.setdefault(key, set()).add(same)
        badge = fold_badge(event.badge)
        fresh = _Transaction(key, event.station, event.transaction_id, badge, event.timestamp)
        fresh.is_begun, fresh.earlier = False, earlier
        transaction = self._transactions.setdefault(key, fresh)
        transaction.badge = transaction.badge or badge
        transaction.connector = transaction.connector or event.connector
        if event.kind == "Started":
            if not transaction.is_begun:
                transaction.is_begun, transaction.started = True, event.timestamp
            self._supersede(transaction)
        if event.kind == "Ended":
            transaction.is_open, transaction.stopped = False, event.timestamp
        return Receipt(charges_at=self._older_with_badge(badge, key) if badge else ())

    def _is_another(self, known: _Transaction, event: TransactionEvent) -> bool:
        if known.is_begun:
            return not known.is_open or event.timestamp != known.started
        return not known.is_open and event.timestamp > known.stopped

    def _set_aside(self, known: _Transaction) -> str:
        del self._transactions[known.key]
        aside = f"/{len(self._transactions)}/{known.key}"
        self._events[aside] = self._events.pop(known.key, set())
        known.is_open = False
        self._transactions[aside] = known
        return aside


class FakeWire:
    """One end of a connection: `arrive` gives it texts of the peer, `sent` is what the peer got.

    `mute` (an Event) makes every send wait until it is set, as a peer that does not read does.
    """

    def __init__(self, protocol: str | None = "ocpp1.6") -> None:
        self._protocol = protocol
        self._inbox: deque[str | WireClosed] = deque()
        self._news = trio.Event()
        self.last_heard = 0.0
        self.sent: list[str] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self._has_closed = trio.Event()
        self.mute: trio.Event | None = None
        self.is_lost = False

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed."""
        return self._protocol

    def arrive(self, *items: str | WireClosed) -> None:
        """Let texts, or the end of the connection, come in."""
        self._inbox.extend(items)
        self.last_heard = trio.current_time()
        self._news.set()

    async def receive(self) -> str | WireClosed:
        """Return the next text or how the connection ended."""
        while not self._inbox:
            self._news = trio.Event()
            await self._news.wait()
        await trio.lowlevel.checkpoint()
        item = self._inbox.popleft()
        if isinstance(item, WireClosed):
            self._inbox.appendleft(item)
        return item

    async def wait_closed(self) -> None:
        """Wait until our side closed it."""
        await self._has_closed.wait()

    async def send(self, text: str) -> None:
        """Keep `text` as sent; raises WireLost when the peer is lost."""
        await trio.lowlevel.checkpoint()
        if self.mute is not None:
            await self.mute.wait()
        if self.is_lost:
            raise WireLost("the peer is lost")
        self.sent.append(text)

    async def ping(self) -> None:
        """Count a ping; raises WireLost when the peer is lost."""
        await trio.lowlevel.checkpoint()
        if self.is_lost:
            raise WireLost("the peer is lost")
        self.pings += 1

    async def close(self, code: int, reason: str) -> None:
        """Note the close; who receives is told, as the real wire does."""
        await trio.lowlevel.checkpoint()
        if self.closed is None:
            self.closed = (code, reason)
            self._has_closed.set()
            self._inbox.append(WireClosed(code, reason))
            self._news.set()
