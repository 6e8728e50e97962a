"""The site's zone as the variables of a 2.x station's ClockCtrlr (rule 42). Pure."""

from datetime import datetime, timedelta
from typing import Final

from pointsman_schema.timezones import next_transition, zone

from pointsman_agent.ocpp.answers import rfc3339

TIME_ZONE: Final = "ClockCtrlr.TimeZone"
OFFSET: Final = "ClockCtrlr.TimeOffset"
NEXT_AT: Final = "ClockCtrlr.NextTimeOffsetTransitionDateTime"
NEXT_OFFSET: Final = "ClockCtrlr.TimeOffset[NextTransition]"
CLOCK_VARIABLES: Final = (TIME_ZONE, OFFSET, NEXT_OFFSET, NEXT_AT)
"""In the order in which they are set: what a change leads to stands before the change itself."""

# A zone without a next change must overwrite one that a station still holds: the same offset, at a moment that 32 bits
# can say and no station will see.
NEVER: Final = "2037-12-31T23:59:59Z"


def clock_variables(zone_name: str, now: datetime) -> dict[str, str]:
    """Return the four variables for the zone at `now` (aware), by name."""
    here = now.astimezone(zone(zone_name)).utcoffset() or timedelta(0)
    change = next_transition(zone_name, now)
    at, then = (NEVER, here) if change is None else (rfc3339(change[0]), change[1])
    return {TIME_ZONE: zone_name, OFFSET: offset_text(here), NEXT_OFFSET: offset_text(then), NEXT_AT: at}


def offset_text(offset: timedelta) -> str:
    """Return an offset as RFC 3339 writes it, such as `+05:30`."""
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
