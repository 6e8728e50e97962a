"""When a station that changes its operator moves (rule 44). Pure: observations and times are handed in.

A station that was connected at the switch and stays so moves as soon as nothing is open. One that was cut off may hold
messages of a transaction that its old operator has to get: it goes there first, and moves when a minute has passed
without any. Nobody waits for ever: from its deadline on a station moves as it is.
"""

from enum import Enum, auto
from typing import Final

import msgspec

QUIET_S: Final = 60.0  # rule 44


class Due(Enum):
    """Whether a station moves now."""

    NOT_YET = auto()
    FREE = auto()
    LATE = auto()
    """With something open, because it took too long."""


class Seen(msgspec.Struct):
    """What the controller saw of a waiting station since it was to move. Times are seconds of one clock.

    `connected_since` is None while it is not; `was_there`: it has been connected since before.
    """

    connected_since: float | None = None
    was_there: bool = False


def due(seen: Seen, *, may_be_charging: bool, heard_transaction: float, is_late: bool, now: float) -> Due:
    """Return whether a station moves now. `heard_transaction` is when it sent a message of a transaction last."""
    if is_late:
        return Due.LATE if may_be_charging or seen.connected_since is None else Due.FREE
    if seen.connected_since is None or may_be_charging:
        return Due.NOT_YET
    if seen.was_there:
        return Due.FREE
    return Due.FREE if now >= max(seen.connected_since, heard_transaction) + QUIET_S else Due.NOT_YET
