"""What the agent says of itself in numbers, read from its state when it is asked: nothing is kept twice."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import trio

from pointsman_agent import exposition as names
from pointsman_agent.certificates import first_to_end
from pointsman_agent.clockoffset import read_rfc3339
from pointsman_agent.exposition import Exposition
from pointsman_agent.inforce import Holder
from pointsman_agent.ports import JournalFault
from pointsman_agent.routing import Routing
from pointsman_agent.status import Status
from pointsman_agent.tallies import Durations, Exchanged, Tally

STATIONS_AT_ONCE: Final = 256  # looked at between two turns of the other tasks
_STATES: Final = ("waiting", "clock", "degraded", "probation", "stale", "running")
_LOCAL: Final = "local"

Samples = Iterator[tuple[tuple[str, ...], float]]


@dataclass(slots=True)
class _Sums:
    """The stations, added up."""

    stations: Counter[str] = field(default_factory=Counter)
    connected: Counter[str] = field(default_factory=Counter)
    queued: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Tells Prometheus how the agent is."""

    holder: Holder
    status: Status
    open_transactions: Callable[[], Awaitable[dict[str, int]]]
    commits: Durations

    async def text(self) -> bytes:
        """Return the metrics as they are now (see `exposition`)."""
        try:
            open_transactions = sum((await self.open_transactions()).values())
        except JournalFault:
            open_transactions = 0
        routing = None if self.holder.current is None else self.holder.current.routing
        sums = await self._sums(routing)
        page = Exposition(self.status.site or "")
        _say_agent(page, self.status)
        _say_stations(page, self.status, sums)
        _say_messages(page, self.status, sums, [] if routing is None else [*routing.config.supervisions])
        if routing is not None:
            _say_supervisions(page, self.status, routing)
        page.say_one(names.OPEN_TRANSACTIONS, open_transactions)
        page.say_durations(names.COMMITS, [((), self.commits)])
        return await trio.to_thread.run_sync(page.text)  # some milliseconds

    async def _sums(self, routing: Routing | None) -> _Sums:
        sums = _Sums()
        sums.dropped.update(self.status.tallies.dropped)
        sums.noticed.update(self.status.tallies.noticed)
        for number, (identity, route) in enumerate([] if routing is None else routing.routes.items()):
            if number % STATIONS_AT_ONCE == STATIONS_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            served = self.holder.waiting.get(identity)  # by its old operator, until it moves
            operator = (route if served is None else served.routing.routes[identity]).station.operator
            record = self.status.station(identity)
            sums.stations[operator] += 1
            sums.connected[operator] += record.is_connected
            sums.queued[operator] += record.queue if record.traffic is None else record.traffic.queue
            sums.dropped.update(record.drops or {})
            sums.noticed.update(record.notices or {})
        return sums


def _say_agent(page: Exposition, status: Status) -> None:
    page.say(names.AGENT, [((status.version,), 1)])
    state = status.state()
    page.say(names.STATE, [((each,), float(each == state)) for each in _STATES])
    bundles = {"active": status.active, "desired": status.desired}
    known = {name: bundle for name, bundle in bundles.items() if bundle is not None}
    page.say(names.SEQUENCE, [((name,), bundle.sequence) for name, bundle in known.items()])
    page.say(names.BUNDLE, [((name, bundle.digest), 1) for name, bundle in known.items()])
    since = None if status.active is None else read_rfc3339(status.active.at)
    page.say(names.BUNDLE_SINCE, [] if since is None else [((), since.timestamp())])
    failed = status.failure()
    page.say(names.REFUSED_BUNDLE, [] if failed is None else [((failed.code,), 1)])
    page.say_one(names.QUARANTINE, status.quarantine is not None)
    page.say_one(names.JOURNAL_FAULT, status.journal_fault is not None)
    page.say_one(names.CLOCK_BEHIND, status.is_clock_behind)
    page.say_one(names.LISTENER_FAULTS, len(status.listener_faults))


def _say_stations(page: Exposition, status: Status, sums: _Sums) -> None:
    page.say(names.STATIONS, _by_one(sums.stations))
    page.say(names.CONNECTED, _by_one(sums.connected))
    page.say_one(names.MOVES, len(status.pending_moves))
    page.say(names.QUEUED, _by_one(sums.queued))
    page.say(names.OPENED, _by_one(status.tallies.opened))
    page.say(names.ENDED, sorted(status.tallies.ended.items()))
    page.say(names.REFUSED, _by_one(status.tallies.refused))
    page.say(names.DROPPED, _by_one(sums.dropped))
    page.say(names.NOTICED, _by_one(sums.noticed))


def _say_messages(page: Exposition, status: Status, sums: _Sums, supervisions: list[str]) -> None:
    exchanged = {name: status.tallies.exchanged(name) for name in sorted({*supervisions, *sums.stations})}
    page.say(names.MESSAGES, (sample for name, each in exchanged.items() for sample in _messages(name, each)))
    asked = [
        ((name, asker), tally.answers)
        for name, each in exchanged.items()
        for asker, tally in (("station", each.station_asks), ("operator", each.supervision_asks))
    ]
    page.say_durations(names.ANSWERS, asked)


def _messages(operator: str, exchanged: Exchanged) -> Samples:
    """The agent is the operator of local groups: what it says to their stations is its own."""
    station, other = exchanged.station_asks, exchanged.supervision_asks
    back = "to_station" if operator == _LOCAL else "from_supervision"
    for direction, asks, answers in (("from_station", station, other), (back, other, station)):
        for kind, count in _kinds(asks, answers):
            yield (operator, direction, kind), count


def _kinds(asks: Tally, answers: Tally) -> Iterator[tuple[str, int]]:
    """What one side says: CALLs of its own, and answers to the other's."""
    yield "call", asks.calls
    yield "result", answers.results
    yield "error", answers.errors
    yield "other", asks.others


def _say_supervisions(page: Exposition, status: Status, routing: Routing) -> None:
    records = {name: status.supervision(name) for name in sorted(routing.config.supervisions)}
    tried = {name: each.is_reachable for name, each in records.items() if each.is_reachable is not None}
    page.say(names.REACHABLE, _by_one(tried))
    offsets = {name: each.clock_offset_s for name, each in records.items() if each.clock_offset_s is not None}
    page.say(names.OFFSET, _by_one(offsets))
    page.say(names.SLOWEST, (((name,), each.slowest_round_trip_s) for name, each in records.items()))
    page.say(names.CERTIFICATE, sorted(_expiries(status, routing)))


def _expiries(status: Status, routing: Routing) -> Samples:
    for name, supervision in routing.config.supervisions.items():
        seen = status.supervision(name).certificate_expires
        if seen is not None:
            yield ("supervision", name), seen.timestamp()
        if supervision.client_certificate is not None:
            yield from _expiry("client", name, supervision.client_certificate.chain)
    for name, listener in routing.config.listeners.items():
        if listener.certificate is not None:
            yield from _expiry("listener", name, listener.certificate.chain)


def _expiry(kind: str, name: str, chain: str) -> Samples:
    first = first_to_end(chain)
    if first is not None:
        yield (kind, name), first.timestamp()


def _by_one(numbers: Mapping[str, float]) -> list[tuple[tuple[str], float]]:
    return [((label,), number) for label, number in sorted(numbers.items())]
