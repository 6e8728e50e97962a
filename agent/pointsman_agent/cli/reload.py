"""`pointsman-agent reload`: let the running agent read its bundle."""

from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, state_option
from pointsman_agent.cli.outcome import asking_agent


@click.command(epilog="Example: pointsman-agent reload --state /var/lib/pointsman")
@state_option
@admin_url_option
@click.option("--retry", "is_retry", is_flag=True, help="Also try what failed before: a bundle in quarantine, moves.")
def reload(state: Path, url: str | None, *, is_retry: bool) -> None:
    """Let the agent read its bundle and the secrets at once."""
    from pointsman_agent.client import ask_reload, find_access

    with asking_agent():
        ask_reload(find_access(state, url), is_retry=is_retry)
