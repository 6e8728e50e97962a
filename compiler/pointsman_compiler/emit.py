"""Resolved site → the bytes of its bundle file, signed or not. Pure; the caller writes them."""

from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pointsman_schema.bundle import Bundle, BundleFormatError, Source, bundle_of, read_payload, write_payload
from pointsman_schema.envelope import (
    LARGEST_ENVELOPE_BYTES,
    EnvelopeError,
    open_unverified,
    open_verified,
    seal,
)

from pointsman_compiler.lock import lock_of
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.sources import SourceTree


class BundleTooLarge(Exception):
    """A bundle that agents would refuse for its size. The author of the site is at fault."""


def make_bundle(site: ResolvedSite, tree: SourceTree, *, sequence: int, revision: str | None) -> Bundle:
    """Return the bundle of `site`, locked on the files of `tree`."""
    source = Source(revision=revision, file=site.file)
    return bundle_of(site.config, site=site.site, sequence=sequence, source=source, lock=lock_of(tree, site.inputs))


def emit(bundle: Bundle, keys: Sequence[Ed25519PrivateKey] = ()) -> bytes:
    """Return the envelope of `bundle`, signed by each of `keys`; raises BundleTooLarge."""
    envelope = seal(write_payload(bundle), keys)
    if len(envelope) > LARGEST_ENVELOPE_BYTES:
        raise BundleTooLarge(
            f"the bundle of {bundle.site} has {len(envelope)} bytes, more than {LARGEST_ENVELOPE_BYTES}; "
            "keep its badges in a secret list (`badges: [{secret: <name>}]`)"
        )
    return envelope


def is_current(envelope: bytes, bundle: Bundle, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Return whether `envelope` says the same configuration for the same site, with a valid signature of every key."""
    try:
        payloads = {open_verified(envelope, [key]) for key in keys} or {open_unverified(envelope)}
        return all(_is_same(read_payload(payload), bundle) for payload in payloads)
    except (EnvelopeError, BundleFormatError):
        return False


def _is_same(old: Bundle, new: Bundle) -> bool:
    return (old.site, old.config_digest) == (new.site, new.config_digest)
