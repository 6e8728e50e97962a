"""What a station sends, and when: scripts of OCPP 1.6 and 2.x without any I/O.

A script is a generator: it yields a `Say` (a call to be made; the answer comes back) or a `Pause` (seconds to wait),
and returns its `Outcome`. Whoever runs it owns the link and the clock; a test runs it by hand. The two versions differ
in one class each (`Wording16`, `Wording2`), the course of a session stands once, in `session`.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

from pointsman_simulator.frames import Payload

BOOT_ATTEMPTS = 3
LONGEST_BOOT_PAUSE_S = 60.0  # an answer may name any interval; a simulated station has no patience for hours
CHARGING_POWER_W = 11_000
NUMBER_OF_PHASES = 3
STOPPED = "stopped"  # what a pause hears in place of nothing when the session is to end
SECURITY_EVENT = "SettingSystemTime"  # a critical one in both versions (OCPP 2.0.1 part 2, appendix 1)


@dataclass(frozen=True, slots=True)
class StationProfile:
    """What a station is: what it says of itself, which badge it shows, how long it charges."""

    badge: str = "04A2B1C3D4E580"
    badge_type: str = "ISO14443"
    vendor: str = "Électrons & Co"  # not ASCII, on purpose: a relay that re-encodes shows
    model: str = "Gleis 11"
    serial_number: str = "SIM-0001"
    connector: int = 1
    meter_start_wh: int = 120_000
    meter_values: int = 3
    meter_interval_s: float = 1.0
    boots: bool = True
    security_event: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """A call to make."""

    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long; a request to stop ends the wait early."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What the other side answered: `payload`, or `error` (the CALLERROR's code)."""

    payload: Payload
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a script came; `failure` says why it did not complete."""

    boot_status: str | None = None
    authorization_status: str | None = None
    transaction_id: str | None = None
    energy_wh: int = 0
    failure: str | None = None

    @property
    def is_completed(self) -> bool:
        """Whether everything that the script is about was done."""
        return self.failure is None


Script = Generator[Say | Pause, Heard, Outcome]
Step = Generator[Say | Pause, Heard, str | None]


class Wording(Protocol):
    """How one version says what happens at a station."""

    def boot(self) -> Say: ...
    def status(self, state: str) -> Say: ...
    def authorize(self) -> Say: ...
    def start(self, meter_wh: int) -> Say: ...
    def meter(self, transaction_id: str, meter_wh: int) -> Say: ...
    def stop(self, transaction_id: str, meter_wh: int) -> Say: ...
    def status_in(self, answer: Payload) -> str | None: ...
    def transaction_id_in(self, answer: Payload) -> str | None: ...


def wording_of(protocol: str, profile: StationProfile, now: Callable[[], str], transaction_id: str) -> Wording:
    """Return how `protocol` says it; `now` gives time stamps, `transaction_id` is the station's own (2.x)."""
    if protocol == "ocpp1.6":
        return Wording16(profile, now)
    return Wording2(profile, now, transaction_id)


def session(wording: Wording, profile: StationProfile, now: Callable[[], str]) -> Script:
    """A whole charging session: boot, authorize, start, meter, stop."""
    boot_status = yield from _boot(wording, profile, now)
    if boot_status != "Accepted":
        return Outcome(boot_status, failure=f"BootNotification: {boot_status}")
    heard = yield wording.authorize()
    status = heard.error or wording.status_in(heard.payload)
    if status != "Accepted":
        yield wording.status("Available")
        return Outcome(boot_status, status, failure=f"Authorize: {status}")
    yield wording.status("Preparing")
    meter_wh = profile.meter_start_wh
    heard = yield wording.start(meter_wh)
    transaction_id = wording.transaction_id_in(heard.payload)
    started = heard.error or wording.status_in(heard.payload)
    if started != "Accepted" or transaction_id is None:
        yield from _end(wording, transaction_id or "-1", meter_wh)
        return Outcome(boot_status, started, transaction_id, failure=f"start of the transaction: {started}")
    meter_wh, failure = yield from _charge(wording, profile, transaction_id)
    failure = (yield from _end(wording, transaction_id, meter_wh)) or failure
    return Outcome(boot_status, "Accepted", transaction_id, meter_wh - profile.meter_start_wh, failure)


def boot_only(wording: Wording, profile: StationProfile, now: Callable[[], str]) -> Script:
    """Boot and report the connector; with `security_event`, report one as well. Nobody charges."""
    boot_status = yield from _boot(wording, profile, now)
    return Outcome(boot_status, failure=None if boot_status == "Accepted" else f"BootNotification: {boot_status}")


def security_event(now: Callable[[], str]) -> Say:
    """A security event (1.6: security white paper section 4.6; 2.x: A04)."""
    return Say("SecurityEventNotification", {"type": SECURITY_EVENT, "timestamp": now(), "techInfo": "simulated"})


def _boot(wording: Wording, profile: StationProfile, now: Callable[[], str]) -> Step:
    """Boot until accepted, at most BOOT_ATTEMPTS times, keeping the intervals asked for (OCPP 1.6 section 4.2)."""
    status: str | None = "Accepted"
    if profile.boots:
        for attempt in range(BOOT_ATTEMPTS):
            heard = yield wording.boot()
            status = heard.error or heard.payload.get("status")
            if status == "Accepted" or attempt == BOOT_ATTEMPTS - 1:
                break
            yield Pause(min(float(heard.payload.get("interval", 0)) or 1.0, LONGEST_BOOT_PAUSE_S))
    if status == "Accepted":
        yield wording.status("Available")
        if profile.security_event:
            yield security_event(now)
    return status


def _charge(
    wording: Wording, profile: StationProfile, transaction_id: str
) -> Generator[Say | Pause, Heard, tuple[int, str | None]]:
    """Meter at intervals; returns the last reading in Wh, and what went wrong on the way."""
    failure = None
    meter_wh = profile.meter_start_wh
    yield wording.status("Charging")
    for _ in range(profile.meter_values):
        waited = yield Pause(profile.meter_interval_s)
        if waited.error == STOPPED:
            break
        meter_wh += max(1, round(CHARGING_POWER_W * profile.meter_interval_s / 3600))
        heard = yield wording.meter(transaction_id, meter_wh)
        failure = failure or (heard.error and f"meter values: {heard.error}")
    return meter_wh, failure


def _end(wording: Wording, transaction_id: str, meter_wh: int) -> Step:
    heard = yield wording.stop(transaction_id, meter_wh)
    yield wording.status("Available")
    return heard.error and f"end of the transaction: {heard.error}"


class Wording16:
    """OCPP 1.6."""

    def __init__(self, profile: StationProfile, now: Callable[[], str]) -> None:
        self._profile = profile
        self._now = now

    def boot(self) -> Say:
        about = {
            "chargePointVendor": self._profile.vendor,
            "chargePointModel": self._profile.model,
            "chargePointSerialNumber": self._profile.serial_number,
            "firmwareVersion": "1.0",
        }
        return Say("BootNotification", about)

    def status(self, state: str) -> Say:
        about = {"connectorId": self._profile.connector, "errorCode": "NoError", "status": state}
        return Say("StatusNotification", about | {"timestamp": self._now()})

    def authorize(self) -> Say:
        return Say("Authorize", {"idTag": self._profile.badge})

    def start(self, meter_wh: int) -> Say:
        about = {"connectorId": self._profile.connector, "idTag": self._profile.badge, "meterStart": meter_wh}
        return Say("StartTransaction", about | {"timestamp": self._now()})

    def meter(self, transaction_id: str, meter_wh: int) -> Say:
        energy = {"value": str(meter_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        power = {"value": f"{CHARGING_POWER_W / 1000:.3f}", "measurand": "Power.Active.Import", "unit": "kW"}
        sample = {"timestamp": self._now(), "sampledValue": [energy, power]}
        about = {"connectorId": self._profile.connector, "transactionId": int(transaction_id)}
        return Say("MeterValues", about | {"meterValue": [sample]})

    def stop(self, transaction_id: str, meter_wh: int) -> Say:
        about = {"transactionId": int(transaction_id), "idTag": self._profile.badge, "meterStop": meter_wh}
        return Say("StopTransaction", about | {"timestamp": self._now(), "reason": "Local"})

    def status_in(self, answer: Payload) -> str | None:
        info = answer.get("idTagInfo")
        return info.get("status") if isinstance(info, dict) else None

    def transaction_id_in(self, answer: Payload) -> str | None:
        number = answer.get("transactionId")
        return str(number) if isinstance(number, int) else None


class Wording2:
    """OCPP 2.0.1 and 2.1; the messages of a session are the same in both."""

    def __init__(self, profile: StationProfile, now: Callable[[], str], transaction_id: str) -> None:
        self._profile = profile
        self._now = now
        self._transaction_id = transaction_id
        self._seq_no = 0

    def boot(self) -> Say:
        station = {
            "vendorName": self._profile.vendor,
            "model": self._profile.model,
            "serialNumber": self._profile.serial_number,
            "firmwareVersion": "1.0",
        }
        return Say("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    def status(self, state: str) -> Say:
        connector_status = "Available" if state == "Available" else "Occupied"
        about = {"evseId": self._profile.connector, "connectorId": 1, "connectorStatus": connector_status}
        return Say("StatusNotification", about | {"timestamp": self._now()})

    def authorize(self) -> Say:
        return Say("Authorize", {"idToken": self._token()})

    def start(self, meter_wh: int) -> Say:
        evse = {"id": self._profile.connector, "connectorId": 1}
        more = {"idToken": self._token(), "evse": evse, "numberOfPhasesUsed": NUMBER_OF_PHASES}
        return self._event("Started", "Authorized", "EVConnected", meter_wh, "Transaction.Begin", more)

    def meter(self, transaction_id: str, meter_wh: int) -> Say:
        return self._event("Updated", "MeterValuePeriodic", "Charging", meter_wh, "Sample.Periodic", {})

    def stop(self, transaction_id: str, meter_wh: int) -> Say:
        more: Payload = {"idToken": self._token()}
        ended = self._event("Ended", "StopAuthorized", "EVConnected", meter_wh, "Transaction.End", more)
        ended.payload["transactionInfo"]["stoppedReason"] = "Local"
        return ended

    def status_in(self, answer: Payload) -> str | None:
        info = answer.get("idTokenInfo")
        return info.get("status") if isinstance(info, dict) else None

    def transaction_id_in(self, answer: Payload) -> str | None:
        return self._transaction_id  # the station's own (OCPP 2.0.1 part 2, E01)

    def _event(self, kind: str, trigger: str, state: str, meter_wh: int, context: str, more: Payload) -> Say:
        about = {"eventType": kind, "timestamp": self._now(), "triggerReason": trigger, "seqNo": self._seq_no}
        info = {"transactionId": self._transaction_id, "chargingState": state}
        self._seq_no += 1
        samples = {"meterValue": [self._sample(meter_wh, context)], "transactionInfo": info}
        return Say("TransactionEvent", about | samples | more)

    def _sample(self, meter_wh: int, context: str) -> Payload:
        energy = {"value": meter_wh / 1000, "context": context, "measurand": "Energy.Active.Import.Register"}
        return {"timestamp": self._now(), "sampledValue": [energy | {"unitOfMeasure": {"unit": "kWh"}}]}

    def _token(self) -> Payload:
        return {"idToken": self._profile.badge, "type": self._profile.badge_type}
