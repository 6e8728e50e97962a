"""`pointsman-agent status` and `stations`: what the running agent says of itself."""

import sys
from pathlib import Path
from typing import Any

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import EXIT_NO, asking_agent, fail, show


@click.command(epilog="Example: pointsman-agent status --state /var/lib/pointsman --json")
@state_option
@admin_url_option
@json_option
def status(state: Path, url: str | None, as_json: bool) -> None:
    """Show what the agent does; exit 0 when all is well, 1 when not."""
    from pointsman_agent.tables import status_text

    found = _get_status(state, url)
    show(found, as_json, lambda: status_text(found, colour=sys.stdout.isatty()))
    sys.exit(0 if found["state"] in ("running", "probation") else EXIT_NO)


@click.command(epilog="Example: pointsman-agent stations LYO-03")
@click.argument("station", required=False)
@state_option
@admin_url_option
@json_option
def stations(station: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """List the stations: operator, link, protocol, last error.

    With STATION, all that is known of that one: last messages, what was dropped
    and why, how far its offline strategy is in force.
    """
    from pointsman_agent.tables import station_text, stations_text

    rows = _get_status(state, url)["stations"]
    colour = sys.stdout.isatty()
    if station is None:
        show(rows, as_json, lambda: stations_text(rows, colour=colour))
        return
    found = next((row for row in rows if row["station"] == station), None)
    if found is None:
        fail(f"no station {station!r} in the bundle in force", EXIT_NO)
    show(found, as_json, lambda: station_text(found, colour=colour))


def _get_status(state: Path, url: str | None) -> dict[str, Any]:
    from pointsman_agent.client import find_access, get_status

    with asking_agent():
        return get_status(find_access(state, url))
