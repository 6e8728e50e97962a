"""What the agent takes for itself out of relayed traffic: one table (rules 20 to 23). All else passes untouched.

Names are matched as decoded strings, without regard to case and with `-Signed` stripped (OCPP 2.0.1 part 4 section 7:
a signed message carries its action under that suffix). A payload is only read once its action stands in the table.

Why anything is taken: TLS and HTTP Basic end on the controller. A key that a supervision sets is the key of *its* leg,
the uplink; a new address, profile or root would move or cut off a station that reaches only the controller.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from pointsman_agent.ocpp.frame import Frame, LocalFrameError, payload_of

KEY_SETTING_16: Final = "authorizationkey"
_SHORTEST_KEY_BYTES, _LONGEST_KEY_BYTES = 16, 20  # OCPP 1.6 security white paper, AuthorizationKey
_SHORTEST_PASSWORD, _LONGEST_PASSWORD = 16, 40  # OCPP 2.0.1 part 2, SecurityCtrlr.BasicAuthPassword

# Keys of real stations that hold the server's address or identity; setting one would take the station away.
ADDRESS_KEYS: Final = frozenset(
    {
        "securityprofile",
        "centralsystemurl",
        "centralsystemaddress",
        "ocppserverurl",
        "ocppserveraddress",
        "ocppurl",
        "serverurl",
        "backendurl",
        "csmsurl",
        "supervisionurl",
        "chargepointid",
        "chargepointidentity",
    }
)
_ADDRESS_VARIABLES: Final = frozenset(
    {
        ("securityctrlr", "identity"),
        ("securityctrlr", "securityprofile"),
        ("ocppcommctrlr", "networkconfigurationpriority"),
    }
)

Payload = Mapping[str, Any]


class Side(Enum):
    """The two ends of a link."""

    STATION = auto()
    SUPERVISION = auto()

    @property
    def other(self) -> "Side":
        """The opposite end."""
        return Side.SUPERVISION if self is Side.STATION else Side.STATION


class CertificateHash(msgspec.Struct, frozen=True):
    """How OCPP names a certificate (CertificateHashDataType): lower-case hex but for the algorithm."""

    algorithm: str
    issuer_name: str
    issuer_key: str
    serial: str


class LinkSettings(msgspec.Struct, frozen=True):
    """What the configuration says of a link; may be replaced while the link lives.

    `message_timeout` is in seconds; `protocol` is the WebSocket subprotocol that was agreed, `host` the supervision's.
    `listener_certificates` are those by which stations know the controller. `is_own_certificate` says whether a PEM
    chain is one that the station's listener would take; None on a listener without client certificates.
    """

    message_timeout: float
    forward_security_events: bool
    protocol: str
    condemn_any: bool = True
    host: str = ""
    listener_certificates: frozenset[CertificateHash] = frozenset()
    is_own_certificate: Callable[[str], bool] | None = None


class KeepSecurityEvent(msgspec.Struct, frozen=True):
    """Store it in the security log, then answer `{}`; the supervision does not see it (rule 20)."""


class AnswerItself(msgspec.Struct, frozen=True):
    """Answer with `payload`; the station does not see the CALL (rules 22 and 23)."""

    payload: dict[str, Any]
    why: str


class StoreKey(msgspec.Struct, frozen=True):
    """Store `key` for the uplink durably, answer `payload`, flush, then make both legs anew (rule 21)."""

    key: bytes
    payload: dict[str, Any]


class SplitVariables(msgspec.Struct, frozen=True):
    """SetVariables of which the agent answers some elements itself (rule 22).

    `own` holds its results by position, `forwarded` the payload of the rest; `key` is to be stored first, if there is
    one.
    """

    own: dict[int, dict[str, Any]]
    forwarded: dict[str, Any]
    key: bytes | None


Intercept = KeepSecurityEvent | AnswerItself | StoreKey | SplitVariables


def intercept_of(asker: Side, call: Frame, settings: LinkSettings) -> Intercept | None:
    """Return what the agent does with a CALL of `asker` instead of relaying it; None: relay.

    A payload that cannot be read is relayed: what the station makes of it is its own business.
    """
    rule = _TABLE.get((asker, plain_action(call.action)))
    if rule is None:
        return None
    try:
        return rule(call, settings)
    except LocalFrameError:
        return None


def plain_action(action: str) -> str:
    """Return an action's name folded for comparison: lower case, without `-Signed`."""
    return action.casefold().removesuffix("-signed")


def merged_results(split: SplitVariables, answered: object) -> dict[str, Any]:
    """Return the payload of the whole answer, in request order; `answered` is the station's `setVariableResult`.

    An element that the station left out counts as rejected by it.
    """
    rest = list(answered) if isinstance(answered, list) else []
    asked = split.forwarded["setVariableData"]
    results: list[Any] = []
    for position in range(len(split.own) + len(asked)):
        if position in split.own:
            results.append(split.own[position])
            continue
        element = asked[position - sum(1 for own in split.own if own < position)]
        results.append(rest.pop(0) if rest else _result(element, "Rejected"))
    return {"setVariableResult": results}


def _security_event(call: Frame, settings: LinkSettings) -> Intercept | None:
    return None if settings.forward_security_events else KeepSecurityEvent()


def _change_configuration(call: Frame, settings: LinkSettings) -> Intercept | None:
    payload = payload_of(call)
    name = payload.get("key")
    if not isinstance(name, str):
        return None
    if name.casefold() == KEY_SETTING_16:
        key = _key_16(payload.get("value"))
        if key is None:
            return AnswerItself({"status": "Rejected"}, "an uplink key of wrong length or form")
        return StoreKey(key, {"status": "Accepted"})
    if name.casefold() in ADDRESS_KEYS:
        return AnswerItself({"status": "Rejected"}, f"{name} would move the station")
    return None


def _set_variables(call: Frame, settings: LinkSettings) -> Intercept | None:
    elements = payload_of(call).get("setVariableData")
    if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
        return None
    own: dict[int, dict[str, Any]] = {}
    key: bytes | None = None
    for position, element in enumerate(elements):
        name = _variable(element)
        if _is_password(name):
            password = _password(element.get("attributeValue"))
            key = password or key
            own[position] = _result(element, "Rejected" if password is None else "Accepted")
        elif name in _ADDRESS_VARIABLES or name[0] == "networkconfiguration":
            own[position] = _result(element, "Rejected")
    if not own:
        return None
    forwarded = [element for position, element in enumerate(elements) if position not in own]
    if forwarded:
        return SplitVariables(own, {"setVariableData": forwarded}, key)
    whole = {"setVariableResult": [own[position] for position in sorted(own)]}
    return AnswerItself(whole, "variables of the uplink's leg") if key is None else StoreKey(key, whole)


def _set_network_profile(call: Frame, settings: LinkSettings) -> Intercept | None:
    """A profile that keeps the address and brings a password (2.1) changes the uplink's key; any other would move the
    station."""
    connection = payload_of(call).get("connectionData")
    rejected = AnswerItself({"status": "Rejected"}, "a network profile would move the station")
    if not isinstance(connection, dict) or settings.protocol != "ocpp2.1":
        return rejected
    password = _password(connection.get("basicAuthPassword"))
    url = connection.get("ocppCsmsUrl")
    if password is None or not isinstance(url, str) or not settings.host or _host_of(url) != settings.host.lower():
        return rejected
    return StoreKey(password, {"status": "Accepted"})


def _install_certificate(call: Frame, settings: LinkSettings) -> Intercept | None:
    kind = payload_of(call).get("certificateType")
    if kind in ("CentralSystemRootCertificate", "CSMSRootCertificate"):
        return AnswerItself({"status": "Rejected"}, "the station meets the controller, not the supervision's root")
    return None


def _delete_certificate(call: Frame, settings: LinkSettings) -> Intercept | None:
    data = payload_of(call).get("certificateHashData")
    if isinstance(data, dict) and _hash_of(data) in settings.listener_certificates:
        return AnswerItself({"status": "Failed"}, "the station needs that certificate to know the controller")
    return None


def _certificate_signed(call: Frame, settings: LinkSettings) -> Intercept | None:
    payload = payload_of(call)
    is_for_station = payload.get("certificateType", "ChargingStationCertificate") == "ChargingStationCertificate"
    chain = payload.get("certificateChain")
    if settings.is_own_certificate is None or not is_for_station or not isinstance(chain, str):
        return None
    if settings.is_own_certificate(chain):
        return None
    return AnswerItself({"status": "Rejected"}, "the controller's listener would not take that certificate")


_TABLE: Final[dict[tuple[Side, str], Callable[[Frame, LinkSettings], Intercept | None]]] = {
    (Side.STATION, "securityeventnotification"): _security_event,
    (Side.SUPERVISION, "changeconfiguration"): _change_configuration,
    (Side.SUPERVISION, "setvariables"): _set_variables,
    (Side.SUPERVISION, "setnetworkprofile"): _set_network_profile,
    (Side.SUPERVISION, "installcertificate"): _install_certificate,
    (Side.SUPERVISION, "deletecertificate"): _delete_certificate,
    (Side.SUPERVISION, "certificatesigned"): _certificate_signed,
}


INTERCEPTED_ACTIONS: Final = frozenset(action for _, action in _TABLE)
"""Folded names; any other action is never taken."""


def _key_16(value: object) -> bytes | None:
    """1.6: the key's bytes in hex, 16 to 20 of them."""
    if not isinstance(value, str) or len(value) % 2 or not value.isascii():
        return None
    try:
        key = bytes.fromhex(value)
    except ValueError:
        return None
    is_plain = len(key) * 2 == len(value)  # fromhex skips blanks
    return key if is_plain and _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES else None


def _password(value: object) -> bytes | None:
    """2.x: 16 to 40 printable characters, used as they are."""
    if not isinstance(value, str) or not _SHORTEST_PASSWORD <= len(value) <= _LONGEST_PASSWORD:
        return None
    return value.encode() if value.isascii() and value.isprintable() else None


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # a bracket that does not close
        return None


def _is_password(name: tuple[str, str]) -> bool:
    return name[1] == "basicauthpassword" and name[0] in ("securityctrlr", "networkconfiguration")


def _variable(element: Payload) -> tuple[str, str]:
    """Component and variable of a SetVariableData, folded."""
    names = []
    for part in ("component", "variable"):
        described = element.get(part)
        name = described.get("name") if isinstance(described, dict) else None
        names.append(name.casefold() if isinstance(name, str) else "")
    return names[0], names[1]


def _result(element: Payload, status: str) -> dict[str, Any]:
    """A SetVariableResult for `element`."""
    result = {"attributeStatus": status, "component": element.get("component"), "variable": element.get("variable")}
    if "attributeType" in element:
        result["attributeType"] = element["attributeType"]
    return result


def _hash_of(data: Payload) -> CertificateHash:
    def text(name: str) -> str:
        return str(data.get(name, "")).casefold()

    serial = text("serialNumber").lstrip("0") or "0"
    return CertificateHash(str(data.get("hashAlgorithm", "")), text("issuerNameHash"), text("issuerKeyHash"), serial)
