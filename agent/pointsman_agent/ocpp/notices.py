"""What of relayed traffic is worth a line in the log and a counter, though it passes unchanged (rules 23 and 57)."""

import re
from functools import lru_cache
from typing import Final

import msgspec

from pointsman_agent.ocpp.frame import Frame
from pointsman_agent.ocpp.intercepts import INTERCEPTED_ACTIONS, Side, plain_action

TIMED_ACTIONS: Final = frozenset({"BootNotification", "Heartbeat"})
"""Their answers say the supervision's time, and so its clock's offset (rule 41)."""

OBSERVED_ACTIONS: Final = frozenset(
    {"BootNotification", "StatusNotification", "StartTransaction", "StopTransaction", "TransactionEvent", "MeterValues"}
)
"""They tell of their station what matters when it moves to another operator (rules 44 and 45)."""

LEARNED_ACTIONS: Final = frozenset({"BootNotification", "StartTransaction"})
"""Their answers tell as much as they do."""

# They act on the station's own leg, not on the supervision's.
_LEG_LOCAL: Final = re.compile(r'"(WebSocketPingInterval|RetryBackOff\w*|OfflineThreshold)"', re.IGNORECASE)
_SETTERS: Final = frozenset({"changeconfiguration", "setvariables"})

_CURRENT_TIME: Final = re.compile(r'"currentTime"\s*:\s*"([^"]{1,64})"')

# URLs in messages pass through: a station needs a route of its own to them.
_TRANSFERS: Final = frozenset({"firmwarestatusnotification", "diagnosticsstatusnotification", "logstatusnotification"})
_ACTIONS_REMEMBERED: Final = 512  # an endless row of invented ones may push each other out
_TRANSFERS_FAILED: Final = (("DownloadFailed", "download-failed"), ("UploadFailed", "upload-failed"))


def result_time(text: str) -> str | None:
    """Return the `currentTime` of an answer; searched, not parsed."""
    match = _CURRENT_TIME.search(text)
    return None if match is None else match.group(1)


class Interest(msgspec.Struct, frozen=True):
    """What the agent wants of the CALLs of an action, beside relaying them.

    `tables`: one of them knows the action, and it is for them to say. `times`: the answer says what time it is.
    `overhears`: the CALL tells something of its station; `learns`: so does the answer. `is_any`: one of these three.
    """

    tables: bool
    times: bool
    overhears: bool
    learns: bool
    is_any: bool


@lru_cache(maxsize=_ACTIONS_REMEMBERED)
def interest_in(action: str) -> Interest:
    """Return what the agent wants of an action. There are few, so that the answer is nearly always remembered."""
    plain = plain_action(action)
    return Interest(
        tables=plain in INTERCEPTED_ACTIONS or plain in _TRANSFERS,
        times=action in TIMED_ACTIONS,
        overhears=action in OBSERVED_ACTIONS,
        learns=action in LEARNED_ACTIONS,
        is_any=action in TIMED_ACTIONS or action in OBSERVED_ACTIONS,
    )


def notice_of(asker: Side, call: Frame) -> str | None:
    """Return what is notable of a CALL, None for most. Texts are searched, not parsed: nothing depends on it."""
    action = plain_action(call.action)
    if asker is Side.SUPERVISION:
        return "leg-local-setting" if action in _SETTERS and _LEG_LOCAL.search(call.text) else None
    if action in _TRANSFERS:
        return next((what for word, what in _TRANSFERS_FAILED if word in call.text), None)
    return None
