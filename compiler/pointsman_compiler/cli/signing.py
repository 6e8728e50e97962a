"""`keygen` and `sign`, and the keys that `compile` signs with: from files, from the environment, with a passphrase."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pointsman_compiler.cli import options
from pointsman_compiler.cli.bundles import open_bundle, read_bundle
from pointsman_compiler.cli.outcome import Failure, file_failures, key_failures

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSPHRASE_VARIABLE: Final = "POINTSMAN_PASSPHRASE"


@click.command(epilog="Example: pointsman sign out/lyon-part-dieu.bundle --key release.key")
@options.bundle
@click.option("--key", "keys", metavar="FILE", multiple=True, required=True, help="The key; env:NAME too (repeatable).")
def sign(bundle: Path, keys: tuple[str, ...]) -> None:
    """Add a signature to BUNDLE, so that the machine that compiles needs no key.

    A key's passphrase is asked for on the terminal, or taken from POINTSMAN_PASSPHRASE.
    """
    from pointsman_schema.envelope import add_signature

    from pointsman_compiler.writing import replace_file

    envelope = read_bundle(bundle)
    open_bundle(envelope, bundle)
    for key in private_keys(keys):
        envelope = add_signature(envelope, key)
    with file_failures():
        replace_file(bundle, envelope)


@click.command(epilog="Example: pointsman keygen release")
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase, and encrypt the private key with it.")
def keygen(name: Path, passphrase: bool) -> None:
    """Make an Ed25519 key pair: NAME.key to sign with, NAME.pub to trust.

    Existing files are never replaced.
    """
    from pointsman_compiler.keys import new_key, write_key

    if name.name in ("", ".."):
        raise click.UsageError("NAME is what the two files are called, such as release")
    secret = ask_new_passphrase() if passphrase else None
    with file_failures():
        write_key(new_key(secret), name)


def private_keys(keys: Sequence[str]) -> "list[Ed25519PrivateKey]":
    """Return the keys named by `keys` (files, or `env:NAME`), each once; asks for a passphrase where needed."""
    from pointsman_compiler.keys import read_private_key

    with key_failures():
        return [read_private_key(key, os.environ, _ask_passphrase) for key in dict.fromkeys(keys)]


def _ask_passphrase(prompt: str) -> str:
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    if not sys.stdin.isatty():
        raise Failure("the key has a passphrase, and there is no terminal to ask on", f"set {PASSPHRASE_VARIABLE}")
    answer: str = click.prompt(prompt, hide_input=True, err=True)
    return answer


def ask_new_passphrase() -> str:
    """Return a passphrase from POINTSMAN_PASSPHRASE, or one that is typed twice."""
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    answer: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return answer
