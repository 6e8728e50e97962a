"""The texts that stations send in a benchmark: ten real requests of OCPP 2.0.1, as a charging session has them."""

import json
from typing import Any, Final

ID_LENGTH: Final = 36
"""Characters of a message id, as a UUID has; it stands at the same place in every text."""
ID_AT: Final = len('[2,"')
_TIME: Final = "2026-11-22T11:40:20.000Z"
_TOKEN: Final = {"idToken": "04A2B1C3D4E580", "type": "ISO14443"}
_EVSE: Final = {"id": 1, "connectorId": 1}


def _sampled(*measurands: str) -> list[dict[str, Any]]:
    values = [
        {"value": 7321.5 + place, "context": "Sample.Periodic", "measurand": measurand, "phase": "L1",
         "location": "Outlet", "unitOfMeasure": {"unit": "W", "multiplier": 0}}
        for place, measurand in enumerate(measurands)
    ]  # fmt: skip
    return [{"timestamp": _TIME, "sampledValue": values}]


def _event(kind: str, number: int, **more: Any) -> tuple[str, dict[str, Any]]:
    info = {"transactionId": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "chargingState": "Charging"}
    base = {"eventType": kind, "timestamp": _TIME, "triggerReason": "MeterValuePeriodic", "seqNo": number}
    return "TransactionEvent", {**base, "transactionInfo": info, "evse": _EVSE, **more}


CALLS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("Heartbeat", {}),
    _event("Started", 0, idToken=_TOKEN, meterValue=_sampled("Energy.Active.Import.Register")),
    ("StatusNotification", {"timestamp": _TIME, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}),
    ("Heartbeat", {}),
    _event("Updated", 1, meterValue=_sampled("Power.Active.Import", "Current.Import", "Voltage", "SoC")),
    ("Authorize", {"idToken": _TOKEN}),
    ("MeterValues", {"evseId": 1, "meterValue": _sampled("Power.Active.Import", "Current.Import", "Voltage")}),
    ("StatusNotification", {"timestamp": _TIME, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}),
    ("Heartbeat", {}),
    _event("Ended", 2, idToken=_TOKEN, meterValue=_sampled("Energy.Active.Import.Register")),
)
ANSWER: Final = '[3,"%s",{"idTokenInfo":{"status":"Accepted"}}]'


def call_text(position: int, message_id: str) -> str:
    """Return the text of the request at `position` of the mix (it repeats), under an id of ID_LENGTH characters."""
    action, payload = CALLS[position % len(CALLS)]
    return json.dumps([2, message_id, action, payload], separators=(",", ":"))
