"""The objects of the API, as its OpenAPI document describes them.

The agent builds its answers as plain dicts, where they are known; these types are the contract that tests hold every
answer against, and from which the document is made. Times are RFC 3339, UTC where nothing else is said.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A moment."""


class _Shape(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What all have in common."""


class Error(_Shape, frozen=True):
    """Why a request was refused, and what to do."""

    error: str


class LastError(_Shape, frozen=True):
    """Why something ended last: a reason class (dns, tcp, proxy, tls, http-401, ...), words, when."""

    class_: str = field(name="class")
    message: str
    at: Time


class Bundle(_Shape, frozen=True):
    """A bundle: its digest, its sequence, and since when."""

    digest: str
    sequence: int
    at: Time


class RefusedBundle(_Shape, frozen=True):
    """A bundle that was not put in force, or did not stay so, and why."""

    digest: str | None
    sequence: int | None
    at: Time
    code: str
    message: str


class Quarantine(_Shape, frozen=True):
    """A bundle that went back by itself, and is not tried again before `until`."""

    digest: str
    until: Time
    why: str


class Bundles(_Shape, frozen=True):
    """What is wanted, what is in force, what was refused last."""

    desired: Bundle | None
    active: Bundle | None
    last_failed: RefusedBundle | None
    quarantine: Quarantine | None


class Source(_Shape, frozen=True):
    """Where bundles come from. `stale`: what it said has ended; `lastError` is null once a look went well."""

    stale: bool
    last_error: LastError | None


class Supervision(_Shape, frozen=True):
    """A supervision; `reachable` is null until somebody tried."""

    name: str
    reachable: bool | None
    stations_up: int
    clock_offset_seconds: float | None
    slowest_round_trip_seconds: float | None
    certificate_expires: Time | None
    key_differs: bool
    last_error: LastError | None


class Journal(_Shape, frozen=True):
    """The journal; `fault` says why it does not store."""

    fault: str | None


class Uplink(_Shape, frozen=True):
    """The connection of a station to its supervision."""

    connected: bool
    protocol: str | None


class Strategy(_Shape, frozen=True):
    """What a station of a local group does with badges, and how far it was brought to that."""

    online: str
    offline: str
    state: Literal["in force", "pending", "refused"]
    why: list[str]
    notes: list[str]


class PendingMove(_Shape, frozen=True):
    """A station that has yet to move from one operator to another; `returned`: it was there, and came back."""

    from_: str = field(name="from")
    to: str
    since: Time
    deadline: Time | None
    returned: bool


class Station(_Shape, frozen=True):
    """A station. `uplink` and `strategy` are null where they do not apply, `openTransactions` where not known."""

    station: str
    group: str | None
    operator: str
    connected: bool
    protocol: str | None
    uplink: Uplink | None
    strategy: Strategy | None
    since: Time | None
    last_error: LastError | None
    last_received: Time | None
    last_sent: Time | None
    queue: int
    open_transactions: int | None
    pending_move: PendingMove | None
    dropped: dict[str, int]
    noticed: dict[str, int]


class Status(_Shape, frozen=True):
    """What runs, since when, and why not otherwise."""

    site: str | None
    version: str
    state: Literal["waiting", "running", "probation", "degraded", "stale", "clock"]
    bundle: Bundles
    source: Source
    supervisions: list[Supervision]
    journal: Journal
    stations: list[Station]
    stations_total: int
    stations_connected: int


class Connector(_Shape, frozen=True):
    """A connector, as it said last; `connector` 0 of OCPP 1.6 is the station itself, which has no EVSEs."""

    evse: int | None
    connector: int | None
    status: str | None
    error: str | None
    detail: str | None
    at: str | None


class Inventory(_Shape, frozen=True, kw_only=True):
    """What a station says it is; null where it said nothing."""

    vendor: str | None
    model: str | None
    serial_number: str | None
    firmware: str | None
    protocol: str | None
    connectors: list[Connector]


class InventoryRow(Inventory, frozen=True, kw_only=True):
    """What a station says it is."""

    station: str


class StationFile(Station, frozen=True, kw_only=True):
    """All that is known of a station."""

    inventory: Inventory


class Message(_Shape, frozen=True, omit_defaults=True):
    """A message that passed, redacted; `dropped` says why it went nowhere."""

    at: Time
    station: str
    direction: Literal["from-station", "to-station", "from-supervision", "to-supervision"]
    text: str
    dropped: str | None = None


class Missed(_Shape, frozen=True):
    """How many messages passed faster than they were read."""

    missed: int


class SecurityEvent(_Shape, frozen=True):
    """An entry of the security log."""

    at: Time
    station: str
    type_: str = field(name="type")
    detail: str
    station_time: str | None


class Activation(_Shape, frozen=True):
    """What became of a bundle."""

    at: Time
    what: str
    digest: str | None
    sequence: int | None
    source: str | None
    station: str | None
    detail: str


class Transaction(_Shape, frozen=True):
    """A transaction of a local group; times are the site's, with their offset."""

    station: str
    transaction_id: str
    badge: str | None
    connector: int | None
    started: Time
    ended: Time | None
    energy_wh: int | float | None = field(name="energyWh")
    reason: str | None


class Step(_Shape, frozen=True):
    """A step of a connection test."""

    step: str
    verdict: Literal["ok", "warn", "fail"]
    seen: str
    milliseconds: int
    remedy: str


class Certificate(_Shape, frozen=True):
    """The certificate that a server showed."""

    subject: str
    issuer: str
    expires: Time


class ConnectionTest(_Shape, frozen=True):
    """The report of a connection test; `ok` when every step went well."""

    supervision: str
    url: str
    station: str | None
    ok: bool
    steps: list[Step]
    certificate: Certificate | None


class StationError(_Shape, frozen=True):
    """A CALLERROR."""

    code: str
    description: str


class StationAnswer(_Shape, frozen=True):
    """What a station answered to a CALL: its payload, or an error."""

    station: str
    action: str
    answer: dict[str, Any] | None
    error: StationError | None


class Reload(_Shape, frozen=True):
    """The bundle is read in a moment."""

    reload: Literal["asked"]


class Ticket(_Shape, frozen=True):
    """The path at which a browser is let in, once and soon."""

    path: str


class StationsEvent(_Shape, frozen=True):
    """Stations that changed; all there are where `whole`."""

    whole: bool
    stations: list[Station]
