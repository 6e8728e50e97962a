"""`pointsman-agent init`: what a controller needs before its first start, laid down."""

import sys
from pathlib import Path

import click

from pointsman_agent.cli.outcome import EXIT_FAILED, EXIT_NO, fail


@click.command(
    epilog="Example: pointsman-agent init --site lyon --trust release.pub\n\n"
    "What is there already and is the same stays; what differs is never written over."
)
@click.option("--site", metavar="ID", required=True, help="The site of this controller.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    required=True,
    help="Public key that bundles are signed with (repeatable).",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default="/etc/pointsman",
    show_default=True,
    help="Folder of bundle, trust keys and secrets.",
)
@click.option(
    "--units",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default="/etc/systemd/system",
    show_default=True,
    help="Folder of the unit for systemd.",
)
@click.option("--no-unit", is_flag=True, help="Lay down no unit, for a controller without systemd.")
def init(site: str, trust: tuple[Path, ...], config: Path, units: Path, no_unit: bool) -> None:
    """Lay down a controller: trust keys, secrets folder, flags, unit.

    Bundle and secrets are then copied there, and systemd starts the agent.
    """
    from pointsman_agent.starter import Layout, LayoutError

    layout = Layout(site, trust, config, None if no_unit else units, _executable())
    try:
        made = layout.lay_down()
    except LayoutError as error:
        fail(str(error), EXIT_NO)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", EXIT_FAILED)
    for path in made:
        click.echo(f"made  {path}")
    for warning in layout.warnings():
        click.echo(f"pointsman-agent: {warning}", err=True)
    click.echo(f"next  copy the site's bundle to {config / 'site.bundle'}, its secrets to {config / 'secrets'}")


def _executable() -> Path:
    """The command itself, where its environment has it: a link to it may be somebody's own."""
    return Path(sys.executable).parent / "pointsman-agent"
