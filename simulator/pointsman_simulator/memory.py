"""What a station remembers and answers when it is asked: keys, variables, its local list (pure).

A small but consistent station: what is set is read back, a differential list needs a newer version, limits are
kept, an unknown key is said to be unknown. `Reaction.then` names what the station does after the answer has left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pointsman_simulator.frames import Call, CallError, CallResult, Payload
from pointsman_simulator.schemas import actions_of

READ_ONLY_VARIABLES = ("LocalAuthListCtrlr.Entries", "LocalAuthListCtrlr.ItemsPerMessage")
READ_ONLY_KEYS = ("NumberOfConnectors", "SupportedFeatureProfiles", "LocalAuthListMaxLength", "SendLocalListMaxLength")
WRITE_ONLY_KEYS = ("AuthorizationKey",)
WRITE_ONLY_VARIABLES = ("SecurityCtrlr.BasicAuthPassword",)
LIST_CAPACITY = 100
LIST_PER_MESSAGE = 25  # as some small stations have it (EVBox Elvi)


def default_keys() -> dict[str, str]:
    """Return the 1.6 configuration keys of a factory-new station (OCPP 1.6 section 9 and the security white paper)."""
    return {
        "AllowOfflineTxForUnknownId": "false",
        "AuthorizationCacheEnabled": "true",
        "AuthorizationKey": "",
        "AuthorizeRemoteTxRequests": "true",
        "ConnectionTimeOut": "30",
        "HeartbeatInterval": "300",
        "LocalAuthListEnabled": "false",
        "LocalAuthListMaxLength": str(LIST_CAPACITY),
        "LocalAuthorizeOffline": "true",
        "LocalPreAuthorize": "false",
        "MeterValueSampleInterval": "60",
        "NumberOfConnectors": "1",
        "SecurityProfile": "0",
        "SendLocalListMaxLength": str(LIST_PER_MESSAGE),
        "StopTransactionOnInvalidId": "true",
        "SupportedFeatureProfiles": "Core,LocalAuthListManagement,RemoteTrigger",
        "WebSocketPingInterval": "0",
    }


def default_variables() -> dict[str, str]:
    """Return the 2.x variables of a factory-new station, as `Component.Variable` or `Component.Variable[instance]`.

    Another attribute than the actual value stands behind `#`.
    """
    return {
        "AuthCacheCtrlr.Enabled": "true",
        "AuthCtrlr.LocalAuthorizeOffline": "true",
        "AuthCtrlr.LocalPreAuthorize": "false",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled": "false",
        "ClockCtrlr.NextTimeOffsetTransitionDateTime": "",
        "ClockCtrlr.TimeOffset": "",
        "ClockCtrlr.TimeOffset[NextTransition]": "",
        "ClockCtrlr.TimeZone": "",
        "LocalAuthListCtrlr.BytesPerMessage": "65536",
        "LocalAuthListCtrlr.Enabled": "false",
        "LocalAuthListCtrlr.Entries": "0",
        "LocalAuthListCtrlr.Entries#MaxSet": str(LIST_CAPACITY),
        "LocalAuthListCtrlr.ItemsPerMessage": str(LIST_PER_MESSAGE),
        "OCPPCommCtrlr.HeartbeatInterval": "300",
        "SecurityCtrlr.BasicAuthPassword": "",
        "SecurityCtrlr.SecurityProfile": "1",
        "TxCtrlr.EVConnectionTimeOut": "30",
        "TxCtrlr.StopTxOnInvalidId": "true",
    }


@dataclass(frozen=True, slots=True)
class Trigger:
    """Then send this message, as TriggerMessage asked."""

    message: str


@dataclass(frozen=True, slots=True)
class StartSession:
    """Then start a session with this badge."""

    badge: str


@dataclass(frozen=True, slots=True)
class StopSession:
    """Then end the running session."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """Then close the link."""


@dataclass(frozen=True, slots=True)
class SendReport:
    """Then send this NotifyReport, as GetReport asked."""

    payload: Payload


Then = SendReport | Trigger | StartSession | StopSession | Reboot


@dataclass(frozen=True, slots=True)
class Reaction:
    """The answer, and what the station does next."""

    answer: CallResult | CallError
    then: Then | None = None


@dataclass(slots=True)
class StationMemory:
    """State of one station; tests may look at it and change it.

    `refused` gives the word with which a key or variable is refused (`RebootRequired`: it is set all the same);
    `lists_while_enabled`: a list is only taken while its switch is on, as EVerest's 1.6 has it;
    `reported_limits` are the largest values of 2.x variables, as a GetReport tells them.
    """

    keys: dict[str, str] = field(default_factory=default_keys)
    variables: dict[str, str] = field(default_factory=default_variables)
    local_list: dict[str, Payload] = field(default_factory=dict)
    local_list_version: int = 0
    cache_cleared: int = 0
    badge_in_use: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    lists_while_enabled: bool = False
    reported_limits: dict[str, int] = field(default_factory=dict)

    def react(self, protocol: str, call: Call) -> Reaction:
        """Return the answer to the other side's `call`, valid by schema, and what follows from it."""
        if call.action not in actions_of(protocol):
            return Reaction(CallError(call.id, "NotImplemented", f"{protocol} has no {call.action}"[:255]))
        if call.action == "GetLocalListVersion":  # the only answer whose field changed its name
            is_16 = protocol == "ocpp1.6"
            version = self.local_list_version if self.has_list(is_16) or not is_16 else -1  # 1.6 section 5.10
            return Reaction(CallResult(call.id, {"listVersion" if is_16 else "versionNumber": version}))
        by_action = _BY_ACTION.get(call.action)
        if by_action is None:
            return Reaction(CallError(call.id, "NotSupported", f"this station has no {call.action}"))
        outcome = by_action(self, call.payload)
        payload, then = outcome if isinstance(outcome, tuple) else (outcome, None)
        return Reaction(CallResult(call.id, payload), then)

    def limit(self, is_16: bool, key: str, variable: str, untold: int) -> int:
        """Return a limit of the local list; `untold` where this station does not tell it."""
        return int(self.keys.get(key, untold) if is_16 else self.variables.get(variable, untold))

    def has_list(self, is_16: bool) -> bool:
        """Return whether the station has a local list at all."""
        return "LocalAuthListEnabled" in self.keys if is_16 else "LocalAuthListCtrlr.Enabled" in self.variables

    def is_list_enabled(self, is_16: bool) -> bool:
        """Return whether the local list is switched on."""
        return (self.keys["LocalAuthListEnabled"] if is_16 else self.variables["LocalAuthListCtrlr.Enabled"]) == "true"


# A limit's key in 1.6, its variable in 2.x, and what it is where the station does not tell.
_PORTION = ("SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage", LIST_PER_MESSAGE)
_WHOLE = ("LocalAuthListMaxLength", "LocalAuthListCtrlr.Entries#MaxSet", LIST_CAPACITY)
_TAKEN = ("Accepted", "RebootRequired")
_Outcome = Payload | tuple[Payload, Then | None]


def _get_configuration(memory: StationMemory, payload: Payload) -> _Outcome:
    asked: list[str] = payload.get("key") or sorted(memory.keys)
    shown = [
        {"key": key, "readonly": key in READ_ONLY_KEYS}
        | ({} if key in WRITE_ONLY_KEYS else {"value": memory.keys[key]})
        for key in asked
        if key in memory.keys
    ]
    unknown = [key for key in asked if key not in memory.keys]
    return {"configurationKey": shown} | ({"unknownKey": unknown} if unknown else {})


def _change_configuration(memory: StationMemory, payload: Payload) -> _Outcome:
    key = payload["key"]
    if key not in memory.keys:
        return {"status": "NotSupported"}
    if key in READ_ONLY_KEYS:
        return {"status": "Rejected"}
    word = memory.refused.get(key, "Accepted")
    if word in _TAKEN:
        memory.keys[key] = payload["value"]
    return {"status": word}


def _get_variables(memory: StationMemory, payload: Payload) -> _Outcome:
    return {"getVariableResult": [_variable_read(memory, item) for item in payload["getVariableData"]]}


def _variable_read(memory: StationMemory, item: Payload) -> Payload:
    name = variable_name(item)
    about = _about(item)
    if name not in memory.variables:
        return about | {"attributeStatus": _unknown(memory, name)}
    if name in WRITE_ONLY_VARIABLES:
        return about | {"attributeStatus": "Rejected"}
    return about | {"attributeStatus": "Accepted", "attributeValue": memory.variables[name]}


def _get_report(memory: StationMemory, payload: Payload) -> _Outcome:
    """A station tells the limits of what it has in reports, where it has any to tell."""
    rows = []
    for item in payload.get("componentVariable", ()):
        name = variable_name(item) if "variable" in item else ""
        if name in memory.variables:
            limit = memory.reported_limits.get(name)
            limits = {"dataType": "integer", "supportsMonitoring": False} | (
                {} if limit is None else {"maxLimit": limit}
            )
            attributes = [{"value": memory.variables[name]}]
            rows.append(_about(item) | {"variableAttribute": attributes, "variableCharacteristics": limits})
    if not rows:
        return {"status": "EmptyResultSet"}
    report = {"requestId": payload["requestId"], "generatedAt": "2026-11-22T12:00:00Z", "seqNo": 0, "reportData": rows}
    return {"status": "Accepted"}, SendReport(report)


def _set_variables(memory: StationMemory, payload: Payload) -> _Outcome:
    return {"setVariableResult": [_variable_written(memory, item) for item in payload["setVariableData"]]}


def _variable_written(memory: StationMemory, item: Payload) -> Payload:
    name = variable_name(item)
    about = {"component": item["component"], "variable": item["variable"]}
    if name not in memory.variables:
        return about | {"attributeStatus": _unknown(memory, name)}
    word = "Rejected" if name in READ_ONLY_VARIABLES else memory.refused.get(name, "Accepted")
    if word in _TAKEN:
        memory.variables[name] = item["attributeValue"]
    return about | {"attributeStatus": word}


def variable_name(item: Payload) -> str:
    """Return `Component.Variable` or `Component.Variable[instance]` of an element of Get- or SetVariables; another
    attribute than Actual stands behind `#`."""
    instance, attribute = item["variable"].get("instance"), item.get("attributeType", "Actual")
    name = f"{item['component']['name']}.{item['variable']['name']}" + (f"[{instance}]" if instance else "")
    return name if attribute == "Actual" else f"{name}#{attribute}"


def _about(item: Payload) -> Payload:
    names = ("component", "variable", "attributeType")
    return {name: item[name] for name in names if name in item}


def _unknown(memory: StationMemory, name: str) -> str:
    component = name.partition(".")[0]
    has_component = any(known.partition(".")[0] == component for known in memory.variables)
    return "UnknownVariable" if has_component else "UnknownComponent"


def _send_local_list(memory: StationMemory, payload: Payload) -> _Outcome:
    is_16 = "listVersion" in payload
    version: int = payload["listVersion"] if is_16 else payload["versionNumber"]
    entries: list[Payload] = payload.get("localAuthorizationList") or []
    is_full = payload["updateType"] == "Full"
    if not memory.has_list(is_16):
        return {"status": "NotSupported" if is_16 else "Failed"}
    if memory.lists_while_enabled and not memory.is_list_enabled(is_16):
        return {"status": "NotSupported" if is_16 else "Failed"}
    if not is_full and version <= memory.local_list_version:
        return {"status": "VersionMismatch"}
    if len(entries) > memory.limit(is_16, *_PORTION):
        return {"status": "Failed"}
    changed = {} if is_full else dict(memory.local_list)
    for entry in entries:
        _apply_entry(changed, entry)
    if len(changed) > memory.limit(is_16, *_WHOLE):
        return {"status": "Failed"}
    memory.local_list, memory.local_list_version = changed, version
    memory.variables["LocalAuthListCtrlr.Entries"] = str(len(changed))
    return {"status": "Accepted"}


def _apply_entry(entries: dict[str, Payload], entry: Payload) -> None:
    """An entry without its information takes the badge out (OCPP 1.6 section 5.15)."""
    badge = entry["idTag"] if "idTag" in entry else entry["idToken"]["idToken"]
    info = entry.get("idTagInfo") or entry.get("idTokenInfo")
    if info is None:
        entries.pop(badge.lower(), None)
    else:
        entries[badge.lower()] = info


def _clear_cache(memory: StationMemory, _: Payload) -> _Outcome:
    memory.cache_cleared += 1
    return {"status": "Accepted"}


def _trigger(_: StationMemory, payload: Payload) -> _Outcome:
    message = payload["requestedMessage"]
    if message not in ("BootNotification", "Heartbeat", "StatusNotification"):
        return {"status": "NotImplemented"}
    return {"status": "Accepted"}, Trigger(message)


def _remote_start(memory: StationMemory, payload: Payload) -> _Outcome:
    if memory.badge_in_use is not None:
        return {"status": "Rejected"}
    badge = payload["idTag"] if "idTag" in payload else payload["idToken"]["idToken"]
    return {"status": "Accepted"}, StartSession(badge)


def _remote_stop(memory: StationMemory, _: Payload) -> _Outcome:
    if memory.badge_in_use is None:
        return {"status": "Rejected"}
    return {"status": "Accepted"}, StopSession()


def _reset(_: StationMemory, __: Payload) -> _Outcome:
    return {"status": "Accepted"}, Reboot()


def _constant(payload: Payload) -> Callable[[StationMemory, Payload], _Outcome]:
    return lambda _, __: payload


_BY_ACTION: dict[str, Callable[[StationMemory, dict[str, Any]], _Outcome]] = {
    "ChangeAvailability": _constant({"status": "Accepted"}),
    "ChangeConfiguration": _change_configuration,
    "ClearCache": _clear_cache,
    "ClearChargingProfile": _constant({"status": "Unknown"}),
    "DataTransfer": _constant({"status": "UnknownVendorId"}),
    "GetConfiguration": _get_configuration,
    "GetInstalledCertificateIds": _constant({"status": "NotFound"}),
    "GetReport": _get_report,
    "GetVariables": _get_variables,
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "RequestStartTransaction": _remote_start,
    "RequestStopTransaction": _remote_stop,
    "Reset": _reset,
    "SendLocalList": _send_local_list,
    "SetChargingProfile": _constant({"status": "Rejected"}),
    "SetNetworkProfile": _constant({"status": "Rejected"}),
    "SetVariables": _set_variables,
    "TriggerMessage": _trigger,
    "UnlockConnector": _constant({"status": "Unlocked"}),
}
