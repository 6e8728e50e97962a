"""What the journal keeps, one type a kind of entry. Texts are the messages as they came."""

import msgspec


class TransactionStart(msgspec.Struct, frozen=True):
    """A 1.6 StartTransaction, as received (`text`) and as far as read. Times are RFC 3339 text as the station wrote."""

    station: str
    text: str
    connector: int
    badge: str
    meter_start: int
    timestamp: str


class TransactionStop(msgspec.Struct, frozen=True):
    """A 1.6 StopTransaction."""

    station: str
    text: str
    transaction_id: int
    meter_stop: int | None
    timestamp: str
    reason: str


class TransactionSample(msgspec.Struct, frozen=True):
    """A 1.6 or 2.x MeterValues; `energy_wh` is the last energy register in it."""

    station: str
    text: str
    transaction_id: int | None
    energy_wh: int | None = None


class TransactionEvent(msgspec.Struct, frozen=True):
    """A 2.x TransactionEvent; `kind` is Started, Updated or Ended.

    `content` is a digest of all that it says: with the same transaction and sequence it is the same event sent again.
    What a station left out, although it must not: `transaction_id` is empty, `sequence` None. Such an event is kept,
    and never taken for a repeat.
    """

    station: str
    text: str
    transaction_id: str
    sequence: int | None
    kind: str
    badge: str
    timestamp: str
    reason: str
    content: int
    connector: int | None = None
    energy_wh: int | None = None


class SecurityEvent(msgspec.Struct, frozen=True):
    """A line of the security log: of a station (`text` as received), or of the agent itself (`text` empty)."""

    station: str
    kind: str
    detail: str
    timestamp: str
    text: str = ""


class StationFact(msgspec.Struct, frozen=True):
    """Something to remember of a station under a name, in place of what was there; None: forget it."""

    station: str
    name: str
    value: str | None


class OwnStart(msgspec.Struct, frozen=True):
    """A start that the agent asked a station for with a token of its own making, which no badge list has."""

    station: str
    token: str


class BundleEvent(msgspec.Struct, frozen=True):
    """What became of a bundle.

    `what`: `activated`, `proven` (its probation is over), `returned` (it went back to the one before), `refused`; or of
    a single `station`: `moved`, `moved-late` (with something open), `stayed` (its new operator failed). Digest and
    sequence are as far as known; `origin` is from where it came.
    """

    what: str
    digest: str
    sequence: int | None
    origin: str = ""
    detail: str = ""
    station: str = ""


Entry = (
    TransactionStart
    | TransactionStop
    | TransactionSample
    | TransactionEvent
    | SecurityEvent
    | StationFact
    | OwnStart
    | BundleEvent
)


def may_wait(entry: Entry) -> bool:
    """Whether an entry may wait for others to be stored with it (rule 36): samples only, starts and ends never."""
    match entry:
        case TransactionSample():
            return True
        case TransactionEvent():
            return entry.kind == "Updated"
        case _:
            return False


class OpenTransaction(msgspec.Struct, frozen=True):
    """A transaction that has not ended: the id by its version's rules, `started` as the station wrote it."""

    station: str
    transaction_id: str
    started: str
    connector: int | None = None
    meter_start: int | None = None


class TransactionRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A transaction for people and reports. `started` and `stopped` are as the station wrote them, `received` and
    `ended` by the controller's clock in UTC; `energy_wh` is as far as metered."""

    station: str
    transaction_id: str
    badge: str
    connector: int | None
    started: str
    received: str
    stopped: str | None
    ended: str | None
    energy_wh: int | None
    reason: str | None


class Receipt(msgspec.Struct, frozen=True):
    """What the journal says of a stored entry: the id of a 1.6 start, and whether the entry was there already.

    `charges_at`: the stations of the badge's open transactions that are older than the entry's, by the commit's own
    order: what is decided before the commit cannot see a start of the same moment.
    """

    transaction_id: int | None = None
    is_repeat: bool = False
    charges_at: tuple[str, ...] = ()
