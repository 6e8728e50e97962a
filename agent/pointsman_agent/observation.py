"""What the messages of a station tell of it, overheard: the transactions that are open, and what a new operator would
have to be told (rules 44 and 45). Pure.

Nothing is judged and nothing answered here, and what cannot be read tells nothing. An operator knows its stations'
transactions; the agent needs them only so as not to move a station in the middle of one. It counts ids:

    1.6   opened by StartTransaction (its id is in the answer), ended by StopTransaction
    2.x   opened and ended by TransactionEvent, with the station's own id

At a connector (2.x: EVSE) there is one at a time, so that a new one ends what was lost before it. A station that was
charging when it was first overheard has an open transaction that nobody knows: as long as no connector is known to be
free of one, it counts as open (`is_certain`).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from pointsman_agent.ocpp.frame import Frame, LocalFrameError, payload_of, result_payload

TRANSACTION_ACTIONS: Final = frozenset({"StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"})
"""Messages that a station queues while it is cut off (OCPP 1.6 section 3.7; 2.0.1 part 2, E04)."""

MOST_PLACES: Final = 64  # connectors of a station whose status is kept
MOST_OPEN: Final = 64  # transactions of a station; a sane one has one a connector
LONGEST_KEPT: Final = 4096  # characters of a message that is kept

_WITHOUT_ID: Final = "?"
"""Begins the key of a 1.6 transaction whose start was not answered yet."""
_CHARGING: Final = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE", "Occupied"})
"""Connector states in which a transaction may be open (OCPP 1.6 section 7.7; 2.0.1 part 2, ConnectorStatusEnumType)."""


class News(IntEnum):
    """How soon what was heard is to be kept."""

    NONE = 0
    SOON = 1
    NOW = 2


class Kept(msgspec.Struct, frozen=True):
    """An observation as it is stored: `open` is transaction id → connector, `statuses` connector → message.

    `accepted_by` is who accepted a boot last, and `interval` the seconds between heartbeats that it asked for.
    """

    protocol: str = ""
    boot: str = ""
    statuses: dict[str, str] = {}
    open: dict[str, int] = {}
    is_certain: bool = False
    accepted_by: str = ""
    interval: int = 0


class _Info(msgspec.Struct, gc=False):
    transactionId: str = ""


class _Evse(msgspec.Struct, gc=False):
    id: int = 0


class _Told(msgspec.Struct, gc=False):
    """What is of interest in a payload, in OCPP's words. Read as these types where it has them, which is quick, and
    with nothing in the place of what it has otherwise."""

    connectorId: int = 0
    evseId: int = 0
    transactionId: int | None = None
    eventType: str = ""
    transactionInfo: _Info | None = None
    evse: _Evse | None = None


class _Call(msgspec.Struct, array_like=True, gc=False):
    kind: int
    id: str
    action: str
    payload: _Told


_decoder: Final = msgspec.json.Decoder(_Call)


class Observation:
    """One station, as far as its messages have told."""

    __slots__ = (
        "accepted_by", "boot", "heard_transaction", "interval", "is_certain", "open", "protocol", "statuses",
    )  # fmt: skip

    def __init__(self, kept: Kept | None = None) -> None:
        kept = kept or Kept()
        self.protocol = kept.protocol
        self.boot = kept.boot
        self.statuses = dict(kept.statuses)
        self.open = dict(kept.open)
        self.is_certain = kept.is_certain
        self.accepted_by = kept.accepted_by
        self.interval = kept.interval
        self.heard_transaction = float("-inf")
        """When a transaction message came last, on the driver's clock."""

    @property
    def may_be_charging(self) -> bool:
        """Whether a transaction is open, or may be."""
        return bool(self.open) or not self.is_certain

    def kept(self) -> Kept:
        """Return what is to be stored."""
        return Kept(
            self.protocol,
            self.boot,
            dict(self.statuses),
            dict(self.open),
            self.is_certain,
            self.accepted_by,
            self.interval,
        )

    def hear(self, protocol: str, call: Frame, now: float) -> News:
        """Take note of a CALL of the station."""
        if call.action in TRANSACTION_ACTIONS:
            self.heard_transaction = now
            if self._is_an_update(call):
                return News.NONE
        told = _told_by(call)
        if told is None:
            return News.NONE
        self.protocol = protocol
        match call.action:
            case "BootNotification":
                self.boot = call.text if len(call.text) <= LONGEST_KEPT else self.boot
                return News.NOW
            case "StatusNotification":
                return self._status(call.text, told)
            case "StartTransaction":
                return self._open(f"{_WITHOUT_ID}{told.connectorId}", told.connectorId)
            case "StopTransaction":
                return self._stop(str(told.transactionId))
            case "MeterValues":
                return self._metered(told)
            case "TransactionEvent":
                return self._event(told)
            case _:
                return News.NONE

    def hear_answer(self, call: Frame, answer: Frame, by: str) -> News:
        """Take note of what the operator `by` answered to a boot, or to a StartTransaction: there it has the id."""
        told = _told_by(call)
        try:
            payload = result_payload(answer)
        except LocalFrameError:
            return News.NONE
        if told is None:
            return News.NONE
        if call.action == "BootNotification":
            is_accepted = payload.get("status") == "Accepted"
            return self.accepted(by, _number(payload, "interval")) if is_accepted else News.NONE
        connector, number = told.connectorId, payload.get("transactionId")
        self.open.pop(f"{_WITHOUT_ID}{connector}", None)
        return self._open(str(number), connector) if isinstance(number, int) else News.NOW

    def accepted(self, by: str, interval: int) -> News:
        """Take note that `by` accepted a boot."""
        if (self.accepted_by, self.interval) == (by, interval):
            return News.NONE
        self.accepted_by, self.interval = by, interval
        return News.NOW

    def _is_an_update(self, call: Frame) -> bool:
        """Whether a message is one of many in a transaction that is known: told without reading it."""
        if call.action == "MeterValues":
            return bool(self.open) or self.is_certain
        return (
            call.action == "TransactionEvent" and '"Updated"' in call.text and any(id in call.text for id in self.open)
        )

    def _open(self, key: str, connector: int) -> News:
        self.open = {id: place for id, place in self.open.items() if place != connector or not connector}
        if len(self.open) < MOST_OPEN:
            self.open[key] = connector
        return News.NOW

    def _stop(self, key: str) -> News:
        if key not in self.open:  # an id that was never given, or given unheard
            key = next((each for each in self.open if each.startswith(_WITHOUT_ID)), key)
        return self._ended(key)

    def _ended(self, key: str) -> News:
        was_open = self.open.pop(key, None) is not None
        return News.NOW if was_open or self._settle() else News.NONE

    def _metered(self, told: _Told) -> News:
        return News.NONE if told.transactionId is None else self._open(str(told.transactionId), told.connectorId)

    def _event(self, told: _Told) -> News:
        key = "" if told.transactionInfo is None else told.transactionInfo.transactionId
        if not 0 < len(key) <= LONGEST_KEPT:
            return News.NONE
        if told.eventType == "Ended":
            return self._ended(key)
        if key in self.open:
            return News.NONE
        return self._open(key, 0 if told.evse is None else told.evse.id)

    def _status(self, text: str, told: _Told) -> News:
        place = f"{told.evseId}/{told.connectorId}"
        if len(text) > LONGEST_KEPT or (place not in self.statuses and len(self.statuses) >= MOST_PLACES):
            return News.NONE
        self.statuses[place] = text
        return News.NOW if self._settle() else News.SOON

    def _settle(self) -> bool:
        """Become certain, where nothing speaks for a transaction any more; True where that is new."""
        if self.is_certain or self.open or not any(not place.endswith("/0") for place in self.statuses):
            return False
        self.is_certain = not any(f'"{state}"' in text for text in self.statuses.values() for state in _CHARGING)
        return self.is_certain


def _told_by(call: Frame) -> _Told | None:
    """Return what a CALL tells; None where it is nobody's JSON."""
    try:
        return _decoder.decode(call.text).payload
    except msgspec.DecodeError:
        pass
    try:
        payload = payload_of(call)
    except LocalFrameError:
        return None
    number, info, evse = payload.get("transactionId"), payload.get("transactionInfo"), payload.get("evse")
    key = info.get("transactionId") if isinstance(info, dict) else None
    return _Told(
        connectorId=_number(payload, "connectorId"),
        evseId=_number(payload, "evseId"),
        transactionId=number if isinstance(number, int) else None,
        eventType=str(payload.get("eventType")),
        transactionInfo=_Info(key) if isinstance(key, str) else None,
        evse=_Evse(_number(evse, "id")) if isinstance(evse, dict) else None,
    )


def _number(payload: Mapping[str, Any], name: str) -> int:
    """A whole number of a payload, 0 where there is none."""
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
