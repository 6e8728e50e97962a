"""What the agent answers as operator of a local group, to every action of its stations (rules 32 to 35).

Pure: a CALL's payload, the decision on its badge and the time go in; the payload of the answer and what must be durable
before it is sent come out. Payloads are read with tolerance, since a transaction message must be answered whatever is
wrong with it (OCPP 1.6 sections 4.7 to 4.10).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from ocpp.v16.enums import AuthorizationStatus, DataTransferStatus, RegistrationStatus
from ocpp.v201.enums import AuthorizationStatusEnumType

from pointsman_agent.badges import Decision, Verdict
from pointsman_agent.entries import (
    Entry,
    OpenTransaction,
    SecurityEvent,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)
from pointsman_agent.ocpp.frame import Frame, LocalFrameError
from pointsman_agent.ocpp.meters import energy_wh
from pointsman_agent.ocpp.sentagain import content_of

HEARTBEAT_INTERVAL_S: Final = 300  # ours to choose; OCPP wants one heartbeat a day at least
BOOT_AGAIN_S: Final = 30  # for a station that is not served yet (rule 41)
VIP_PRIORITY: Final = 9  # chargingPriority goes from -9 to 9, 0 by default (2.0.1 part 2, IdTokenInfoType)

_OWN_PREFIX: Final = "pm-"
_OWN_TOKEN: Final = re.compile(rf"(?i:{_OWN_PREFIX})[0-9a-fA-F]{{16}}\Z")

Payload = Mapping[str, Any]

_WORD_16: Final = {
    Verdict.ACCEPTED: AuthorizationStatus.accepted.value,
    Verdict.BLOCKED: AuthorizationStatus.blocked.value,
    Verdict.EXPIRED: AuthorizationStatus.expired.value,
    Verdict.UNKNOWN: AuthorizationStatus.invalid.value,
    Verdict.CONCURRENT: AuthorizationStatus.concurrent_tx.value,
}
_WORD_2X: Final = {
    Verdict.ACCEPTED: AuthorizationStatusEnumType.accepted.value,
    Verdict.BLOCKED: AuthorizationStatusEnumType.blocked.value,
    Verdict.EXPIRED: AuthorizationStatusEnumType.expired.value,
    Verdict.UNKNOWN: AuthorizationStatusEnumType.unknown.value,
    Verdict.CONCURRENT: AuthorizationStatusEnumType.concurrent_tx.value,
}


class Reply(msgspec.Struct, frozen=True):
    """The payload of a CALLRESULT, to be sent once `entry` (if any) is durable.

    The answer to a TransactionStart still lacks its `transactionId`, which the journal gives.
    """

    payload: dict[str, Any]
    entry: Entry | None = None


class Asked(msgspec.Struct, frozen=True):
    """A CALL to answer: who asks, when, what, and the decision on the badge that it names (None: it names none).

    `boots_after_s`: a boot is answered Pending, to be repeated after so long; None: Accepted.
    """

    station: str
    call: Frame
    payload: Payload
    decision: Decision | None
    now: datetime
    boots_after_s: int | None = None


def badge_of(protocol: str, action: str, payload: Payload) -> str | None:
    """Return the badge that a CALL asks about or charges with; None where it names none."""
    if protocol == "ocpp1.6":
        return _text(payload, "idTag") if action in ("Authorize", "StartTransaction") or "idTag" in payload else None
    token = payload.get("idToken")
    if isinstance(token, dict):
        return _text(token, "idToken")
    return "" if action == "Authorize" else None


def token_type_of(protocol: str, payload: Payload) -> str | None:
    """Return the 2.x type of the token that a CALL names; None in 1.6, which has no types."""
    return None if protocol == "ocpp1.6" else _text(_object(payload, "idToken"), "type") or None


def is_own_token(number: str) -> bool:
    """Return whether `number` has the form of a token that the agent makes up for a start of its own."""
    return _OWN_TOKEN.match(number) is not None


def own_token(random: bytes) -> str:
    """Return a token for a start of the agent's own, out of 8 random bytes: 19 characters, for 1.6 takes 20."""
    return f"{_OWN_PREFIX}{random.hex()}"


def transaction_of(protocol: str, payload: Payload) -> str | None:
    """Return the transaction that a CALL belongs to, as text; None where it names none."""
    if protocol == "ocpp1.6":
        number = _integer(payload, "transactionId")
        return None if number is None else str(number)
    return _text(_object(payload, "transactionInfo"), "transactionId") or None


def is_start_of(transaction: OpenTransaction, protocol: str, payload: Payload) -> bool:
    """Return whether `payload` is the 1.6 StartTransaction that began `transaction`, sent again; its badge and station
    have been compared already (rule 35)."""
    said = (_integer(payload, "connectorId") or 0, _integer(payload, "meterStart") or 0, payload.get("timestamp"))
    return protocol == "ocpp1.6" and said == (transaction.connector, transaction.meter_start, transaction.started)


def begins_at(protocol: str, action: str, payload: Payload) -> int | None:
    """Return the connector (1.6) or EVSE (2.x) at which a CALL begins a transaction, from 1 on; None for any other CALL
    and where it names none."""
    if protocol == "ocpp1.6":
        at = _integer(payload, "connectorId") if action == "StartTransaction" else None
    else:
        at = _integer(_object(payload, "evse"), "id") if payload.get("eventType") == "Started" else None
    return at if at is not None and at > 0 else None


def answer(protocol: str, asked: Asked) -> Reply:
    """Return the reply to a CALL of a local station.

    Raises LocalFrameError `NotImplemented` for an action that this version does not send to a central system.
    """
    rule = _TABLES[protocol].get(asked.call.action)
    if rule is None:
        message = f"{asked.call.action[:50]!r} is not an action that {protocol} has for a station"
        raise LocalFrameError(message, call_id=asked.call.id, code="NotImplemented")
    return rule(asked)


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC with `Z` and whole seconds (rule 40): some stations take nothing else."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _always(**payload: Any) -> Callable[[Asked], Reply]:
    return lambda asked: Reply(dict(payload))


def _boot(asked: Asked) -> Reply:
    """Pending: the station may be configured, and charges nobody (OCPP 1.6 section 4.2)."""
    is_accepted = asked.boots_after_s is None
    status = RegistrationStatus.accepted if is_accepted else RegistrationStatus.pending
    interval = HEARTBEAT_INTERVAL_S if asked.boots_after_s is None else asked.boots_after_s
    return Reply({"status": status.value, "currentTime": rfc3339(asked.now), "interval": interval})


def _heartbeat(asked: Asked) -> Reply:
    return Reply({"currentTime": rfc3339(asked.now)})


def _authorize_16(asked: Asked) -> Reply:
    return Reply({"idTagInfo": _tag_info(asked)})


def _start_16(asked: Asked) -> Reply:
    entry = TransactionStart(
        station=asked.station,
        text=asked.call.text,
        connector=_integer(asked.payload, "connectorId") or 0,
        badge=_text(asked.payload, "idTag"),
        meter_start=_integer(asked.payload, "meterStart") or 0,
        timestamp=_text(asked.payload, "timestamp"),
    )
    return Reply({"idTagInfo": _tag_info(asked)}, entry)


def _stop_16(asked: Asked) -> Reply:
    unknown = -1  # what a station sends that never got an id (1.6 errata 3.18)
    number = _integer(asked.payload, "transactionId")
    entry = TransactionStop(
        station=asked.station,
        text=asked.call.text,
        transaction_id=unknown if number is None else number,
        meter_stop=_integer(asked.payload, "meterStop"),
        timestamp=_text(asked.payload, "timestamp"),
        reason=_text(asked.payload, "reason") or "Local",
    )
    return Reply({} if asked.decision is None else {"idTagInfo": _tag_info(asked)}, entry)


def _meter_values(asked: Asked) -> Reply:
    number = _integer(asked.payload, "transactionId")
    energy = energy_wh(asked.payload.get("meterValue"))
    return Reply({}, TransactionSample(asked.station, asked.call.text, number, energy))


def _authorize_2x(asked: Asked) -> Reply:
    info = _token_info(asked)
    status = _certificate_status(asked)
    return Reply({"idTokenInfo": info} if status is None else {"idTokenInfo": info, "certificateStatus": status})


def _certificate_status(asked: Asked) -> str | None:
    """What to say of a contract certificate (2.0.1 part 2, C07), None where the request shows none.

    With hashes the station has checked the chain itself. A chain that the central system is to check cannot be: the
    controller has no contract roots.
    """
    if _verdict(asked) is not Verdict.ACCEPTED and ("certificate" in asked.payload or _has_hashes(asked)):
        return "NoCertificateAvailable"
    if "certificate" in asked.payload:
        return "CertChainError"
    return "Accepted" if _has_hashes(asked) else None


def _has_hashes(asked: Asked) -> bool:
    return "iso15118CertificateHashData" in asked.payload


def _transaction_event(asked: Asked) -> Reply:
    info = _object(asked.payload, "transactionInfo")
    entry = TransactionEvent(
        station=asked.station,
        text=asked.call.text,
        transaction_id=_text(info, "transactionId"),
        sequence=_integer(asked.payload, "seqNo"),
        kind=_text(asked.payload, "eventType") or "Updated",
        badge=_text(_object(asked.payload, "idToken"), "idToken"),
        timestamp=_text(asked.payload, "timestamp"),
        reason=_text(info, "stoppedReason"),
        content=content_of(asked.payload, asked.call.text),
        connector=_integer(_object(asked.payload, "evse"), "id"),
        energy_wh=energy_wh(asked.payload.get("meterValue")),
    )
    # An unknown badge is only deauthorised when the answer speaks of it (StopTxOnInvalidId).
    return Reply({} if asked.decision is None else {"idTokenInfo": _token_info(asked)}, entry)


def _security_event(asked: Asked) -> Reply:
    return Reply({}, security_event_of(asked.station, asked.call, asked.payload))


def security_event_of(station: str, call: Frame, payload: Payload) -> SecurityEvent:
    """Return the line of the security log for a SecurityEventNotification. Its type is free text by the standard."""
    return SecurityEvent(
        station, _text(payload, "type"), _text(payload, "techInfo"), _text(payload, "timestamp"), call.text
    )


def _vat_number(asked: Asked) -> Reply:
    return Reply({"vatNumber": _text(asked.payload, "vatNumber")[:20], "status": "Rejected"})


def _chain_status(asked: Asked) -> Reply:
    message = "certificate status is not looked up by the controller"
    raise LocalFrameError(message, call_id=asked.call.id, code="NotSupported")


def _tag_info(asked: Asked) -> dict[str, str]:
    return {"status": _WORD_16[_verdict(asked)]}


def _token_info(asked: Asked) -> dict[str, Any]:
    verdict = _verdict(asked)
    is_first = asked.decision is not None and asked.decision.vip and verdict is Verdict.ACCEPTED
    return {"status": _WORD_2X[verdict]} | ({"chargingPriority": VIP_PRIORITY} if is_first else {})


def _verdict(asked: Asked) -> Verdict:
    return Verdict.UNKNOWN if asked.decision is None else asked.decision.verdict


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name)
    # A lone surrogate, possible in escapes, has no UTF-8 form and could not be stored.
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _integer(payload: Payload, name: str) -> int | None:
    """An integer in JSON Schema's sense, in which 30.0 is one; None for anything else and for what no journal holds."""
    value = payload.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_sane = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return value if is_sane else None


def _object(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


_UNKNOWN_VENDOR: Final = DataTransferStatus.unknown_vendor_id.value

_TABLE_16: Final[dict[str, Callable[[Asked], Reply]]] = {
    "Authorize": _authorize_16,
    "BootNotification": _boot,
    "DataTransfer": _always(status=_UNKNOWN_VENDOR),
    "DiagnosticsStatusNotification": _always(),
    "FirmwareStatusNotification": _always(),
    "Heartbeat": _heartbeat,
    "LogStatusNotification": _always(),
    "MeterValues": _meter_values,
    "SecurityEventNotification": _security_event,
    "SignCertificate": _always(status="Rejected"),
    "SignedFirmwareStatusNotification": _always(),
    "StartTransaction": _start_16,
    "StatusNotification": _always(),
    "StopTransaction": _stop_16,
}
_TABLE_201: Final[dict[str, Callable[[Asked], Reply]]] = {
    "Authorize": _authorize_2x,
    "BootNotification": _boot,
    "ClearedChargingLimit": _always(),
    "DataTransfer": _always(status=_UNKNOWN_VENDOR),
    "FirmwareStatusNotification": _always(),
    "Get15118EVCertificate": _always(status="Failed", exiResponse=""),
    "GetCertificateStatus": _always(status="Failed"),
    "Heartbeat": _heartbeat,
    "LogStatusNotification": _always(),
    "MeterValues": _meter_values,
    "NotifyChargingLimit": _always(),
    "NotifyCustomerInformation": _always(),
    "NotifyDisplayMessages": _always(),
    "NotifyEVChargingNeeds": _always(status="Rejected"),
    "NotifyEVChargingSchedule": _always(status="Accepted"),
    "NotifyEvent": _always(),
    "NotifyMonitoringReport": _always(),
    "NotifyReport": _always(),
    "PublishFirmwareStatusNotification": _always(),
    "ReportChargingProfiles": _always(),
    "ReservationStatusUpdate": _always(),
    "SecurityEventNotification": _security_event,
    "SignCertificate": _always(status="Rejected"),
    "StatusNotification": _always(),
    "TransactionEvent": _transaction_event,
}
_TABLE_21: Final[dict[str, Callable[[Asked], Reply]]] = {
    **_TABLE_201,
    "BatterySwap": _always(),
    "ClosePeriodicEventStream": _always(),
    "GetCertificateChainStatus": _chain_status,
    "NotifyDERAlarm": _always(),
    "NotifyDERStartStop": _always(),
    "NotifyPriorityCharging": _always(),
    "NotifySettlement": _always(),
    "NotifyWebPaymentStarted": _always(),
    "OpenPeriodicEventStream": _always(status="Rejected"),
    "PullDynamicScheduleUpdate": _always(status="Rejected"),
    "ReportDERControl": _always(),
    "VatNumberValidation": _vat_number,
}
_TABLES: Final = {"ocpp1.6": _TABLE_16, "ocpp2.0.1": _TABLE_201, "ocpp2.1": _TABLE_21}
