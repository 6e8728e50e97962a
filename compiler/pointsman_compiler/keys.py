"""Ed25519 keys as files and environment variables: made, loaded, never printed."""

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pointsman_schema.envelope import load_private_key, load_public_key

from pointsman_compiler.writing import named

FROM_ENVIRONMENT: Final = "env:"


class KeyUnusable(Exception):
    """A key that cannot be had, and the remedy. `is_file` tells whether reading a file failed."""

    def __init__(self, message: str, help: str, *, is_file: bool = False) -> None:
        super().__init__(message)
        self.help = help
        self.is_file = is_file


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The two PEM files of a new key pair."""

    private: bytes
    public: bytes


def new_key(passphrase: str | None) -> KeyFiles:
    """Return a new key pair in PEM (PKCS 8 and SubjectPublicKeyInfo), the private one encrypted if asked."""
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return KeyFiles(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def write_key(files: KeyFiles, name: Path) -> None:
    """Write NAME.key (0600) and NAME.pub; raises FileExistsError rather than replace either, or OSError."""
    private, public = name.with_name(name.name + ".key"), name.with_name(name.name + ".pub")
    if os.path.lexists(public):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(public))
    _write_new(private, files.private, 0o600)
    _write_new(public, files.public, 0o644)


def read_private_key(where: str, environment: Mapping[str, str], ask: Callable[[str], str]) -> Ed25519PrivateKey:
    """Return the private key in the file `where`, or in the variable NAME of `env:NAME`; raises KeyUnusable.

    `ask` is called with a prompt when the key has a passphrase.
    """
    pem = _pem(where, environment)
    passphrase = ask(f"Passphrase of {where}").encode() if b"ENCRYPTED" in pem else None
    try:
        return load_private_key(pem, passphrase)
    except (ValueError, TypeError) as error:
        if passphrase is not None:
            raise KeyUnusable(f"{where}: the passphrase is wrong, or this is no Ed25519 key", "try again") from error
        raise KeyUnusable(f"{where} holds no PEM Ed25519 private key", "make one with `pointsman keygen`") from error


def read_public_key(file: str) -> Ed25519PublicKey:
    """Return the public key in `file`; raises KeyUnusable."""
    pem = _bytes(file)
    if b"PRIVATE KEY-----" in pem:
        raise KeyUnusable(f"{file} is a private key", "give the .pub file made with it, and keep this one at home")
    try:
        return load_public_key(pem)
    except ValueError as error:
        raise KeyUnusable(f"{file}: {error}", "give the .pub file that `pointsman keygen` made") from error


def _pem(where: str, environment: Mapping[str, str]) -> bytes:
    if not where.startswith(FROM_ENVIRONMENT):
        return _bytes(where)
    name = where.removeprefix(FROM_ENVIRONMENT)
    if not environment.get(name):
        raise KeyUnusable(f"the environment variable {name} is not set", "let it hold the PEM text of the key")
    return environment[name].encode()


def _bytes(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{file} cannot be read: {error.strerror}", "name a key file", is_file=True) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with named(path), os.fdopen(descriptor, "wb") as opened:
        os.fchmod(opened.fileno(), mode)
        opened.write(content)
