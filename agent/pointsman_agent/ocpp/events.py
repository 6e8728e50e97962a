"""What happens to a link (events, past tense) and what it wants done (commands, imperative).

The link turns the first into the second; its driver turns sockets and time into events, and commands into I/O.
"""

import msgspec

from pointsman_agent.ocpp.frame import Frame
from pointsman_agent.ocpp.intercepts import Side


class Received(msgspec.Struct, frozen=True):
    """A text message came from `side`."""

    side: Side
    text: str


class Flushed(msgspec.Struct, frozen=True):
    """All that was handed over for `side` has been written to its socket."""

    side: Side


class Closed(msgspec.Struct, frozen=True):
    """The connection of `side` ended. `code` 1006: without a Close frame; `error` is the reason class of rule 50."""

    side: Side
    code: int
    reason: str
    error: str = "closed"


class EndRequested(msgspec.Struct, frozen=True):
    """The agent itself ends the link: `code` goes to the station, 1001 to the supervision."""

    code: int
    reason: str
    error: str


class Stored(msgspec.Struct, frozen=True):
    """What the held CALL `call_id` of `side` asked to keep is durable; or it could not be kept."""

    call_id: str
    side: Side = Side.STATION
    is_stored: bool = True


class OwnCallAsked(msgspec.Struct, frozen=True):
    """The agent itself wants to ask `side` something; `call_id` is a UUID, so the other side has not got it too."""

    call_id: str
    text: str
    side: Side = Side.STATION


class TimePassed(msgspec.Struct, frozen=True):
    """`deadline()` has come."""


Event = Received | Flushed | Closed | EndRequested | Stored | OwnCallAsked | TimePassed


class Send(msgspec.Struct, frozen=True):
    """Write `text` to `side`."""

    side: Side
    text: str


class Close(msgspec.Struct, frozen=True):
    """Close `side` after all that was queued for it."""

    side: Side
    code: int
    reason: str


class Keep(msgspec.Struct, frozen=True):
    """Store the security event `call` durably, then report `Stored`."""

    call: Frame


class KeepKey(msgspec.Struct, frozen=True):
    """Store `key` for the uplink durably, then report `Stored` of the supervision's CALL `call_id` (rule 21)."""

    call_id: str
    key: bytes


class OwnCallEnded(msgspec.Struct, frozen=True):
    """The answer to a CALL of the agent's own; `text` None: none came in time."""

    call_id: str
    text: str | None


class Overheard(msgspec.Struct, frozen=True):
    """A CALL of the station that tells something of it; it goes on as well."""

    call: Frame


class Answered(msgspec.Struct, frozen=True):
    """A supervision answered a station's `call` `round_trip_s` seconds after it was written; None: it was not seen to
    leave."""

    call: Frame
    round_trip_s: float | None
    text: str


class Notice(msgspec.Struct, frozen=True):
    """Something notable of a CALL that `side` made, for a log line and a counter; `what` has a fixed set of values."""

    side: Side
    what: str
    action: str


class Drop(msgspec.Struct, frozen=True):
    """Count a message of `side` that goes nowhere, and why. `text` is only for a redacted excerpt."""

    side: Side
    why: str
    text: str


class Lost(msgspec.Struct, frozen=True):
    """Note why the link ended: the reason class of rule 50, its detail, the side that ended or failed it (None: the
    agent itself), and the action that stayed unanswered where that was it."""

    side: Side | None
    error: str
    detail: str
    action: str | None = None


Command = Send | Close | Keep | KeepKey | OwnCallEnded | Overheard | Answered | Notice | Drop | Lost
