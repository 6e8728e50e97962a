"""How each version reads and sets what a station keeps: 1.6 configuration keys, 2.x variables. Plans, no I/O.

Both are called settings here and go by one name each: `LocalAuthListEnabled`, or `AuthCtrlr.LocalAuthorizeOffline`,
`Component.Variable[instance]`, with `#MaxSet` behind it for another attribute than the actual value.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.strategy.steps import Ask, AwaitReport, Plan

MOST_KEYS: Final = 10  # in a GetConfiguration; some stations take few and say so with an error only
MOST_VARIABLES: Final = 8  # in a Get- or SetVariables; where that is too many, one by one

_VARIABLE: Final = re.compile(r"([^.]+)\.([^\[#]+)(?:\[([^\]]*)\])?(?:#(\w+))?\Z")


class Found(msgspec.Struct, frozen=True):
    """A setting that a station has; `value` None: it cannot be read."""

    value: str | None
    is_read_only: bool = False


class Names(msgspec.Struct, frozen=True):
    """A version's names of what rule 37 is about; `per_message_bytes` and `available` empty: the version has none."""

    list_enabled: str
    authorize_offline: str
    admit_unknown: str
    pre_authorize: str
    cache_enabled: str
    capacity: str
    per_message: str
    per_message_bytes: str = ""
    available: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The settings that the agent sets, in the order in which it does."""
        return (self.list_enabled, self.cache_enabled, self.pre_authorize, self.authorize_offline, self.admit_unknown)

    @property
    def limits(self) -> tuple[str, ...]:
        """The settings that are only read."""
        every = (self.capacity, self.per_message, self.per_message_bytes, self.available)
        return tuple(name for name in every if name)


class Dialect(Protocol):
    """One version's way of reading and setting."""

    names: Names
    is_16: bool

    def read(self, names: Sequence[str]) -> Plan[dict[str, Found]]:
        """Return the settings that the station has, of those asked for."""

    def write(self, values: Mapping[str, str]) -> Plan[dict[str, str]]:
        """Set them; returns the station's word for each: Accepted, RebootRequired, Rejected, NotSupported, …"""


class Dialect16:
    """OCPP 1.6: GetConfiguration and ChangeConfiguration."""

    is_16 = True
    names = Names(
        list_enabled="LocalAuthListEnabled",
        authorize_offline="LocalAuthorizeOffline",
        admit_unknown="AllowOfflineTxForUnknownId",
        pre_authorize="LocalPreAuthorize",
        cache_enabled="AuthorizationCacheEnabled",
        capacity="LocalAuthListMaxLength",
        per_message="SendLocalListMaxLength",
    )

    def read(self, names: Sequence[str]) -> Plan[dict[str, Found]]:
        """See `Dialect`."""
        found: dict[str, Found] = {}
        for _, answer in (yield from _answers("GetConfiguration", names, MOST_KEYS, lambda part: {"key": part})):
            found |= _configuration(answer)
        return found

    def write(self, values: Mapping[str, str]) -> Plan[dict[str, str]]:
        """See `Dialect`."""
        words = {}
        for name, value in values.items():
            answer = yield Ask("ChangeConfiguration", {"key": name, "value": value})
            words[name] = answer.word()
        return words


class Dialect2x:
    """OCPP 2.0.1 and 2.1: GetVariables and SetVariables."""

    is_16 = False
    names = Names(
        list_enabled="LocalAuthListCtrlr.Enabled",
        authorize_offline="AuthCtrlr.LocalAuthorizeOffline",
        admit_unknown="AuthCtrlr.OfflineTxForUnknownIdEnabled",
        pre_authorize="AuthCtrlr.LocalPreAuthorize",
        cache_enabled="AuthCacheCtrlr.Enabled",
        capacity="LocalAuthListCtrlr.Entries#MaxSet",
        per_message="LocalAuthListCtrlr.ItemsPerMessage",
        per_message_bytes="LocalAuthListCtrlr.BytesPerMessage",
        available="LocalAuthListCtrlr.Available",
    )

    def read(self, names: Sequence[str]) -> Plan[dict[str, Found]]:
        """See `Dialect`."""

        def asked(part: Sequence[str]) -> dict[str, Any]:
            return {"getVariableData": [_variable(name) for name in part]}

        found: dict[str, Found] = {}
        for part, answer in (yield from _answers("GetVariables", names, MOST_VARIABLES, asked)):
            found |= _variables(part, answer)
        return found

    def write(self, values: Mapping[str, str]) -> Plan[dict[str, str]]:
        """See `Dialect`."""

        def asked(part: Sequence[str]) -> dict[str, Any]:
            return {"setVariableData": [_assignment(name, values[name]) for name in part]}

        words: dict[str, str] = {}
        for part, answer in (yield from _answers("SetVariables", values, MOST_VARIABLES, asked)):
            words |= _words(part, answer)
        return words


def reported_limit(name: str, request_id: int) -> Plan[Found | None]:
    """Return the largest value of a 2.x variable as the station's device model has it (maxLimit), by GetReport: few
    stations tell it as an attribute (2.0.1 part 2, B08)."""
    component, _, variable = name.partition("#")[0].partition(".")
    about = {"component": {"name": component}, "variable": {"name": variable}}
    answer = yield Ask("GetReport", {"requestId": request_id, "componentVariable": [about]})
    if answer.word() != "Accepted":
        return None
    report = yield AwaitReport(request_id)
    for row in _rows(report, "reportData"):
        limits = row.get("variableCharacteristics")
        limit = limits.get("maxLimit") if isinstance(limits, dict) else None
        if _same(row.get("variable"), about["variable"]) and isinstance(limit, int | float):
            return Found(str(int(limit)), is_read_only=True)
    return None


def dialect_of(protocol: str) -> Dialect:
    """Return how `protocol` reads and sets."""
    return Dialect16() if protocol == "ocpp1.6" else Dialect2x()


def _answers(
    action: str, names: Iterable[str], most: int, payload: Callable[[Sequence[str]], dict[str, Any]]
) -> Plan[list[tuple[Sequence[str], OwnAnswer]]]:
    """Ask about `most` names at once, and about each of those where the station cannot take them together."""
    answers: list[tuple[Sequence[str], OwnAnswer]] = []
    rest = iter(names)
    while part := list(islice(rest, most)):
        answer = yield Ask(action, payload(part))
        answers.append((part, answer))
        if answer.error is not None and len(part) > 1:
            for name in part:
                answers.append(([name], (yield Ask(action, payload([name])))))
    return answers


def _configuration(answer: OwnAnswer) -> dict[str, Found]:
    found = {}
    for row in _rows(answer, "configurationKey"):
        name, value = row.get("key"), row.get("value")
        if isinstance(name, str):
            found[name] = Found(value if isinstance(value, str) else None, row.get("readonly") is True)
    return found


def _variables(names: Sequence[str], answer: OwnAnswer) -> dict[str, Found]:
    """A value that must not be read is Rejected; every other refusal means that there is none (2.0.1 part 2, B06)."""
    found = {}
    for name, row in _matched(names, answer, "getVariableResult"):
        value = row.get("attributeValue")
        if row.get("attributeStatus") == "Accepted":
            found[name] = Found(value if isinstance(value, str) else None)
        elif row.get("attributeStatus") == "Rejected":
            found[name] = Found(None)
    return found


def _words(names: Sequence[str], answer: OwnAnswer) -> dict[str, str]:
    words = {name: str(row.get("attributeStatus")) for name, row in _matched(names, answer, "setVariableResult")}
    return {name: words.get(name, answer.error or "no answer") for name in names}


def _matched(names: Sequence[str], answer: OwnAnswer, field: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The results with the names that they are about: a station may answer in another order."""
    rows = _rows(answer, field)
    for name in names:
        asked = _variable(name)
        for row in rows:
            if all(_same(row.get(part), asked[part]) for part in ("component", "variable")):
                yield name, row
                break


def _same(answered: object, asked: Mapping[str, str]) -> bool:
    """Names do not know case (identifierString, 2.0.1 part 2)."""
    return isinstance(answered, dict) and all(
        isinstance(answered.get(key), str) and answered[key].casefold() == value.casefold()
        for key, value in asked.items()
    )


def _rows(answer: OwnAnswer, field: str) -> list[Mapping[str, Any]]:
    rows = answer.payload.get(field)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _variable(name: str) -> dict[str, Any]:
    match = _VARIABLE.match(name)
    assert match is not None, name
    component, variable, instance, attribute = match.groups()
    about = {"component": {"name": component}, "variable": {"name": variable}}
    if instance is not None:
        about["variable"]["instance"] = instance
    return about if attribute is None else {**about, "attributeType": attribute}


def _assignment(name: str, value: str) -> dict[str, Any]:
    return {**_variable(name), "attributeValue": value}
