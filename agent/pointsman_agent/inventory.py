"""What a station said it is: make, model and firmware from its last boot, its connectors from their last status. Pure.

Sources: BootNotification and StatusNotification of OCPP 1.6 (sections 6.5 and 6.55), and of 2.0.1 part 2 (1.4.1 and
1.60.1). What a station left out, or said in another form, is None.
"""

from collections.abc import Mapping
from typing import Any

from pointsman_agent.observation import Observation
from pointsman_agent.ocpp.frame import kept_payload

Row = dict[str, Any]


def inventory_of(observation: Observation) -> Row:
    """Return the object of the API: the station, and its connectors in order."""
    boot = kept_payload(observation.boot) or {}
    connectors = [_connector(kept_payload(text) or {}) for text in observation.statuses.values()]
    return {
        **_make(boot),
        "protocol": observation.protocol or None,
        "connectors": sorted(connectors, key=lambda row: (row["evse"] or 0, row["connector"] or 0)),
    }


def _make(boot: Mapping[str, Any]) -> Row:
    station = boot.get("chargingStation")
    if isinstance(station, dict):
        return {
            "vendor": _text(station, "vendorName"),
            "model": _text(station, "model"),
            "serialNumber": _text(station, "serialNumber"),
            "firmware": _text(station, "firmwareVersion"),
        }
    return {
        "vendor": _text(boot, "chargePointVendor"),
        "model": _text(boot, "chargePointModel"),
        "serialNumber": _text(boot, "chargePointSerialNumber") or _text(boot, "chargeBoxSerialNumber"),
        "firmware": _text(boot, "firmwareVersion"),
    }


def _connector(status: Mapping[str, Any]) -> Row:
    """1.6 has no EVSE; its connector 0 is the station itself."""
    error = _text(status, "errorCode")
    details = (_text(status, name) for name in ("vendorErrorCode", "info"))
    return {
        "evse": _number(status, "evseId"),
        "connector": _number(status, "connectorId"),
        "status": _text(status, "status") or _text(status, "connectorStatus"),
        "error": None if error == "NoError" else error,
        "detail": ", ".join(detail for detail in details if detail) or None,
        "at": _text(status, "timestamp"),
    }


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) and value else None


def _number(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
