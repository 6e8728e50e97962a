"""`pointsman-agent inventory`: what the stations say they are."""

import sys
from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import asking_agent, show


@click.command(
    epilog="A station says what it is when it boots; `-`: it has not, since the agent\nfirst ran.\n\n"
    "Example: pointsman-agent inventory --json"
)
@state_option
@admin_url_option
@json_option
def inventory(state: Path, url: str | None, as_json: bool) -> None:
    """List what the stations say they are: make, firmware, connectors."""
    from pointsman_agent.client import find_access, get_inventory
    from pointsman_agent.inventorytables import inventory_text

    with asking_agent():
        rows = get_inventory(find_access(state, url))
    show(rows, as_json, lambda: inventory_text(rows, colour=sys.stdout.isatty()))
