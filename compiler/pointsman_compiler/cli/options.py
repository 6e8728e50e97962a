"""Arguments and options that several commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

EARLIEST_YEAR: Final = 1970
YEARS_END: Final = 9000
"""What is signed lasts beyond it, in every zone: times have to end before the calendar of Python does."""


def _instant(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime:
    """A day (its beginning in UTC) or an instant of RFC 3339; without either, this moment."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time; write 2027-01-31 or 2027-01-31T12:00:00Z") from error
    if not EARLIEST_YEAR <= found.year < YEARS_END:
        raise click.BadParameter(f"{text!r} is no time that this could be for; {EARLIEST_YEAR} to {YEARS_END - 1} are")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


LARGEST_JOBS: Final = 64
"""Processes; a fleet of any size is read in seconds by fewer."""

root = click.argument("root", type=click.Path(path_type=Path), default=Path("sites"))
bundle = click.argument("bundle", type=click.Path(path_type=Path))
sites = click.option("--site", "sites", metavar="ID", multiple=True, help="Only this site (repeatable).")
at = click.option("--at", callback=_instant, metavar="TIME", help="Time for expiry dates; default: this moment.")
jobs = click.option(
    "--jobs", metavar="N", type=click.IntRange(1, LARGEST_JOBS), help="Processes; default: as many as there are cores."
)
