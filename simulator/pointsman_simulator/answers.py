"""What a supervision answers to a station's calls: valid by schema, for every action of OCPP 1.6, 2.0.1 and 2.1.

Pure: a call and the time go in, an answer comes out; the transaction counter is the only state.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from pointsman_simulator.clock import stamp
from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.schemas import actions_of

HEARTBEAT_INTERVAL_S = 300
FIRST_TRANSACTION_ID = 1001

# Actions whose answer is the same at all times. `{}` answers the other notifications (see `answer`).
CONSTANT: dict[str, Payload] = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
    "GetCertificateStatus": {"status": "Failed"},
    "NotifyEVChargingNeeds": {"status": "Rejected"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "OpenPeriodicEventStream": {"status": "Rejected"},
    "PullDynamicScheduleUpdate": {"status": "Rejected"},
    "SignCertificate": {"status": "Rejected"},
}
SILENT = (  # notifications and reports: the answer is an empty object
    "BatterySwap",
    "ClearedChargingLimit",
    "ClosePeriodicEventStream",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDERAlarm",
    "NotifyDERStartStop",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyPriorityCharging",
    "NotifyReport",
    "NotifySettlement",
    "NotifyWebPaymentStarted",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReportDERControl",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
    "StatusNotification",
)


class OperatorAnswers:
    """The answers of one supervision: accepts every badge but the `rejected_badges` (their case does not matter)."""

    def __init__(self, rejected_badges: Collection[str] = ()) -> None:
        self.boot_status = "Accepted"
        self.boot_interval = HEARTBEAT_INTERVAL_S
        self.rejected_badges = {badge.lower() for badge in rejected_badges}
        self._next_transaction_id = FIRST_TRANSACTION_ID
        self._by_action: dict[str, Callable[[Call, datetime], Payload]] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot,
            "Heartbeat": lambda _, now: {"currentTime": stamp(now)},
            "StartTransaction": self._start,
            "StopTransaction": self._stop,
            "TransactionEvent": self._transaction_event,
            "VatNumberValidation": _vat_number,
        }

    def answer(self, protocol: str, call: Call, now: datetime) -> CallResult | CallError:
        """Return the answer to `call`; an action that `protocol` does not know gets NotImplemented."""
        if call.action not in actions_of(protocol):
            return CallError(call.id, "NotImplemented", f"{protocol} has no {call.action}"[:255])
        if call.action in CONSTANT:
            return CallResult(call.id, CONSTANT[call.action])
        if call.action in SILENT:
            return CallResult(call.id, {})
        by_action = self._by_action.get(call.action)
        if by_action is None:
            return CallError(call.id, "NotSupported", f"no answer to {call.action} here")
        return CallResult(call.id, by_action(call, now))

    def _boot(self, _: Call, now: datetime) -> Payload:
        return {"status": self.boot_status, "currentTime": stamp(now), "interval": self.boot_interval}

    def _authorize(self, call: Call, _: datetime) -> Payload:
        if "idToken" in call.payload:
            return {"idTokenInfo": {"status": self._status_of_token(call.payload)}}
        return {"idTagInfo": {"status": self._status(call.payload.get("idTag"))}}

    def _start(self, call: Call, _: datetime) -> Payload:
        transaction_id, self._next_transaction_id = self._next_transaction_id, self._next_transaction_id + 1
        return {"transactionId": transaction_id, "idTagInfo": {"status": self._status(call.payload.get("idTag"))}}

    def _stop(self, call: Call, _: datetime) -> Payload:
        return {"idTagInfo": {"status": self._status(call.payload["idTag"])}} if "idTag" in call.payload else {}

    def _transaction_event(self, call: Call, _: datetime) -> Payload:
        return {"idTokenInfo": {"status": self._status_of_token(call.payload)}} if "idToken" in call.payload else {}

    def _status_of_token(self, payload: Payload) -> str:
        token = payload.get("idToken")
        return self._status(token.get("idToken") if isinstance(token, dict) else None)

    def _status(self, badge: object) -> str:
        is_good = isinstance(badge, str) and badge.lower() not in self.rejected_badges
        return "Accepted" if is_good else "Invalid"


def _vat_number(call: Call, _: datetime) -> Payload:
    return {"vatNumber": str(call.payload.get("vatNumber", ""))[:20], "status": "Rejected"}
