"""Who signs what, and for how long it is believed (with tuf)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization.json import JSONSerializer

LASTS: Final = {
    "root": timedelta(days=365),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=30),
    "timestamp": timedelta(days=2),
}
"""How long metadata of each role is believed; bins are as `targets`."""
RENEWED_AT: Final = 3
"""What has less than a third of its time left is signed anew."""
COMPACT: Final = JSONSerializer(compact=True)
"""How metadata is written: without the white space that every controller would read."""


class KeyMissing(Exception):
    """A role's key was not given, so that its metadata cannot be signed."""


def signers_of(keys: Iterable[Ed25519PrivateKey]) -> dict[str, CryptoSigner]:
    """Return a signer for each key, by its id."""
    return {signer.public_key.keyid: signer for signer in map(CryptoSigner, keys)}


def public_key(key: Ed25519PrivateKey) -> Key:
    """Return the public key as metadata names it."""
    return SSlibKey.from_crypto(key.public_key())


def end_of(role: str, now: datetime) -> datetime:
    """Return when metadata that is signed `now` ends."""
    return (now.astimezone(UTC) + LASTS[role]).replace(microsecond=0)


def is_ending(ends: datetime, role: str, now: datetime) -> bool:
    """Whether metadata of `role` is to be signed anew."""
    return ends - now < LASTS[role] / RENEWED_AT


def sign(metadata: Metadata[Any], role: str, root: Root, signers: Mapping[str, CryptoSigner]) -> None:
    """Sign `metadata` with the keys that `root` gives to `role`; raises KeyMissing."""
    own = root.roles[role]
    held = [signers[keyid] for keyid in own.keyids if keyid in signers]
    if len(held) < own.threshold:
        raise KeyMissing(f"the key of the role {role} is needed")
    metadata.signatures.clear()
    for signer in held:
        metadata.sign(signer, append=True)


def sign_root(before: Root, root: Metadata[Root], signers: Mapping[str, CryptoSigner]) -> None:
    """Sign `root` by the old keys and the new ones, each by their threshold (TUF 5.3.4); raises KeyMissing."""
    root.signatures.clear()
    for own in (before.roles["root"], root.signed.roles["root"]):
        held = [keyid for keyid in own.keyids if keyid in signers]
        if len(held) < own.threshold:
            raise KeyMissing(f"{own.threshold} keys of the role root are needed, {len(held)} were given")
        for keyid in held:
            if keyid not in root.signatures:
                root.sign(signers[keyid], append=True)
