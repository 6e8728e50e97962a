"""`pointsman-agent page`: the address of the status page, for a browser."""

from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, state_option
from pointsman_agent.cli.outcome import asking_agent


@click.command(
    epilog="From afar, after `ssh -L 9100:127.0.0.1:9100 controller`.\n\n"
    "Example: pointsman-agent page --state /var/lib/pointsman"
)
@state_option
@admin_url_option
def page(state: Path, url: str | None) -> None:
    """Print an address that opens the status page in a browser.

    It is good once, for two minutes; what it opens reads, and lasts twelve hours.
    """
    from pointsman_agent.client import ask_ticket, find_access

    with asking_agent():
        click.echo(ask_ticket(find_access(state, url)))
