"""`pointsman-agent test`: whether a supervision can be reached, and if not, where it ends (rule 51)."""

import sys
from pathlib import Path

import click

from pointsman_agent.cli.options import admin_url_option, json_option, state_option
from pointsman_agent.cli.outcome import EXIT_NO, asking_agent, show


@click.command(
    epilog="Exit code 0 when every step went well, 1 when not, 4 when no agent runs.\n\n"
    "Example: pointsman-agent test acme --station LYO-03"
)
@click.argument("supervision")
@click.option(
    "--station",
    metavar="ID",
    help="Make the whole handshake of this station, with its password; only while it is not connected.",
)
@state_option
@admin_url_option
@json_option
def test(supervision: str, station: str | None, state: Path, url: str | None, as_json: bool) -> None:
    """Try the way to SUPERVISION step by step: DNS, TCP, proxy, TLS, HTTP.

    The running agent does it, with connections of its own; no station notices.
    """
    from pointsman_agent.checktables import connection_test_text
    from pointsman_agent.client import ask_test, find_access

    with asking_agent():
        report = ask_test(find_access(state, url), supervision, station)
    show(report, as_json, lambda: connection_test_text(report, colour=sys.stdout.isatty()))
    sys.exit(0 if report["ok"] else EXIT_NO)
