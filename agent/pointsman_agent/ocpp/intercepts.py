"""What the agent takes for itself out of relayed traffic: one table (rules 20 to 23). All else passes untouched.

Names are matched as decoded strings, without regard to case and with `-Signed` stripped (OCPP 2.0.1 part 4 section 7:
a signed message carries its action under that suffix).
"""

from collections.abc import Callable
from enum import Enum, auto

import msgspec

from pointsman_agent.ocpp.frame import Frame


class Side(Enum):
    """The two ends of a link."""

    STATION = auto()
    SUPERVISION = auto()

    @property
    def other(self) -> "Side":
        """The opposite end."""
        return Side.SUPERVISION if self is Side.STATION else Side.STATION


class LinkSettings(msgspec.Struct, frozen=True):
    """What a supervision's configuration says of a link; may be replaced while the link lives.

    `message_timeout` is in seconds; `protocol` is the WebSocket subprotocol that was agreed.
    """

    message_timeout: float
    forward_security_events: bool
    protocol: str
    condemn_any: bool = True


class Intercept(Enum):
    """What is done instead of relaying a CALL."""

    KEEP_SECURITY_EVENT = auto()
    """Store it in the security log, then answer `{}`; the supervision does not see it (rule 20)."""


_TABLE: dict[tuple[Side, str], Callable[[LinkSettings], Intercept | None]] = {
    (Side.STATION, "securityeventnotification"): lambda settings: (
        None if settings.forward_security_events else Intercept.KEEP_SECURITY_EVENT
    ),
}


def intercept_of(asker: Side, call: Frame, settings: LinkSettings) -> Intercept | None:
    """Return what the agent does with a CALL of `asker` instead of relaying it; None: relay."""
    rule = _TABLE.get((asker, plain_action(call.action)))
    return rule(settings) if rule is not None else None


def plain_action(action: str) -> str:
    """Return an action's name folded for comparison: lower case, without `-Signed`."""
    return action.casefold().removesuffix("-signed")
