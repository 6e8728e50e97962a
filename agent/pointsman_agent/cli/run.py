"""`pointsman-agent run`: the agent itself, in the foreground."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pointsman_agent.cli.options import (
    admin_option,
    allow_unsigned_option,
    default_secrets,
    optional_bundle_option,
    secrets_option,
    site_option,
    state_option,
    trust_option,
)
from pointsman_agent.cli.outcome import EXIT_FAILED, EXIT_USAGE, fail

if TYPE_CHECKING:
    from pointsman_agent.bundleurl import BundleUrl
    from pointsman_agent.logs import Format
    from pointsman_agent.settings import Settings


@click.command(
    epilog="Example: pointsman-agent run --bundle lyon.bundle --site lyon --trust site.pub --state /var/lib/pointsman"
)
@optional_bundle_option
@click.option(
    "--rollout",
    "rollout_url",
    metavar="URL",
    envvar="POINTSMAN_ROLLOUT",
    help="The rollout's repository, followed in place of a file.",
)
@click.option(
    "--rollout-root",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="POINTSMAN_ROLLOUT_ROOT",
    help="Its root, the trust to begin with (metadata/1.root.json).",
)
@click.option(
    "--rollout-token", metavar="NAME", envvar="POINTSMAN_ROLLOUT_TOKEN", help="Secret with a bearer token for it."
)
@click.option(
    "--rollout-poll",
    metavar="SECONDS",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    envvar="POINTSMAN_ROLLOUT_POLL",
    help="How often it is looked at, more or less.",
)
@site_option
@trust_option
@allow_unsigned_option
@state_option
@secrets_option
@admin_option
@click.option(
    "--admin-certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="POINTSMAN_ADMIN_CERTIFICATE",
    help="PEM chain for TLS on the admin interface; read again when it changes.",
)
@click.option(
    "--admin-key",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="POINTSMAN_ADMIN_KEY",
    help="Its key.",
)
@click.option(
    "--admin-plain-text",
    is_flag=True,
    envvar="POINTSMAN_ADMIN_PLAIN_TEXT",
    help="Let others reach the admin interface without TLS: tokens can be read on the way.",
)
@click.option(
    "--admin-name",
    "admin_names",
    metavar="NAME",
    multiple=True,
    envvar="POINTSMAN_ADMIN_NAME",
    help="Host name by which the admin interface is asked for (repeatable).",
)
@click.option(
    "--push", metavar="URL", envvar="POINTSMAN_PUSH", help="Push the state there, as Prometheus text, by POST."
)
@click.option("--push-token", metavar="NAME", envvar="POINTSMAN_PUSH_TOKEN", help="Secret with a bearer token for it.")
@click.option(
    "--push-trust",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="POINTSMAN_PUSH_TRUST",
    help="PEM roots that its server is proven by, instead of the system's.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="POINTSMAN_LOG_LEVEL",
    help="Least level of the log lines on standard error.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "console"]),
    default="json",
    show_default=True,
    envvar="POINTSMAN_LOG_FORMAT",
    help="An object a line, or columns for people.",
)
def run(
    bundle: "Path | BundleUrl | None",
    rollout_url: str | None,
    rollout_root: Path | None,
    rollout_token: str | None,
    rollout_poll: int,
    site: str | None,
    trust: tuple[Path, ...],
    allow_unsigned: bool,
    state: Path,
    secrets: Path | None,
    admin: str,
    admin_certificate: Path | None,
    admin_key: Path | None,
    admin_plain_text: bool,
    admin_names: tuple[str, ...],
    push: str | None,
    push_token: str | None,
    push_trust: Path | None,
    log_level: str,
    log_format: "Format",
) -> None:
    """Run the agent in the foreground until SIGTERM or Ctrl-C."""
    from pointsman_agent.settings import (
        Settings,
        SettingsError,
        admin_address,
        admin_tls,
        push_settings,
        rollout_settings,
        trusted_keys,
    )

    try:
        tls = admin_tls(admin_certificate, admin_key)
        host, port = admin_address(admin, is_exposable=tls is not None or admin_plain_text)
        rollout = rollout_settings(rollout_url, rollout_root, rollout_token, rollout_poll, bundle, trust)
        is_trusted_elsewhere = allow_unsigned or rollout is not None
        settings = Settings(
            bundle=bundle,
            site=site,
            trusted=trusted_keys(trust, allow_unsigned=is_trusted_elsewhere),
            state=state,
            secrets=secrets or default_secrets(state),
            admin_host=host,
            admin_port=port,
            admin_names=admin_names,
            admin_tls=tls,
            rollout=rollout,
            push=push_settings(push, push_token, push_trust),
        )
        _run_agent(settings, log_level, log_format)
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as the system allows: a relayed station needs two, and 1024, the usual soft limit, would
    end at 500 stations."""
    import contextlib
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a system that grants less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _run_agent(settings: "Settings", log_level: str, log_format: "Format") -> None:
    import gc
    import signal

    import trio

    from pointsman_agent import logs
    from pointsman_agent.run import StartError, SystemClock
    from pointsman_agent.run import run as run_agent

    # Nearly all objects live as long as a station; the default thresholds cost half the time at 1,000 of them.
    gc.set_threshold(50_000, 20, 100)
    _raise_descriptor_limit()
    writer = logs.set_up(log_level, form=log_format)
    # The agent takes its signals itself; this is for those that come once it has ended, and have nothing left to end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        trio.run(run_agent, settings, SystemClock())
    except StartError as error:
        fail(str(error), EXIT_FAILED)
    finally:
        writer.close()
