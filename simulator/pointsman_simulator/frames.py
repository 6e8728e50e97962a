"""OCPP-J frames: text -> values -> text, the simulator's own reading of the standard (no I/O).

Five types of message (OCPP-J 1.6 section 4.2, OCPP 2.1 part 4 section 4.2):
CALL `[2,"id","Action",{}]`, CALLRESULT `[3,"id",{}]`, CALLERROR `[4,"id","code","description",{}]`,
CALLRESULTERROR `[5,...]` as 4, and SEND `[6,"id","Action",{}]` (the last two in 2.1 only).
Numbers with a fraction are read as Decimal, so that nothing is rounded before it is judged.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from pointsman_simulator.errors import FrameError

Payload = dict[str, Any]
"""A message's object, as JSON: the one place where values have no narrower type."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a request."""

    id: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallError:
    """The refusal of a request."""

    id: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallResultError:
    """The refusal of an answer (OCPP 2.1)."""

    id: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """A message that has no answer (OCPP 2.1)."""

    id: str
    action: str
    payload: Payload


Frame = Call | CallResult | CallError | CallResultError | Send


def read_frame(text: str) -> Frame:
    """Return the frame that `text` says; raises FrameError for anything else."""
    match _read_json(text):
        case [2, str(id_), str(action), dict(payload)]:
            return Call(id_, action, payload)
        case [3, str(id_), dict(payload)]:
            return CallResult(id_, payload)
        case [4, str(id_), str(code), str(description), dict(details)]:
            return CallError(id_, code, description, details)
        case [5, str(id_), str(code), str(description), dict(details)]:
            return CallResultError(id_, code, description, details)
        case [6, str(id_), str(action), dict(payload)]:
            return Send(id_, action, payload)
        case [_, str(id_), *_]:
            raise FrameError("the array is no message of types 2 to 6", message_id=id_)
    raise FrameError("the text is no OCPP-J array")


def write_frame(frame: Frame, *, spaced: bool = False) -> str:
    """Return the text of `frame`: compact, or `spaced` as many stations write it (the meaning is the same)."""
    return write_json(_elements(frame), spaced=spaced)


def write_json(value: object, *, spaced: bool = False) -> str:
    """Return `value` as JSON in plain UTF-8; only lone surrogates are escaped, since UTF-8 has no form for them."""
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=separators)
    if _is_encodable(text):
        return text
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=separators)


def _elements(frame: Frame) -> list[object]:
    match frame:
        case Call():
            return [2, frame.id, frame.action, frame.payload]
        case CallResult():
            return [3, frame.id, frame.payload]
        case CallError():
            return [4, frame.id, frame.code, frame.description, frame.details]
        case CallResultError():
            return [5, frame.id, frame.code, frame.description, frame.details]
        case Send():
            return [6, frame.id, frame.action, frame.payload]


def _read_json(text: str) -> object:
    try:
        value: object = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or an integer of more than 4300 digits
        raise FrameError(f"the text is no JSON: {error}") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
