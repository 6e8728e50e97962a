"""`pointsman-agent`: the command line of the site controller. Heavy modules are imported when a command needs them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import click

EXIT_NO: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 4
EXIT_FAILED: Final = 6

_DEFAULT_STATE: Final = "/var/lib/pointsman"

_state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DEFAULT_STATE,
    show_default=True,
    envvar="POINTSMAN_STATE",
    help="The agent's state folder.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="The object of the API instead of a table.")
_admin_url_option = click.option(
    "--admin", "url", metavar="URL", help="Admin interface, where it is not the one that the state folder names."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(package_name="pointsman-agent", prog_name="pointsman-agent")
def main() -> None:
    """Route every charging station of a site to its operator, or serve it."""


@main.command(
    epilog="Example: pointsman-agent run --bundle lyon.bundle --site lyon --trust site.pub --state /var/lib/pointsman"
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    envvar="POINTSMAN_BUNDLE",
    help="The bundle file. It is followed: a new one there is put in force.",
)
@click.option(
    "--site", metavar="ID", envvar="POINTSMAN_SITE", help="This site; needed until the state folder knows it."
)
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    envvar="POINTSMAN_TRUST",
    help="Public key that bundles are signed with (repeatable).",
)
@click.option(
    "--allow-unsigned", is_flag=True, envvar="POINTSMAN_ALLOW_UNSIGNED", help="Take bundles without a signature."
)
@_state_option
@click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="POINTSMAN_SECRETS",
    help="Folder of secret files. Default: $CREDENTIALS_DIRECTORY, else STATE/secrets.",
)
@click.option(
    "--admin",
    metavar="HOST:PORT",
    default="127.0.0.1:9100",
    show_default=True,
    envvar="POINTSMAN_ADMIN",
    help="Loopback address of the admin interface.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="POINTSMAN_LOG_LEVEL",
    help="Least level of the JSON log lines on standard error.",
)
def run(
    bundle: Path,
    site: str | None,
    trust: tuple[Path, ...],
    allow_unsigned: bool,
    state: Path,
    secrets: Path | None,
    admin: str,
    log_level: str,
) -> None:
    """Run the agent in the foreground until SIGTERM or Ctrl-C."""
    from pointsman_agent.settings import Settings, SettingsError, admin_address, trusted_keys

    try:
        host, port = admin_address(admin)
        settings = Settings(
            bundle=bundle,
            site=site,
            trusted=trusted_keys(trust, allow_unsigned=allow_unsigned),
            state=state,
            secrets=secrets or _default_secrets(state),
            admin_host=host,
            admin_port=port,
        )
        _run_agent(settings, log_level)
    except SettingsError as error:
        _fail(str(error), EXIT_USAGE)


@main.command(epilog="Example: pointsman-agent status --state /var/lib/pointsman --json")
@_state_option
@_admin_url_option
@_json_option
def status(state: Path, url: str | None, as_json: bool) -> None:
    """Show what the agent does; exit 0 when all is well, 1 when not."""
    from pointsman_agent.tables import status_text

    found = _get_status(state, url)
    _show(found, as_json, lambda: status_text(found, colour=sys.stdout.isatty()))
    sys.exit(0 if found["state"] == "running" else EXIT_NO)


@main.command(epilog="Example: pointsman-agent stations --state /var/lib/pointsman")
@_state_option
@_admin_url_option
@_json_option
def stations(state: Path, url: str | None, as_json: bool) -> None:
    """List the stations: operator, link, protocol, last error."""
    from pointsman_agent.tables import stations_text

    found = _get_status(state, url)["stations"]
    _show(found, as_json, lambda: stations_text(found, colour=sys.stdout.isatty()))


@main.command(epilog="Example: pointsman-agent reload --state /var/lib/pointsman")
@_state_option
@_admin_url_option
def reload(state: Path, url: str | None) -> None:
    """Let the agent read its bundle at once."""
    from pointsman_agent.client import AgentUnreachable, ask_reload, find_access

    try:
        ask_reload(find_access(state, url))
    except AgentUnreachable as error:
        _fail(str(error), EXIT_UNREACHABLE)


def _run_agent(settings: Any, log_level: str) -> None:
    import gc

    import trio

    from pointsman_agent import logs
    from pointsman_agent.run import StartError, SystemClock
    from pointsman_agent.run import run as run_agent

    # Nearly all objects live as long as a station; the default thresholds cost half the time at 1,000 of them.
    gc.set_threshold(50_000, 20, 100)
    writer = logs.set_up(log_level)
    try:
        trio.run(run_agent, settings, SystemClock())
    except StartError as error:
        _fail(str(error), EXIT_FAILED)
    finally:
        writer.close()


def _get_status(state: Path, url: str | None) -> dict[str, Any]:
    from pointsman_agent.client import AgentUnreachable, find_access, get_status

    try:
        return get_status(find_access(state, url))
    except AgentUnreachable as error:
        _fail(str(error), EXIT_UNREACHABLE)


def _show(found: object, as_json: bool, table: Callable[[], str]) -> None:
    import json

    click.echo(json.dumps(found, indent=2) if as_json else table(), nl=as_json)


def _default_secrets(state: Path) -> Path:
    """systemd lays credentials down in a folder of its own."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(credentials) if credentials else state / "secrets"


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"pointsman-agent: {message}", err=True)
    sys.exit(code)
