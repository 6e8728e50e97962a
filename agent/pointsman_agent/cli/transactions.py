"""`pointsman-agent transactions`: what was charged at stations of local groups."""

import json
import sys
from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, state_option
from pointsman_agent.cli.outcome import asking_agent, warn_of_cut
from pointsman_agent.cli.since import moment, since_option


@click.command(
    epilog="Times are the site's. --csv is safe to open in a spreadsheet.\n\n"
    "Example: pointsman-agent transactions --since 30d --csv > november.csv"
)
@since_option
@click.option("--json", "as_json", is_flag=True, help="The object of the API instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, RFC 4180.")
@state_option
@admin_url_option
def transactions(since: str | None, as_json: bool, as_csv: bool, state: Path, url: str | None) -> None:
    """List the transactions of local groups, oldest first."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    from pointsman_agent.client import find_access, get_report
    from pointsman_agent.transactioncsv import transactions_csv
    from pointsman_agent.transactiontables import transactions_text

    with asking_agent():
        rows, is_cut = get_report(find_access(state, url), "transactions", moment(since))
    warn_of_cut(rows, is_cut=is_cut)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif as_csv:
        click.echo(transactions_csv(rows), nl=False)
    else:
        click.echo(transactions_text(rows, colour=sys.stdout.isatty()), nl=False)
