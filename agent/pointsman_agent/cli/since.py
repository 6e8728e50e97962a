"""`--since`: a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

since_option = click.option(
    "--since", metavar="TIME", help="RFC 3339, as in 2026-11-22T12:00:00Z, or how long ago: 30m, 24h, 7d. Default: all."
)

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])\Z")


def moment(text: str | None) -> str | None:
    """Return what `--since` means; a time as it is, for the agent to judge."""
    ago = None if text is None else _AGO.match(text)
    if ago is None:
        return text
    then = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")
