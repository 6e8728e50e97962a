"""`pointsman-agent init`: what a controller needs before its first start, laid down."""

import sys
from pathlib import Path

import click

from pointsman_agent.cli.outcome import EXIT_FAILED, EXIT_NO, EXIT_USAGE, fail


@click.command(
    epilog="Example: pointsman-agent init --site lyon --trust release.pub\n\n"
    "What is there already and is the same stays; what differs is never written over."
)
@click.option("--site", metavar="ID", required=True, help="The site of this controller.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Public key that bundles are signed with (repeatable).",
)
@click.option("--rollout", metavar="URL", help="A rollout's repository, followed in place of a file.")
@click.option(
    "--rollout-root",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Its root, the trust to begin with (metadata/1.root.json).",
)
@click.option("--rollout-token", metavar="NAME", help="Secret with a bearer token for it.")
@click.option("--push", metavar="URL", help="Where the state is pushed to.")
@click.option("--push-token", metavar="NAME", help="Secret with a bearer token for it.")
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
def init(
    site: str,
    trust: tuple[Path, ...],
    rollout: str | None,
    rollout_root: Path | None,
    rollout_token: str | None,
    push: str | None,
    push_token: str | None,
    config: Path,
    units: Path,
    no_unit: bool,
) -> None:
    """Lay down a controller: trust keys, secrets folder, flags, unit.

    Secrets are then copied there, and the bundle where no --rollout brings it; systemd starts the agent.
    """
    from pointsman_agent.settings import SettingsError, push_settings, rollout_settings
    from pointsman_agent.starter import Layout, LayoutError

    bundle = config / "site.bundle"
    try:
        place = rollout_settings(rollout, rollout_root, rollout_token, 60, None if rollout else bundle, trust)
        push_settings(push, push_token)
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)
    if place is None and not trust:
        fail("--trust FILE is needed, the public key that bundles are signed with, or --rollout URL", EXIT_USAGE)
    flags = {"ROLLOUT": rollout, "ROLLOUT_TOKEN": rollout_token, "PUSH": push, "PUSH_TOKEN": push_token}
    variables = {f"POINTSMAN_{name}": value for name, value in flags.items() if value is not None}
    root = None if place is None else place.root
    layout = Layout(site, trust, config, None if no_unit else units, _executable(), root, variables)
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
    what = "the site's secrets" if place is not None else f"the site's bundle to {bundle}, its secrets"
    click.echo(f"next  copy {what} to {config / 'secrets'}")


def _executable() -> Path:
    """The command itself, where its environment has it: a link to it may be somebody's own."""
    return Path(sys.executable).parent / "pointsman-agent"
