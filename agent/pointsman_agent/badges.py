"""Badge, rules and moment → the decision, the same for every OCPP version (rules 33, 34, 38). No I/O, no clock."""

from datetime import date, datetime
from enum import Enum, auto
from typing import Final

import msgspec
from pointsman_schema.bundle import Badge, Group
from pointsman_schema.timezones import zone

EMAID: Final = "eMAID"
"""The 2.x type of a contract's identifier, which comes with a certificate and not with a card."""


class Verdict(Enum):
    """What the controller says of a badge; each OCPP version has its own word for it."""

    ACCEPTED = auto()
    BLOCKED = auto()
    """Known in the group, but not authorized."""
    EXPIRED = auto()
    UNKNOWN = auto()
    """Not of this group: OCPP 1.6 calls it Invalid, 2.x Unknown."""
    CONCURRENT = auto()
    """Charges in the group already, which refuses a second transaction."""


class Decision(msgspec.Struct, frozen=True):
    """A verdict and what else is known of the badge. `until` is its last day in the site's zone."""

    verdict: Verdict
    vip: bool = False
    until: date | None = None


def decide(
    badge: Badge | None,
    *,
    group_name: str,
    group: Group,
    now: datetime,
    time_zone: str,
    is_charging: bool = False,
    token_type: str | None = None,
    is_own_start: bool = False,
) -> Decision:
    """Return the decision on `badge` (None: in no list) for a station of a local group, at `now` (aware).

    `online: any` accepts every badge and ignores the flag `authorized`, as the reference product does; `until` still
    counts, and a contract (`token_type` eMAID) must be known. `is_charging`: the badge already has an open transaction
    in the group that this is not about. `is_own_start`: the token is of the agent's own making, for a
    start that it asked for.
    """
    assert group.authentication is not None
    if is_own_start:
        return Decision(Verdict.ACCEPTED)
    known = badge if badge is not None and group_name in badge.groups else None
    until = date.fromisoformat(known.until) if known is not None and known.until is not None else None
    vip = known is not None and known.vip
    if until is not None and now.astimezone(zone(time_zone)).date() > until:
        return Decision(Verdict.EXPIRED, vip, until)
    must_be_known = group.authentication.online == "known" or token_type == EMAID
    if known is None and must_be_known:
        return Decision(Verdict.UNKNOWN)
    if known is not None and group.authentication.online == "known" and not known.authorized:
        return Decision(Verdict.BLOCKED, vip, until)
    if is_charging and group.authentication.concurrent == "refuse":
        return Decision(Verdict.CONCURRENT, vip, until)
    return Decision(Verdict.ACCEPTED, vip, until)
