"""What people ask of a station, in the words of its version. Pure.

            1.6                                  2.0.1 and 2.1
start       RemoteStartTransaction               RequestStartTransaction
stop        RemoteStopTransaction                RequestStopTransaction
reset       Reset Soft | Hard                    Reset OnIdle | Immediate
unlock      UnlockConnector connectorId          UnlockConnector evseId, connectorId 1
"""

from typing import Any

import msgspec

LARGEST_REMOTE_START_ID = 2**31 - 1
LONGEST_ID_TAG = 20  # CiString20Type of OCPP 1.6


class Request(msgspec.Struct, frozen=True):
    """A CALL to make."""

    action: str
    payload: dict[str, Any]


def takes(protocol: str, token: str) -> bool:
    """Return whether a start with `token` can be put in the words of that version."""
    return protocol != "ocpp1.6" or len(token) <= LONGEST_ID_TAG


def start(protocol: str, token: str, token_type: str, connector: int, remote_start_id: int) -> Request:
    """Start charging with `token` at a connector (2.x: EVSE), for stations with several refuse a start without one."""
    if protocol == "ocpp1.6":
        return Request("RemoteStartTransaction", {"idTag": token, "connectorId": connector})
    id_token = {"idToken": token, "type": token_type}
    payload = {"idToken": id_token, "evseId": connector, "remoteStartId": remote_start_id}
    return Request("RequestStartTransaction", payload)


def stop(protocol: str, transaction_id: str) -> Request:
    """End a transaction; in 1.6 its id is a number. Raises ValueError when it is none there."""
    if protocol == "ocpp1.6":
        return Request("RemoteStopTransaction", {"transactionId": int(transaction_id)})
    return Request("RequestStopTransaction", {"transactionId": transaction_id})


def reset(protocol: str, *, at_once: bool) -> Request:
    """Restart the station: at once, or (1.6) after ending its transactions, (2.x) when nobody charges."""
    words = ("Soft", "Hard") if protocol == "ocpp1.6" else ("OnIdle", "Immediate")
    return Request("Reset", {"type": words[at_once]})


def unlock(protocol: str, connector: int) -> Request:
    """Open the lock of a connector."""
    if protocol == "ocpp1.6":
        return Request("UnlockConnector", {"connectorId": connector})
    return Request("UnlockConnector", {"evseId": connector, "connectorId": 1})
