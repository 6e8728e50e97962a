"""`rollout status`: where a change is, and what it waits for."""

from datetime import datetime
from pathlib import Path

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure
from pointsman_compiler.cli.rollout.common import (
    found_folder,
    health_option,
    read_health,
    read_rules,
    repository_option,
    rollout_failures,
    unix,
)


@click.command(epilog="Example: pointsman rollout status sites --health https://metrics.example")
@options.root
@repository_option
@health_option
@click.option("--site", metavar="ID", help="All of one site.")
@click.option("--json", "as_json", is_flag=True, help="Every site as JSON.")
@options.at
def status(root: Path, folder: Path, health: str | None, site: str | None, as_json: bool, at: datetime) -> None:
    """Say in ten lines where the last change is and what it waits for. Needs no key."""
    from pointsman_compiler.rollout import summary
    from pointsman_compiler.rollout.promotion import promote
    from pointsman_compiler.rollout.repository import Repository

    with rollout_failures():
        ledger = Repository(found_folder(folder)).ledger()
        rules = read_rules(root, ledger)
        found = read_health(health, rules)
        now = max(unix(at), ledger.at)
    if site is not None:
        if site not in ledger.sites:
            raise Failure(f"the repository has no site {site}", "name one that was published")
        click.echo(summary.explain_site(ledger, rules, found, now, site), nl=False)
    elif as_json:
        import json

        promotion = promote(ledger, rules, found, now)
        click.echo(json.dumps(summary.as_json(ledger, promotion), indent=2))
    else:
        click.echo(summary.summarize(ledger, rules, found, now), nl=False)
