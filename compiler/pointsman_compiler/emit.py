"""Resolved site → the bytes of its bundle file, signed or not. Pure; the caller writes them."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pointsman_schema.bundle import BundleFormatError, Input, Source, read_payload, write_payload_of
from pointsman_schema.envelope import (
    EnvelopeError,
    open_unverified,
    open_verified,
    seal,
)

from pointsman_compiler.lock import lock_of
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.sources import SourceTree


@dataclass(frozen=True, slots=True)
class NewBundle:
    """The bundle of a site: its payload, and the digest of the configuration in it."""

    site: str
    digest: str
    payload: bytes
    inputs: tuple[Input, ...]
    """The files that it was made of."""


def make_bundle(site: ResolvedSite, tree: SourceTree, *, sequence: int, revision: str | None) -> NewBundle:
    """Return the bundle of `site`, locked on the files of `tree`."""
    source = Source(revision=revision, file=site.file)
    lock = lock_of(tree, site.inputs)
    digest, payload = write_payload_of(site.canonical, site=site.site, sequence=sequence, source=source, lock=lock)
    return NewBundle(site.site, digest, payload, tuple(lock.inputs))


def emit(bundle: NewBundle, keys: Sequence[Ed25519PrivateKey] = ()) -> bytes:
    """Return the envelope of `bundle`, signed by each of `keys`."""
    return seal(bundle.payload, keys)


@dataclass(frozen=True, slots=True)
class OldBundle:
    """What a file in the place of a bundle says; `is_trusted` where every key has a valid signature on it."""

    site: str | None = None
    digest: str | None = None
    sequence: int | None = None
    is_trusted: bool = False

    def says(self, bundle: NewBundle) -> bool:
        """Return whether it has the configuration of `bundle`, for the same site."""
        return (self.site, self.digest) == (bundle.site, bundle.digest)

    def blocks(self, digest: str, sequence: int) -> bool:
        """Return whether a controller that knows it refuses the configuration `digest` under `sequence`.

        It takes no lower sequence, and the same one only with the same configuration.
        """
        return self.sequence is not None and (self.sequence > sequence or self._contradicts(digest, sequence))

    def _contradicts(self, digest: str, sequence: int) -> bool:
        return self.sequence == sequence and self.digest != digest


def read_old(envelope: bytes, keys: Sequence[Ed25519PublicKey]) -> OldBundle:
    """Return what `envelope` says; nothing at all where it is no bundle. Without `keys` any bundle is trusted."""
    try:
        bundle = read_payload(open_unverified(envelope))
    except (EnvelopeError, BundleFormatError):
        return OldBundle()
    return OldBundle(bundle.site, bundle.config_digest, bundle.sequence, _is_signed(envelope, keys))


def _is_signed(envelope: bytes, keys: Sequence[Ed25519PublicKey]) -> bool:
    try:
        for key in keys:
            open_verified(envelope, [key])
    except EnvelopeError:
        return False
    return True
