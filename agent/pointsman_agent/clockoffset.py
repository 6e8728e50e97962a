"""How far a supervision's clock is from ours, from the answers that pass (rules 41 and 58). Pure."""

import re
from collections import deque
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import msgspec

SAMPLES_KEPT: Final = 10
WARN_FROM_S: Final = 30.0
SLOW_SHARE: Final = 1 / 3  # of messageTimeout: a round trip above it is warned of (rule 58)

# RFC 3339 section 5.6, with the blank that its note admits; `fromisoformat` takes and refuses other things.
_STAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))\Z", re.ASCII
)


class Sample(msgspec.Struct, frozen=True):
    """One measurement, in seconds: the round trip, and the supervision's clock less ours."""

    round_trip_s: float
    offset_s: float


class ClockOffset:
    """The last measurements of one supervision; the one of the shortest round trip counts."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_KEPT)

    def measure(self, current_time: str, *, received: datetime, round_trip_s: float) -> Sample | None:
        """Note an answer's `currentTime`, received at the aware time `received`; None when it is no time."""
        said = read_rfc3339(current_time)
        if said is None:
            return None
        offset = (said - received).total_seconds() + round_trip_s / 2
        sample = Sample(round_trip_s, offset)
        self._samples.append(sample)
        return sample

    @property
    def seconds(self) -> float | None:
        """The offset, None until something was measured; positive: the supervision's clock is ahead."""
        best = min(self._samples, key=lambda sample: sample.round_trip_s, default=None)
        return None if best is None else round(best.offset_s, 3)


def read_rfc3339(text: str) -> datetime | None:
    """Return the moment that `text` says, in UTC; None when it is no RFC 3339 timestamp with an offset."""
    match = _STAMP.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, utc, sign, offset_hours, offset_minutes = match.groups()
    microseconds = int(((fraction or "0") + "000000")[:6])
    ahead = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    try:
        zone = UTC if utc else timezone(-ahead if sign == "-" else ahead)
        local = datetime(
            int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), microseconds, tzinfo=zone
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, hour or offset; or before the year 1
        return None
