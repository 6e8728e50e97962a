"""A folder of compiled bundles → what of it is new to the ledger.

A file whose bytes are those that are published already is not opened: of 20,000 bundles a change touches few.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.bundle import BundleFormatError, read_payload
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES, EnvelopeError, open_unverified, open_verified

from pointsman_compiler.rollout.ledger import Content, Ledger, Newcomer

SUFFIX: Final = ".bundle"


class BadBundle(Exception):
    """A file that is no bundle, of another site than its name says, or not signed as it should be."""


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle that says something new, with the bytes of its file."""

    newcomer: Newcomer
    envelope: bytes


def find_new(folder: Path, ledger: Ledger, trusted: Sequence[Ed25519PublicKey]) -> list[Found]:
    """Return the bundles in `folder` that differ from what is desired; raises BadBundle or OSError.

    With `trusted` keys each of them must be signed by one.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as opened:
            envelope = opened.read(LARGEST_ENVELOPE_BYTES + 1)
        known = ledger.sites.get(path.name.removesuffix(SUFFIX))
        sha256 = hashlib.sha256(envelope).hexdigest()
        if known is None or known.desired.sha256 != sha256:
            newcomer = _read(path, envelope, sha256, trusted)
            if known is None or known.desired.digest != newcomer.content.digest:
                found.append(Found(newcomer, envelope))
    return found


def _read(path: Path, envelope: bytes, sha256: str, trusted: Sequence[Ed25519PublicKey]) -> Newcomer:
    try:
        bundle = read_payload(open_verified(envelope, trusted) if trusted else open_unverified(envelope))
    except (EnvelopeError, BundleFormatError) as error:
        raise BadBundle(f"{path}: {error} [{error.reason}]") from error
    if bundle.site != path.name.removesuffix(SUFFIX):
        raise BadBundle(f"{path} is a bundle of the site {bundle.site}")
    content = Content(bundle.config_digest, bundle.sequence, sha256, len(envelope))
    return Newcomer(bundle.site, bundle.config.time_zone, bundle.config.labels, content)
