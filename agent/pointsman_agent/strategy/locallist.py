"""The local list of a station: sent whole or as the difference, in the station's own portions (rule 37). Plans, no I/O.

What the agent believes to be on the station is a fact in the journal, with the version that the station had then. Only
while the station still says that version is the difference enough; anything else (another list, a portion whose answer
was lost) makes the list go out whole. So a link may break at any message.

    1.6: SendLocalList {listVersion, updateType, localAuthorizationList}    section 5.15
    2.x: SendLocalList {versionNumber, updateType, localAuthorizationList}  part 2, D01
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from pointsman_agent.ocpp.answers import VIP_PRIORITY
from pointsman_agent.strategy.steps import Ask, Plan, Remember
from pointsman_agent.strategy.wanted import ListEntry

LIST_FACT: Final = "list"
DEFAULT_PER_MESSAGE: Final = 20  # entries, where a station does not say
_ENVELOPE_BYTES: Final = 200  # of a SendLocalList without its entries
_LARGEST_VERSION: Final = 2**31 - 1

JsonObject = dict[str, Any]


class Limits(msgspec.Struct, frozen=True):
    """A station's own limits; None: it does not say. `entry_bytes` bounds a message."""

    capacity: int | None = None
    per_message: int | None = None
    message_bytes: int | None = None


class OnStation(msgspec.Struct, frozen=True):
    """What is believed to be on the station: the version, and of each entry its type and a mark, by folded number."""

    version: int
    marks: dict[str, str]


def sync_list(
    entries: Mapping[str, ListEntry], limits: Limits, kept: str | None, before_whole: Plan[None], *, is_16: bool
) -> Plan[str | None]:
    """Bring the station's list to `entries`; returns None, or why the station does not have it.

    `kept` is the fact LIST_FACT, `before_whole` what is done before the whole list goes out. A difference that the
    station does not take is followed by the whole, once.
    """
    version = yield from list_version(is_16=is_16)
    if version is None:
        return "the station has no local list"
    if limits.capacity is not None and len(entries) > limits.capacity:
        return f"{len(entries)} badges, and the station holds {limits.capacity}"
    known = _read_fact(kept)
    if known is not None and known.version == version:
        word = yield from _send_difference(known, entries, limits, is_16=is_16)
        if word == "Accepted":
            return None
        version = yield from list_version(is_16=is_16)
    yield from before_whole
    word = yield from _send_whole(version or 0, entries, limits, is_16=is_16)
    return None if word == "Accepted" else f"SendLocalList: {word}"


def list_version(*, is_16: bool) -> Plan[int | None]:
    """Return the version of the station's list; None: it has no local list (1.6: -1, section 5.10)."""
    answer = yield Ask("GetLocalListVersion", {})
    version = answer.payload.get("listVersion" if is_16 else "versionNumber")
    return version if isinstance(version, int) and version >= 0 else None


def clear_list(*, is_16: bool) -> Plan[str]:
    """Empty the station's list; returns the station's word, `NotSupported` where it has none.

    1.6: version 0, as the OCA's test tool has it, else the next one; 2.x admits none below 1 (D01.FR.18).
    """
    version = yield from list_version(is_16=is_16)
    yield Remember(LIST_FACT, None)
    if version is None:
        return "NotSupported"
    word = ""
    for number in (0, version + 1) if is_16 else (version + 1,):
        word = (yield Ask("SendLocalList", _message(number, "Full", [], is_16=is_16))).word()
        if word == "Accepted":
            return word
    return word


def _send_difference(known: OnStation, entries: Mapping[str, ListEntry], limits: Limits, *, is_16: bool) -> Plan[str]:
    marks = {number: _mark(entry, is_16=is_16) for number, entry in entries.items()}
    changed = [number for number, mark in marks.items() if known.marks.get(number) != mark]
    gone = [number for number, mark in known.marks.items() if _type(mark) != _type(marks.get(number, ""))]
    if len(gone) + len(changed) > len(entries) and entries:
        return "the whole is shorter"
    # What goes makes room for what comes; of another type, a number is another token.
    rows = [_removal(number, _type(known.marks[number]), is_16=is_16) for number in gone]
    rows += [_row(entries[number], is_16=is_16) for number in changed]
    return (yield from _send(known, rows, limits, updates=["Differential"], marks=marks, is_16=is_16))


def _send_whole(version: int, entries: Mapping[str, ListEntry], limits: Limits, *, is_16: bool) -> Plan[str]:
    """The first portion replaces all that was there; the rest are differences to it."""
    yield Remember(LIST_FACT, None)
    marks = {number: _mark(entry, is_16=is_16) for number, entry in entries.items()}
    rows = [_row(entry, is_16=is_16) for entry in entries.values()]
    start = OnStation(version % _LARGEST_VERSION, {})
    return (yield from _send(start, rows, limits, updates=["Full", "Differential"], marks=marks, is_16=is_16))


def _send(
    known: OnStation,
    rows: Sequence[JsonObject],
    limits: Limits,
    *,
    updates: Sequence[str],
    marks: Mapping[str, str],
    is_16: bool,
) -> Plan[str]:
    """Send `rows` in portions, each under the next version; what arrived is remembered after each."""
    portions = list(_portions(rows, limits))
    if not portions and updates[0] == "Full":
        portions = [[]]  # an empty list has to be sent as well
    on_station = dict(known.marks)
    for index, portion in enumerate(portions):
        version = known.version + 1 + index
        update = updates[min(index, len(updates) - 1)]
        word = (yield Ask("SendLocalList", _message(version, update, portion, is_16=is_16))).word()
        if word != "Accepted":
            return word or "no status"
        for row in portion:
            number = _number(row)
            if _is_removal(row):
                on_station.pop(number, None)
            else:
                on_station[number] = marks[number]
        yield Remember(LIST_FACT, _write_fact(OnStation(version, on_station)))
    return "Accepted"


def _portions(rows: Sequence[JsonObject], limits: Limits) -> Iterator[list[JsonObject]]:
    most = limits.per_message or DEFAULT_PER_MESSAGE
    room = (limits.message_bytes or 2**63) - _ENVELOPE_BYTES
    portion: list[JsonObject] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row)) + 1
        if portion and (len(portion) >= most or size + length > room):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def _message(version: int, update: str, rows: list[JsonObject], *, is_16: bool) -> JsonObject:
    """2.x wants at least one element or no field; 1.6 takes an empty list."""
    message: JsonObject = {"listVersion" if is_16 else "versionNumber": version, "updateType": update}
    return {**message, "localAuthorizationList": rows} if rows or is_16 else message


def _row(entry: ListEntry, *, is_16: bool) -> JsonObject:
    if is_16:
        info = {"status": "Accepted"} | ({} if entry.expires is None else {"expiryDate": entry.expires})
        return {"idTag": entry.number, "idTagInfo": info}
    info_2x: JsonObject = {"status": "Accepted"}
    if entry.expires is not None:
        info_2x["cacheExpiryDateTime"] = entry.expires
    if entry.vip:
        info_2x["chargingPriority"] = VIP_PRIORITY
    return {"idToken": {"idToken": entry.number, "type": entry.type}, "idTokenInfo": info_2x}


def _removal(number: str, type_: str, *, is_16: bool) -> JsonObject:
    """An entry without its information takes the badge out."""
    return {"idTag": number} if is_16 else {"idToken": {"idToken": number, "type": type_}}


def _is_removal(row: JsonObject) -> bool:
    return "idTagInfo" not in row and "idTokenInfo" not in row


def _number(row: JsonObject) -> str:
    number = row["idTag"] if "idTag" in row else row["idToken"]["idToken"]
    assert isinstance(number, str)
    return number


def _mark(entry: ListEntry, *, is_16: bool) -> str:
    text = json.dumps(_row(entry, is_16=is_16), sort_keys=True)
    return f"{entry.type}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _type(mark: str) -> str:
    return mark.partition(":")[0]


def _read_fact(kept: str | None) -> OnStation | None:
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept, type=OnStation)
    except msgspec.DecodeError:  # of another version of the agent: the list goes out whole
        return None


def _write_fact(on_station: OnStation) -> str:
    return msgspec.json.encode(on_station).decode()
