"""Options that several commands share, and what they stand for."""

import os
from pathlib import Path
from typing import Final

import click

_DEFAULT_STATE: Final = "/var/lib/pointsman"

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=_DEFAULT_STATE,
    show_default=True,
    envvar="POINTSMAN_STATE",
    help="The agent's state folder.",
)
admin_url_option = click.option(
    "--admin", "url", metavar="URL", help="Admin interface, where it is not the one that the state folder names."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The object of the API instead of a table.")

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    envvar="POINTSMAN_BUNDLE",
    help="The bundle file that the agent follows: a new one there is put in force.",
)
site_option = click.option(
    "--site", metavar="ID", envvar="POINTSMAN_SITE", help="This site; needed until the state folder knows it."
)
trust_option = click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    envvar="POINTSMAN_TRUST",
    help="Public key that bundles are signed with (repeatable).",
)
allow_unsigned_option = click.option(
    "--allow-unsigned", is_flag=True, envvar="POINTSMAN_ALLOW_UNSIGNED", help="Take bundles without a signature."
)
secrets_option = click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="POINTSMAN_SECRETS",
    help="Folder of secret files. Default: $CREDENTIALS_DIRECTORY, else STATE/secrets.",
)


def default_secrets(state: Path) -> Path:
    """Return where secrets are without `--secrets`: systemd lays credentials down in a folder of its own."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(credentials) if credentials else state / "secrets"
