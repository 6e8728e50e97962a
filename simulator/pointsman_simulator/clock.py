"""Time as the simulator's peers say it: UTC, whole seconds, with a Z (OCPP 1.6 section 3.14)."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives an aware UTC time. Library functions take one, so that a test can give its own."""


def utc_now() -> datetime:
    """Return the system's time. The one place below the command line that reads it: the default of every `clock`."""
    return datetime.now(UTC)  # noqa: TID251 - this module is that edge


def stamp(moment: datetime) -> str:
    """Return `2026-11-22T10:50:00Z`; some real stations refuse `+00:00` and fractions, so nobody here writes them."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
