"""CALLs of the agent's own: their text, and what a station answered. Pure."""

import json
from typing import Any

import msgspec

from pointsman_agent.ocpp.frame import Frame, LocalFrameError, MessageType, result_fields

Payload = dict[str, Any]


class OwnAnswer(msgspec.Struct, frozen=True):
    """The answer to a CALL of ours: a payload, or the code and words of a CALLERROR."""

    payload: Payload
    error: str | None = None
    description: str = ""

    def word(self, name: str = "status") -> str:
        """Return a text of the payload, or the error's code where the station answered with one."""
        value = self.payload.get(name)
        return value if isinstance(value, str) else self.error or ""


def own_call(call_id: str, action: str, payload: Payload) -> str:
    """Return the text of a CALL; `call_id` is a UUID (rule 15)."""
    return json.dumps([MessageType.CALL, call_id, action, payload], separators=(",", ":"))


def own_answer(frame: Frame) -> OwnAnswer:
    """Return what a CALLRESULT or CALLERROR says; one that cannot be read is an error of code `Unreadable`."""
    try:
        fields = result_fields(frame)
    except LocalFrameError as error:
        return OwnAnswer({}, "Unreadable", str(error))
    match fields:
        case [_, _, dict(payload)] if frame.kind == MessageType.CALLRESULT:
            return OwnAnswer(payload)
        case [_, _, str(code), *rest]:
            return OwnAnswer({}, code, rest[0] if rest and isinstance(rest[0], str) else "")
    return OwnAnswer({}, "Unreadable", "neither a payload nor an error")
