"""Is the controller's clock to be believed? (rule 41, last sentence). Pure."""

from datetime import datetime, timedelta
from typing import Final

from pointsman_agent.clockoffset import read_rfc3339

TOLERANCE: Final = timedelta(seconds=60)
"""What a clock that is being set may step back; what is behind by more has lost its battery."""


def is_behind(now: datetime, *known: str) -> bool:
    """Return whether `now` (aware) lies before a moment that the controller has already seen.

    `known` are RFC 3339 texts; an empty one counts for nothing.
    """
    newest = max((moment for moment in map(read_rfc3339, known) if moment is not None), default=None)
    return newest is not None and now + TOLERANCE < newest
