"""Options that several commands share, and what they stand for."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from pointsman_agent.cli.outcome import EXIT_USAGE, fail

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
admin_option = click.option(
    "--admin",
    metavar="HOST:PORT",
    default="127.0.0.1:9100",
    show_default=True,
    envvar="POINTSMAN_ADMIN",
    help="Address of the admin interface: loopback, or with TLS, or with --admin-plain-text.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="The object of the API instead of a table.")


Command = Callable[..., None]


class _FileOrUrl(click.Path):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if "://" in str(value) else super().convert(value, param, ctx)


def _bundle_flag(*, is_required: bool) -> Callable[[Command], Command]:
    return click.option(
        "--bundle",
        type=_FileOrUrl(dir_okay=False),
        metavar="FILE|URL",
        required=is_required,
        envvar="POINTSMAN_BUNDLE",
        help="The bundle file, or its https:// URL, that the agent follows: a new one there is put in force.",
    )


_bundle_companions = (
    click.option(
        "--bundle-trust",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="POINTSMAN_BUNDLE_TRUST",
        help="PEM roots that the URL's server is proven by, instead of the system's.",
    ),
    click.option(
        "--bundle-certificate",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="POINTSMAN_BUNDLE_CERTIFICATE",
        help="PEM chain that is shown to the URL's server.",
    ),
    click.option(
        "--bundle-key",
        metavar="NAME",
        envvar="POINTSMAN_BUNDLE_KEY",
        help="Secret that is the key of --bundle-certificate.",
    ),
    click.option(
        "--bundle-token",
        metavar="NAME",
        envvar="POINTSMAN_BUNDLE_TOKEN",
        help="Secret that is the bearer token for the URL's server.",
    ),
    click.option(
        "--bundle-interval",
        type=click.IntRange(5, 86400),
        metavar="SECONDS",
        default=60,
        show_default=True,
        envvar="POINTSMAN_BUNDLE_INTERVAL",
        help="How long between two looks at the URL (5 to 86400), give or take a quarter.",
    ),
)


def bundle_option(command: Command) -> Command:
    """Add `--bundle` and its companions; the command gets `bundle`, a Path or a BundleUrl."""
    return _with_bundle(command, is_required=True)


def optional_bundle_option(command: Command) -> Command:
    """As `bundle_option`, where bundles may come from elsewhere; `bundle` is None then."""
    return _with_bundle(command, is_required=False)


def _with_bundle(command: Command, *, is_required: bool) -> Command:

    @functools.wraps(command)
    def with_place(
        *,
        bundle: str | None,
        bundle_trust: Path | None,
        bundle_certificate: Path | None,
        bundle_key: str | None,
        bundle_token: str | None,
        bundle_interval: int,
        **others: Any,
    ) -> None:
        from pointsman_agent.settings import SettingsError, bundle_place

        try:
            place = (
                None
                if bundle is None
                else bundle_place(
                    bundle,
                    trust=bundle_trust,
                    certificate=bundle_certificate,
                    key=bundle_key,
                    token=bundle_token,
                    interval_s=bundle_interval,
                )
            )
        except SettingsError as error:
            fail(str(error), EXIT_USAGE)
        command(bundle=place, **others)

    flagged: Command = with_place
    for flag in reversed((_bundle_flag(is_required=is_required), *_bundle_companions)):
        flagged = flag(flagged)
    return flagged


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
