"""`show` and `verify`: what is inside a bundle's file, and whether it may be trusted."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.outcome import Failure, file_failures, key_failures

if TYPE_CHECKING:
    from pointsman_schema.bundle import Bundle

_REMEDIES: Final = {
    "no-envelope": "name a bundle, as `pointsman compile` writes it",
    "too-large": "name a bundle, as `pointsman compile` writes it",
    "unsigned": "sign it: `pointsman sign BUNDLE --key FILE`",
}
_ANOTHER_KEY: Final = "name the public key that belongs to its signer"


@click.command(epilog="Example: pointsman show out/lyon-part-dieu.bundle")
@options.bundle
@click.option("--json", "as_json", is_flag=True, help="The payload as JSON.")
@click.option("--show-badges", is_flag=True, help="Badges too.")
def show(bundle: Path, as_json: bool, show_badges: bool) -> None:
    """Print what is inside BUNDLE; its signatures are not verified."""
    from pointsman_compiler.show import render_bundle, render_payload

    envelope = read_bundle(bundle)
    found = open_bundle(envelope, bundle)
    if as_json:
        click.echo(render_payload(found, show_badges=show_badges), nl=False)
    else:
        click.echo(render_bundle(found, _signers(envelope), show_badges=show_badges), nl=False)


@click.command(epilog="Example: pointsman verify out/lyon-part-dieu.bundle --trust release.pub")
@options.bundle
@click.option("--trust", metavar="FILE", multiple=True, required=True, help="A trusted public key (repeatable).")
@click.option("--site", metavar="ID", help="The site that it must be for.")
def verify(bundle: Path, trust: tuple[str, ...], site: str | None) -> None:
    """Tell whether BUNDLE is signed by a trusted key, whole and of a known format."""
    from pointsman_schema.envelope import EnvelopeError, open_verified

    from pointsman_compiler.keys import read_public_key

    with key_failures():
        trusted = [read_public_key(file) for file in trust]
    envelope = read_bundle(bundle)
    try:
        payload = open_verified(envelope, trusted)
    except EnvelopeError as error:
        raise Failure(f"{bundle}: {error} [{error.reason}]", _REMEDIES.get(error.reason, _ANOTHER_KEY)) from error
    found = _payload(payload, bundle)
    if site is not None and found.site != site:
        raise Failure(f"{bundle} is for the site {found.site}, not {site}", "take the bundle of that site")
    click.echo(f"{found.site}: verified, sequence {found.sequence}, {found.config_digest}")


def read_bundle(path: Path) -> bytes:
    """Return the bytes of the file, cut where no bundle is as long."""
    from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

    with file_failures(), path.open("rb") as opened:
        return opened.read(LARGEST_ENVELOPE_BYTES + 1)


def open_bundle(envelope: bytes, path: Path) -> "Bundle":
    """Return the bundle in `envelope`, which was read from `path`; its signatures are not verified."""
    from pointsman_schema.envelope import EnvelopeError, open_unverified

    try:
        return _payload(open_unverified(envelope), path)
    except EnvelopeError as error:
        raise Failure(f"{path}: {error} [{error.reason}]", "name a file that `pointsman compile` wrote") from error


def _payload(payload: bytes, path: Path) -> "Bundle":
    from pointsman_schema.bundle import BundleFormatError, read_payload

    try:
        return read_payload(payload)
    except BundleFormatError as error:
        raise Failure(f"{path}: {error} [{error.reason}]", "compile it anew, with this version") from error


def _signers(envelope: bytes) -> list[str]:
    import msgspec
    from pointsman_schema.envelope import Envelope

    return [signature.keyid for signature in msgspec.json.decode(envelope, type=Envelope).signatures]
