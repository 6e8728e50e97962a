"""`pointsman-agent tail`, `security-events` and `activations`: what passes, and what the journal has beside it."""

import json
import sys
from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import asking_agent, show, warn_of_cut
from pointsman_agent.cli.since import moment, since_option
from pointsman_agent.cli.watching import until_interrupted


@click.command(epilog="Ctrl-C ends it.\n\nExample: pointsman-agent tail LYO-03")
@click.argument("station", required=False)
@state_option
@admin_url_option
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def tail(station: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """Show messages as they pass, of STATION or of all stations.

    A badge is shown as `#` and a keyed hash, the same for the same badge; keys and
    passwords as `•••`. A message that the agent passes on is shown once, where it
    came from; `to` is what the agent itself wrote.
    """
    from pointsman_agent.client import find_access, follow_tail
    from pointsman_agent.messagetables import passed_text

    with until_interrupted(), asking_agent():
        for row in follow_tail(find_access(state, url), station):
            click.echo(json.dumps(row) if as_json else passed_text(row, colour=sys.stdout.isatty()))


@click.command(name="security-events", epilog="Example: pointsman-agent security-events --since 24h")
@since_option
@state_option
@admin_url_option
@json_option
def security_events(since: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """List the security log: events that stations reported, refused passwords."""
    from pointsman_agent.client import find_access, get_report
    from pointsman_agent.messagetables import security_events_text

    with asking_agent():
        rows, is_cut = get_report(find_access(state, url), "security-events", moment(since))
    warn_of_cut(rows, is_cut=is_cut)
    show(rows, as_json, lambda: security_events_text(rows, colour=sys.stdout.isatty()))


@click.command(epilog="Example: pointsman-agent activations --since 7d")
@since_option
@state_option
@admin_url_option
@json_option
def activations(since: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """List what became of bundles: put in force, proven, refused, gone back, and why."""
    from pointsman_agent.client import find_access, get_report
    from pointsman_agent.messagetables import activations_text

    with asking_agent():
        rows, is_cut = get_report(find_access(state, url), "activations", moment(since))
    warn_of_cut(rows, is_cut=is_cut)
    show(rows, as_json, lambda: activations_text(rows, colour=sys.stdout.isatty()))
