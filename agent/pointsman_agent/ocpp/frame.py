"""OCPP-J text → its envelope; the payload stays the text that came in.

A relay must not judge payloads, so only what it needs is read: the message type, the id, and a CALL's action
(rule 18). Everything behind them may be odd, cut or huge and still passes unchanged.

    [2, "id", "Action", {…}]             CALL              OCPP-J 1.6 section 4.2.1
    [3, "id", {…}]                       CALLRESULT        OCPP-J 1.6 section 4.2.2
    [4, "id", "code", "description", {}] CALLERROR         OCPP-J 1.6 section 4.2.3
    [5, "id", "code", "description", {}] CALLRESULTERROR   OCPP 2.1 part 4 section 4.2.4
    [6, "id", "Action", {…}]             SEND              OCPP 2.1 part 4 section 4.2.5
"""

import json
import re
from enum import IntEnum
from typing import Any

import msgspec


class MessageType(IntEnum):
    """The first element of a message (OCPP 2.1 part 4 section 4.1.3)."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5
    SEND = 6


# A JSON string; the unrolled loop keeps the match linear. A raw control character is not JSON, but real stations send
# NULs (ocpp-go and evcc report them), and a relay has no reason to mind.
_STRING = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_GAP = r"[ \t\r\n]*"  # RFC 8259 section 2; Python's \s and \d know far more than JSON does
_ENVELOPE = re.compile(
    rf"[\ufeff \t\r\n]*\[{_GAP}([0-9]{{1,3}}){_GAP},{_GAP}{_STRING}{_GAP}(?:,{_GAP}(?:{_STRING})?|(?=\]))", re.DOTALL
)
# What nearly all peers write, found at half the cost: no blanks, no escapes.
_COMMON = re.compile(r'\[([23]),"([^"\\]*)",(?:"([^"\\]*)")?')
CALL_HEAD = "[2,"
RESULT_HEAD = "[3,"
_LONGEST_INTEGER = 4000  # digits; Python converts up to 4300


class FrameError(ValueError):
    """Text whose envelope cannot be read. The peer is at fault; the text is dropped and counted."""


class LocalFrameError(FrameError):
    """A CALL that cannot be answered as asked; carries the id and the CALLERROR code that it deserves."""

    def __init__(self, message: str, *, call_id: str, code: str) -> None:
        super().__init__(message)
        self.call_id = call_id
        self.code = code


class Frame(msgspec.Struct, frozen=True, gc=False):
    """An envelope: message type, unescaped id, action (empty but for CALL and SEND), and the text as received."""

    kind: int
    id: str
    action: str
    text: str


def plain_call(text: str) -> Frame | None:
    """Return the envelope of a CALL as nearly all peers write it, without blanks and escapes, at a third of the cost.

    None for everything else; `parse` reads it.
    """
    parts = text.split('"', 4)
    if len(parts) != 5:
        return None
    head, call_id, comma, action, _ = parts
    if head != CALL_HEAD or comma != "," or "\\" in call_id or "\\" in action:
        return None
    return Frame(2, call_id, action, text)


def parse(text: str) -> Frame:
    """Return the envelope of `text`; raises FrameError when type, id or a CALL's action cannot be read."""
    common = _COMMON.match(text)
    if common is not None:
        digit, plain_id, plain_action = common.groups()
        if digit == "3":
            return Frame(3, plain_id, "", text)
        if digit == "2" and plain_action is not None:
            return Frame(2, plain_id, plain_action, text)
    match = _ENVELOPE.match(text)
    if match is None:
        raise FrameError("no OCPP-J envelope: an array of message type and id")
    digits, raw_id, raw_action = match.groups()
    kind = int(digits)
    if kind not in (MessageType.CALL, MessageType.SEND):
        return Frame(kind, _unescape(raw_id), "", text)
    if raw_action is None:
        raise FrameError("a CALL without an action")
    return Frame(kind, _unescape(raw_id), _unescape(raw_action), text)


def payload_of(call: Frame) -> dict[str, Any]:
    """Return the payload of a CALL or SEND that we are to answer ourselves.

    Numbers beyond all measure are infinite. Raises LocalFrameError with the code of OCPP-J 1.6 section 4.2.3 when it is
    no JSON object.
    """
    match _fields(call):
        case [_, _, _, dict(payload)]:
            return payload
        case [_, _, _, None] | [_, _, _]:
            return {}  # "null" for an empty payload is seen in the field; OCPP-J 1.6 section 4.2.1 prefers {}
    raise LocalFrameError("the payload is no object", call_id=call.id, code="FormationViolation")


def kept_payload(text: str) -> dict[str, Any] | None:
    """Return the payload of a CALL that was kept; None where there is none, or an agent of another version kept it."""
    try:
        return payload_of(parse(text))
    except (FrameError, LocalFrameError):
        return None


def result_fields(result: Frame) -> Any:
    """Return the elements of a CALLRESULT or CALLERROR; raises LocalFrameError when it is no JSON."""
    return _fields(result)


def result_payload(result: Frame) -> dict[str, Any]:
    """Return the payload of a CALLRESULT; raises LocalFrameError when it is no JSON object."""
    match _fields(result):
        case [_, _, dict(payload)]:
            return payload
    raise LocalFrameError("the payload is no object", call_id=result.id, code="FormationViolation")


def call_result(call_id: str, payload: object) -> str:
    """Return the text of a CALLRESULT."""
    return json.dumps([MessageType.CALLRESULT, call_id, payload], separators=(",", ":"))


def call_error(call_id: str, code: str, description: str) -> str:
    """Return the text of a CALLERROR; the description is cut at 255 characters (OCPP-J 1.6 section 4.2.3)."""
    return json.dumps([MessageType.CALLERROR, call_id, code, description[:255], {}], separators=(",", ":"))


def _fields(frame: Frame) -> Any:
    try:
        return _decode(frame.text.lstrip("\ufeff \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise LocalFrameError(f"not JSON: {error}", call_id=frame.id, code="FormationViolation") from error


def _decode(text: str) -> Any:
    """The fast decoder is stricter than a transaction message deserves, which must be answered whatever is in it (OCPP
    1.6 sections 4.7 to 4.10): raw control characters, lone surrogates and huge numbers are read by the other one."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text, strict=False, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        decoded = json.loads(f'"{raw}"', strict=False)
    except ValueError as error:
        raise FrameError("a string with a wrong escape") from error
    if not isinstance(decoded, str):
        raise FrameError("no string")
    return decoded
