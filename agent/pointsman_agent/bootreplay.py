"""What an operator is told of a station that booted under another one (rule 45). Pure: steps out, answers in.

A station boots once and then is moved: its new operator never saw it boot, and may refuse what comes without. So the
last boot is told again, and the last state of each connector: first on the uplink, as CALLs of the agent's own. An OCPP
1.6 station that has the RemoteTrigger profile says it itself: it knows best. (A 2.x station may not: it refuses to boot
when it has been accepted, OCPP 2.0.1 part 2, F06.FR.17.)

A generator yields a step, is sent the answer, and returns what came of it.
"""

from collections.abc import Generator
from enum import Enum
from typing import Final

import msgspec

from pointsman_agent.observation import Kept
from pointsman_agent.ocpp.frame import kept_payload
from pointsman_agent.ocpp.intercepts import Side
from pointsman_agent.ocpp.owncall import OwnAnswer, Payload

MOST_ATTEMPTS: Final = 3
AGAIN_AFTER_S: Final = 30.0  # where an operator that does not accept names no interval, or does not answer at all
LONGEST_WAIT_S: Final = 3600.0
TRIGGERED_WITHIN_S: Final = 60.0  # from a trigger that was accepted to the answer to the boot

_ACCEPTED: Final = "Accepted"


class Ask(msgspec.Struct, frozen=True):
    """Ask `side`; the answer is an OwnAnswer, None where none came in time."""

    side: Side
    action: str
    payload: Payload


class AwaitBoot(msgspec.Struct, frozen=True):
    """Wait so long for a boot of the station's own; the answer is what its operator answered, None: it did not boot."""

    seconds: float


class Outcome(Enum):
    """What came of telling a boot."""

    ACCEPTED = "accepted"
    """The operator accepted what it was told."""
    BOOTED = "booted"
    """The station has booted itself: the rest is between the two."""
    REFUSED = "refused"
    """The operator answered again and again that it does not accept the station (yet)."""
    SILENT = "silent"
    """The operator did not answer, or with errors."""


class Told(msgspec.Struct, frozen=True):
    """How it ended: `interval` between heartbeats where it was accepted, and `words` of the last answer."""

    outcome: Outcome
    interval: int = 0
    words: str = ""


Step = Ask | AwaitBoot
Replay = Generator[Step, OwnAnswer | None, Told]


def is_due(known: Kept, operator: str) -> bool:
    """Whether `operator` has to be told of a boot that another one accepted. One that nobody accepted is repeated by
    its station."""
    return bool(known.boot) and known.accepted_by not in ("", operator)


def replay(known: Kept, protocol: str) -> Replay:
    """Return the steps of telling what is `known` of a station that speaks `protocol` with its new operator."""
    triggers = protocol == "ocpp1.6"
    if triggers and _is_accepted((yield _trigger("BootNotification"))):
        booted = yield AwaitBoot(TRIGGERED_WITHIN_S)
        if booted is not None:
            if _is_accepted(booted):
                yield from _connectors(known, protocol, triggers=True)
            return Told(Outcome.BOOTED)
    boot = kept_payload(known.boot) if known.protocol == protocol else None
    if boot is None:
        return Told(Outcome.SILENT, words=f"its last boot was in {known.protocol}")
    told = yield from _boot(boot)
    if told.outcome is Outcome.ACCEPTED:
        if told.interval > 0 and told.interval != known.interval:
            yield _heartbeat_interval(protocol, told.interval)
        yield from _connectors(known, protocol, triggers=False)
    return told


def _boot(boot: Payload) -> Generator[Step, OwnAnswer | None, Told]:
    words = ""
    for attempt in range(1, MOST_ATTEMPTS + 1):
        answer = yield Ask(Side.SUPERVISION, "BootNotification", boot)
        if answer is not None and _is_accepted(answer):
            return Told(Outcome.ACCEPTED, _interval(answer))
        words = "no answer" if answer is None else answer.word()
        if attempt < MOST_ATTEMPTS:
            wait = 0 if answer is None else _interval(answer)
            if (yield AwaitBoot(min(wait or AGAIN_AFTER_S, LONGEST_WAIT_S))) is not None:
                return Told(Outcome.BOOTED)
    return Told(Outcome.REFUSED if words in ("Pending", "Rejected") else Outcome.SILENT, words=words)


def _connectors(known: Kept, protocol: str, *, triggers: bool) -> Generator[Step, OwnAnswer | None, None]:
    """Tell the last state of each connector; where the station is to say it itself, only what it will not."""
    for place, text in sorted(known.statuses.items()):
        connector = int(place.rpartition("/")[2])
        if triggers and connector and _is_accepted((yield _trigger("StatusNotification", connectorId=connector))):
            continue
        status = kept_payload(text) if known.protocol == protocol else None
        if status is not None:
            yield Ask(Side.SUPERVISION, "StatusNotification", status)


def _trigger(message: str, **of: int) -> Ask:
    return Ask(Side.STATION, "TriggerMessage", {"requestedMessage": message, **of})


def _heartbeat_interval(protocol: str, seconds: int) -> Ask:
    """The answer to a boot that the station has not seen would have told it (OCPP 1.6 section 4.2; 2.0.1 B01.FR.02)."""
    if protocol == "ocpp1.6":
        return Ask(Side.STATION, "ChangeConfiguration", {"key": "HeartbeatInterval", "value": str(seconds)})
    component, variable = {"name": "OCPPCommCtrlr"}, {"name": "HeartbeatInterval"}
    row = {"component": component, "variable": variable, "attributeValue": str(seconds)}
    return Ask(Side.STATION, "SetVariables", {"setVariableData": [row]})


def _is_accepted(answer: OwnAnswer | None) -> bool:
    return answer is not None and answer.word() == _ACCEPTED


def _interval(answer: OwnAnswer) -> int:
    value = answer.payload.get("interval")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
