"""What runs, since when, and why not otherwise: the one place where tasks write it down (rule 50). No I/O."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import trio
from pointsman_schema.bundle import Group

from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import Clock, Failure, Quarantine
from pointsman_agent.routing import Route, Routing
from pointsman_agent.strategy.steps import Report
from pointsman_agent.tallies import Tallies


@dataclass(slots=True)
class LastError:
    """Why something ended last: the reason class of rule 50, words, when."""

    error: str
    message: str
    at: datetime

    def as_json(self) -> dict[str, str]:
        """Return the object of the API."""
        return {"class": self.error, "message": self.message, "at": rfc3339(self.at)}


class Traffic(Protocol):
    """A relay that keeps its own figures while it lives; times on trio's clock."""

    last_received: float | None
    last_sent: float | None

    @property
    def queue(self) -> int:
        """CALLs that wait."""


@dataclass(slots=True)
class StationStatus:
    """One station, as far as the agent sees it. `drops` counts messages that went nowhere, by why; `notices` what was
    notable of those that passed. Both are None until there is something to count."""

    is_connected: bool = False
    protocol: str | None = None
    uplink_protocol: str | None = None
    since: datetime | None = None
    last_error: LastError | None = None
    last_received: datetime | None = None
    last_sent: datetime | None = None
    queue: int = 0
    traffic: Traffic | None = None
    key_differs: bool = False
    strategy: Report | None = None
    drops: Counter[str] | None = None
    notices: Counter[str] | None = None

    def count_drop(self, why: str) -> None:
        """A message went nowhere."""
        self.drops = self.drops or Counter()
        self.drops[why] += 1

    def count_notice(self, what: str) -> None:
        """A message that passed was notable."""
        self.notices = self.notices or Counter()
        self.notices[what] += 1


@dataclass(slots=True)
class SupervisionStatus:
    """One supervision. `is_reachable` is None until somebody tried."""

    is_reachable: bool | None = None
    stations_up: int = 0
    certificate_expires: datetime | None = None
    clock_offset_s: float | None = None
    slowest_round_trip_s: float = 0.0
    last_error: LastError | None = None


@dataclass(slots=True)
class BundleInForce:
    """The bundle that the agent acts on."""

    digest: str
    sequence: int
    at: str


@dataclass(frozen=True, slots=True)
class PendingMove:
    """A station that has yet to move from one operator to another (rule 44); times are RFC 3339, `deadline` empty until
    it was seen. `has_returned`: it was there, and stays where it is until another bundle comes."""

    left: str
    operator: str
    since: str
    deadline: str
    has_returned: bool

    def as_json(self) -> dict[str, Any]:
        """Return the object of the API."""
        return {
            "from": self.left,
            "to": self.operator,
            "since": self.since,
            "deadline": self.deadline or None,
            "returned": self.has_returned,
        }


class Status:
    """What all tasks report, and the object that `status --json` and the API show."""

    def __init__(self, version: str, clock: Clock, redact: Callable[[str], str] = str) -> None:
        self.version = version
        self.tallies = Tallies()
        self._clock = clock
        self.redact = redact  # for words that peers chose
        self._stations: dict[str, StationStatus] = {}
        self._supervisions: dict[str, SupervisionStatus] = {}
        self.site: str | None = None
        self.desired: BundleInForce | None = None
        self.active: BundleInForce | None = None
        self.last_failed: Failure | None = None
        self.quarantine: Quarantine | None = None
        self.is_on_probation = False
        self.pending_moves: Mapping[str, PendingMove] = {}
        self.journal_fault: str | None = None
        self.is_clock_behind = False
        self.is_stale = False
        self.source_error: LastError | None = None
        self.source_fault: Failure | None = None
        self.listener_faults: dict[str, str] = {}

    def station(self, identity: str) -> StationStatus:
        """Return the record of a station, for the task that serves it."""
        return self._stations.setdefault(identity, StationStatus())

    def supervision(self, name: str) -> SupervisionStatus:
        """Return the record of a supervision."""
        return self._supervisions.setdefault(name, SupervisionStatus())

    def error(self, error: str, message: str) -> LastError:
        """Return an error that happened at this moment.

        A station's words may hold half a surrogate pair (JSON can escape one), which no UTF-8 of ours could show.
        """
        return LastError(error, message.encode(errors="replace").decode(), self._clock.now())

    def stamp(self) -> datetime:
        """Return this moment, for a record."""
        return self._clock.now()

    def connected(self, route: Route, protocol: str | None, uplink_protocol: str | None) -> None:
        """Show a station as connected, from now on."""
        record = self.station(route.identity)
        record.is_connected, record.since = True, self.stamp()
        record.protocol, record.uplink_protocol = protocol, uplink_protocol
        self.tallies.opened[route.station.operator] += 1
        if route.supervision_name is not None:
            self.supervision(route.supervision_name).stations_up += 1

    def disconnected(self, route: Route) -> None:
        """Show a station that was `connected` as gone."""
        record = self.station(route.identity)
        record.is_connected, record.since = False, self.stamp()
        record.protocol = record.uplink_protocol = None
        if route.supervision_name is not None:
            self.supervision(route.supervision_name).stations_up -= 1

    def settle(self, record: StationStatus) -> None:
        """Take over what a relay that keeps its own figures knows."""
        traffic = record.traffic
        if traffic is None:
            return
        now = trio.current_time()
        if traffic.last_received is not None:
            record.last_received = self._clock.now() - timedelta(seconds=now - traffic.last_received)
        if traffic.last_sent is not None:
            record.last_sent = self._clock.now() - timedelta(seconds=now - traffic.last_sent)

    def forget_absent(self, routing: Routing) -> None:
        """Drop what the bundle in force no longer names."""
        for record in (self._stations.pop(name) for name in [*self._stations] if name not in routing.routes):
            self.tallies.dropped.update(record.drops or {})
            self.tallies.noticed.update(record.notices or {})
        known = routing.config.supervisions
        self._supervisions = {name: record for name, record in self._supervisions.items() if name in known}

    def state(self) -> str:
        """Return the word for the whole: waiting, clock, degraded, probation, stale or running (rule 50)."""
        if self.active is None:
            return "waiting"
        if self.is_clock_behind:
            return "clock"
        is_unreachable = any(record.is_reachable is False for record in self._supervisions.values())
        is_refused = self.failure() is not None and not self.is_stale  # what ended says more than what was refused
        if is_unreachable or is_refused or self.journal_fault is not None or self.listener_faults:
            return "degraded"
        if self.is_on_probation:
            return "probation"
        return "stale" if self.is_stale else "running"

    def failure(self) -> Failure | None:
        """Return what was refused last: a bundle, else what the source gave in place of one. A bundle that failed stays
        shown whatever the source does, for a rollout is halted by it."""
        return self.last_failed or self.source_fault

    def source_looked(self, is_stale: bool, trouble: tuple[str, str] | None) -> None:
        """Show how the source's last look went: whether it says nothing that is still to be believed, and why it gave
        nothing (code, words), None where all was well. That lifts a fault, as what has ended does."""
        self.is_stale = is_stale
        if trouble is None or trouble[0] == "stale":
            self.source_fault = None
        known = self.source_error
        if trouble is None:
            self.source_error = None
        elif known is None or (known.error, known.message) != trouble:
            self.source_error = self.error(*trouble)

    def source_failed(self, code: str, message: str) -> None:
        """Show a fault of the source that is more than an outage."""
        self.source_error = self.error(code, message)
        self.source_fault = Failure(None, None, rfc3339(self.source_error.at), code, self.source_error.message)

    def snapshot(
        self,
        routing: Routing | None,
        open_transactions: Mapping[str, int],
        waiting: Mapping[str, Route] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Return the object of `GET /api/status`.

        `open_transactions` by identity: a relayed station is in it only where they are known. `waiting`: the stations
        that have yet to move, as they are served until then.
        """
        stations = [] if routing is None else self._station_rows(routing, open_transactions, waiting)
        return {
            "site": self.site,
            "version": self.version,
            "state": self.state(),
            "bundle": {
                "desired": _bundle_row(self.desired),
                "active": _bundle_row(self.active),
                "lastFailed": _failure_row(self.failure()),
                "quarantine": _quarantine_row(self.quarantine),
            },
            "source": {
                "stale": self.is_stale,
                "lastError": None if self.source_error is None else self.source_error.as_json(),
            },
            "supervisions": [] if routing is None else self._supervision_rows(routing),
            "journal": {"fault": self.journal_fault},
            "stations": stations,
            "stationsTotal": len(stations),
            "stationsConnected": sum(1 for row in stations if row["connected"]),
        }

    def _station_rows(
        self, routing: Routing, open_transactions: Mapping[str, int], waiting: Mapping[str, Route]
    ) -> list[dict[str, Any]]:
        rows = []
        for identity, configured in sorted(routing.routes.items()):
            route = waiting.get(identity, configured)
            move = self.pending_moves.get(identity)
            record = self.station(identity)
            self.settle(record)
            is_local = route.supervision is None
            group = routing.group_of(route) if is_local and route is configured else None
            rows.append(
                {
                    "station": identity,
                    "group": route.station.group,
                    "operator": route.station.operator,
                    "connected": record.is_connected,
                    "protocol": record.protocol,
                    "uplink": None if is_local else _uplink_row(record),
                    "strategy": _strategy_row(group, record.strategy),
                    "since": _time(record.since),
                    "lastError": record.last_error.as_json() if record.last_error else None,
                    "lastReceived": _time(record.last_received),
                    "lastSent": _time(record.last_sent),
                    "queue": record.queue if record.traffic is None else record.traffic.queue,
                    "openTransactions": open_transactions.get(identity, 0 if is_local else None),
                    "pendingMove": None if move is None else move.as_json(),
                    "dropped": dict(sorted((record.drops or {}).items())),
                    "noticed": dict(sorted((record.notices or {}).items())),
                }
            )
        return rows

    def _supervision_rows(self, routing: Routing) -> list[dict[str, Any]]:
        rows = []
        for name in sorted(routing.config.supervisions):
            record = self.supervision(name)
            rows.append(
                {
                    "name": name,
                    "reachable": record.is_reachable,
                    "stationsUp": record.stations_up,
                    "clockOffsetSeconds": record.clock_offset_s,
                    "slowestRoundTripSeconds": round(record.slowest_round_trip_s, 3) or None,
                    "certificateExpires": _time(record.certificate_expires),
                    "keyDiffers": any(
                        self.station(identity).key_differs
                        for identity, route in routing.routes.items()
                        if route.supervision_name == name
                    ),
                    "lastError": record.last_error.as_json() if record.last_error else None,
                }
            )
        return rows


def _uplink_row(record: StationStatus) -> dict[str, Any]:
    return {"connected": record.uplink_protocol is not None, "protocol": record.uplink_protocol}


def _strategy_row(group: Group | None, report: Report | None) -> dict[str, Any] | None:
    """What a local station does with badges, online and offline, and how far it was brought to that."""
    if group is None or group.authentication is None:
        return None
    report = report or Report(waits=("the station has not been asked yet",))
    return {
        "online": group.authentication.online,
        "offline": group.authentication.offline,
        "state": report.state,
        "why": [*report.refused, *report.waits],
        "notes": list(report.notes),
    }


def _bundle_row(bundle: BundleInForce | None) -> dict[str, Any] | None:
    return None if bundle is None else {"digest": bundle.digest, "sequence": bundle.sequence, "at": bundle.at}


def _failure_row(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "digest": failure.digest,
        "sequence": failure.sequence,
        "at": failure.at,
        "code": failure.code,
        "message": failure.message,
    }


def _quarantine_row(quarantine: Quarantine | None) -> dict[str, Any] | None:
    if quarantine is None:
        return None
    return {"digest": quarantine.digest, "until": quarantine.until, "why": quarantine.why}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
