"""`pointsman-agent status` and `stations`: what the running agent says of itself."""

import sys
from pathlib import Path
from typing import Any

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import EXIT_NO, EXIT_USAGE, asking_agent, fail, show
from pointsman_agent.cli.watching import watch, watch_option


@click.command(epilog="Example: pointsman-agent status --state /var/lib/pointsman --json")
@state_option
@admin_url_option
@json_option
@watch_option
def status(state: Path, url: str | None, as_json: bool, is_watched: bool) -> None:
    """Show what the agent does; exit 0 when all is well, 1 when not."""
    _refuse_both(as_json, is_watched)
    if is_watched:
        watch(lambda: _show_status(_get_status(state, url), as_json=False))
    found = _get_status(state, url)
    _show_status(found, as_json)
    sys.exit(0 if found["state"] in ("running", "probation") else EXIT_NO)


@click.command(epilog="Example: pointsman-agent stations LYO-03")
@click.argument("station", required=False)
@state_option
@admin_url_option
@json_option
@watch_option
def stations(station: str | None, state: Path, url: str | None, as_json: bool, is_watched: bool) -> None:
    """List the stations: operator, link, protocol, last error.

    With STATION, all that is known of that one: what it says it is, last messages,
    what was dropped and why, how far its offline strategy is in force.
    """
    _refuse_both(as_json, is_watched)
    if is_watched:
        watch(lambda: _show_stations(station, state, url, as_json=False))
    _show_stations(station, state, url, as_json)


def _show_status(found: dict[str, Any], as_json: bool) -> None:
    from pointsman_agent.tables import status_text

    show(found, as_json, lambda: status_text(found, colour=sys.stdout.isatty()))


def _show_stations(station: str | None, state: Path, url: str | None, as_json: bool) -> None:
    from pointsman_agent.tables import station_text, stations_text

    colour = sys.stdout.isatty()
    if station is None:
        rows = _get_status(state, url)["stations"]
        show(rows, as_json, lambda: stations_text(rows, colour=colour))
    else:
        found = _get_station(station, state, url)
        show(found, as_json, lambda: station_text(found, colour=colour))


def _refuse_both(as_json: bool, is_watched: bool) -> None:
    if as_json and is_watched:
        fail("--json and --watch exclude each other; GET /api/events has changes as JSON", EXIT_USAGE)


def _get_status(state: Path, url: str | None) -> dict[str, Any]:
    from pointsman_agent.client import find_access, get_status

    with asking_agent():
        return get_status(find_access(state, url))


def _get_station(station: str, state: Path, url: str | None) -> dict[str, Any]:
    from pointsman_agent.client import find_access, get_station

    with asking_agent():
        return get_station(find_access(state, url), station)
