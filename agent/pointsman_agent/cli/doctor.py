"""`pointsman-agent doctor`: whether an agent would run well here, before anything runs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_agent.cli.options import (
    admin_option,
    allow_unsigned_option,
    bundle_option,
    default_secrets,
    secrets_option,
    site_option,
    state_option,
    trust_option,
)
from pointsman_agent.cli.outcome import EXIT_NO, EXIT_USAGE, fail

if TYPE_CHECKING:
    from pointsman_agent.bundleurl import BundleUrl


@click.command(
    epilog="Exit code 0 when nothing failed, 1 otherwise.\n\n"
    "Example: pointsman-agent doctor --bundle lyon.bundle --site lyon --trust site.pub"
)
@bundle_option
@site_option
@trust_option
@allow_unsigned_option
@state_option
@secrets_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(
    bundle: "Path | BundleUrl",
    site: str | None,
    trust: tuple[Path, ...],
    allow_unsigned: bool,
    state: Path,
    secrets: Path | None,
    admin: str,
    as_json: bool,
) -> None:
    """Check all that the agent needs, and say what to do.

    State folder, bundle, secrets, ports, certificates, clock, and the way to every
    supervision. Nothing is changed; an agent may run meanwhile.
    """
    import trio

    from pointsman_agent.checktables import doctor_text
    from pointsman_agent.doctor.checks import report
    from pointsman_agent.doctor.examination import examine
    from pointsman_agent.run import SystemClock
    from pointsman_agent.settings import Settings, SettingsError, admin_address, trusted_keys

    try:
        trusted = trusted_keys(trust, allow_unsigned=allow_unsigned)
        host, port = admin_address(admin, is_exposable=True)
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)
    settings = Settings(bundle, site, trusted, state, secrets or default_secrets(state), host, port)
    found = report(trio.run(examine, settings, SystemClock()))
    click.echo(json.dumps(found, indent=2) if as_json else doctor_text(found, colour=sys.stdout.isatty()), nl=as_json)
    sys.exit(0 if found["ok"] else EXIT_NO)
