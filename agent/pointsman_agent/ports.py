"""What tasks ask of the outside, as Protocols; adapters fulfil them, fakes in `tests/support` do too.

Everything here that waits does so within a bound of its own and says in its docstring what it raises when late.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from pointsman_agent.entries import Entry, OpenTransaction, Receipt


class WireLost(Exception):
    """The peer or the network ended a connection while we wrote to it. Nothing more can be sent."""


class JournalFault(Exception):
    """The journal cannot store (full disk, broken file). What was answered before is safe; nothing new may be."""


class SecretMissing(Exception):
    """A secret that the bundle names is not on the controller, or cannot be read."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class WireClosed(msgspec.Struct, frozen=True):
    """How a connection ended: `code` 1006 without a Close frame; `error` is the reason class of rule 50."""

    code: int
    reason: str
    error: str = "closed"


class Wire(Protocol):
    """One WebSocket connection. A reader that always reads is the owner's duty, else pongs stand still."""

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed."""

    @property
    def last_heard(self) -> float:
        """When the last byte came, on trio's clock."""

    async def receive(self) -> str | WireClosed:
        """Return the next text, or how the connection ended (again on each further call). Waits without bound."""

    async def send(self, text: str) -> None:
        """Write `text`; raises WireLost when the peer does not take it within the wire's send deadline."""

    async def ping(self) -> None:
        """Write a ping; raises WireLost like `send`. Whether anything came back shows in `last_heard`."""

    async def close(self, code: int, reason: str) -> None:
        """Close handshake and socket, both bounded; never raises."""


class Journal(Protocol):
    """What must never be lost. Entries are durable when the call returns; ids are idempotent.

    `fault` is why nothing can be stored, None while it can. `newest` is when the newest entry was received (RFC 3339,
    UTC; empty: there is none), so that a clock that went back shows.
    """

    @property
    def fault(self) -> str | None:
        """Why the journal does not store; None while it does."""

    @property
    def newest(self) -> str:
        """When the newest entry was received."""

    async def append(self, entry: Entry) -> Receipt:
        """Store `entry`; raises JournalFault when it cannot be made durable within the journal's deadline."""

    async def open_transactions(self) -> dict[str, int]:
        """Return how many transactions have started and not ended, by station; raises JournalFault."""

    async def open_with_badge(self, badge: str) -> list[OpenTransaction]:
        """Return the open transactions of a folded badge number; raises JournalFault."""

    async def open_of_station(self, station: str) -> list[OpenTransaction]:
        """Return the open transactions of a station, oldest first; raises JournalFault."""

    def has_fact(self, station: str, name: str) -> bool:
        """Whether something is remembered of a station under `name`; known at once."""

    async def facts_named(self, name: str) -> dict[str, str]:
        """Return what is remembered under `name`, by station; raises JournalFault."""

    async def facts_of(self, station: str) -> dict[str, str]:
        """Return what is remembered of a station, by name (see StationFact); raises JournalFault."""

    async def station_of_token(self, token: str) -> str | None:
        """Return the station that the agent asked to start with `token`, None for no token of ours. Raises
        JournalFault."""


class Failure(msgspec.Struct, frozen=True):
    """The last bundle that was refused: digest and sequence as far as known, when, and why (rule 49's codes)."""

    digest: str | None
    sequence: int | None
    at: str
    code: str
    message: str


class Quarantine(msgspec.Struct, frozen=True):
    """A configuration that is not tried again before `until` (RFC 3339), for `why` (rule 47)."""

    digest: str
    until: str
    why: str


class Move(msgspec.Struct, frozen=True):
    """A station on its way to another operator (rule 44).

    `bundle` names the one that is still in force for it, `since` when another operator was configured. From `deadline`
    on it moves whatever is open; empty until the station has been seen. `has_returned`: it went, its new operator
    failed, and it stays where it was until another bundle comes.
    """

    bundle: str
    since: str
    deadline: str = ""
    has_returned: bool = False


class StoredState(msgspec.Struct, frozen=True):
    """What the agent knows across restarts.

    `bundle` names what is in force since `activated_at`, `previous` what was before it. While `is_on_probation`, the
    previous one is what to start from (rule 46). `highest_sequence` is the highest ever activated, with its config
    digest: a sequence below it is never taken (rule 49). `moves` are by station.
    """

    site: str | None = None
    bundle: str | None = None
    activated_at: str = ""
    previous: str | None = None
    previous_activated_at: str = ""
    is_on_probation: bool = False
    highest_sequence: int = -1
    highest_digest: str = ""
    last_failed: Failure | None = None
    quarantine: Quarantine | None = None
    moves: dict[str, Move] = {}

    def bundles(self) -> set[str]:
        """Return the names of all bundles that it needs."""
        named = {self.bundle, self.previous, *(move.bundle for move in self.moves.values())}
        return {name for name in named if name is not None}


class BundleStore(Protocol):
    """Bundles on disk: what is in force survives a power cut, whole."""

    def load(self) -> StoredState:
        """Return what was kept, an empty state on a new controller; raises OSError or ValueError."""

    def read(self, name: str) -> bytes:
        """Return the envelope that was staged under `name`; raises OSError."""

    def stage(self, name: str, envelope: bytes) -> None:
        """Store an envelope durably; it counts only once a saved state names it. Raises OSError."""

    def save(self, state: StoredState) -> None:
        """Replace the state, durably and in one step; raises OSError and then changed nothing."""


class Secrets(Protocol):
    """Secrets by name, as files that something else lays down."""

    def read(self, name: str) -> bytes:
        """Return the secret, one trailing newline cut; raises SecretMissing."""


class Clock(Protocol):
    """The wall clock; deadlines use trio's."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""


SecretValues = Mapping[str, bytes]
"""Every secret that a bundle names, read once at activation."""
