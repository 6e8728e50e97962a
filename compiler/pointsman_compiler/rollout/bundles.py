"""A folder of compiled bundles → what of it is new to the ledger, and which sites are no more.

A file whose bytes are those that are published already is not opened: of 20,000 bundles a change touches few.
"""

import hashlib
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.bundle import BundleFormatError, read_payload
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES, EnvelopeError, open_unverified, open_verified

from pointsman_compiler.rollout.ledger import Content, Ledger, LedgerError, Newcomer

SUFFIX: Final = ".bundle"
MOST_GONE: Final = 10
MOST_GONE_SHARE: Final = 0.1
"""Of sites that go at one time without being named: more than both is a mistake until somebody says that it is none."""


class BadBundle(Exception):
    """A file that is no bundle, of another site than its name says, or not signed as it should be."""


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle that says something new, with the bytes of its file."""

    newcomer: Newcomer
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Bundles:
    """A folder's bundles: what of them is `new`, the `sites` that it has one of, and the highest `sequence`."""

    new: Sequence[Found]
    sites: Set[str]
    sequence: int


def read_bundles(folder: Path, ledger: Ledger, trusted: Sequence[Ed25519PublicKey]) -> Bundles:
    """Return the bundles in `folder`, new where they differ from what is desired; raises BadBundle or OSError.

    With `trusted` keys each that is not published must be signed by one.
    """
    new, sites, sequence = [], set(), 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with path.open("rb") as opened:
            envelope = opened.read(LARGEST_ENVELOPE_BYTES + 1)
        site = path.name.removesuffix(SUFFIX)
        sites.add(site)
        known = ledger.sites.get(site)
        sha256 = hashlib.sha256(envelope).hexdigest()
        if known is not None and known.desired.sha256 == sha256:
            sequence = max(sequence, known.desired.sequence)
            continue
        newcomer = _read(path, envelope, sha256, trusted)
        sequence = max(sequence, newcomer.content.sequence)
        if known is None or known.desired.digest != newcomer.content.digest:
            new.append(Found(newcomer, envelope))
    return Bundles(new, sites, sequence)


def find_gone(bundles: Bundles, ledger: Ledger, named: Collection[str]) -> list[str]:
    """Return the sites of `ledger` that are no more where `bundles` are all that there is; those `named` are it anyway.

    A folder of which a part was lost, or one that was compiled before another that was published, is no reason to
    remove sites: raises LedgerError.
    """
    gone = sorted(set(ledger.sites) - bundles.sites - set(named))
    if gone and not bundles.sites:
        raise LedgerError("there is no bundle at all, so every site would be removed", "compile the sites again")
    newer = next((site for site in gone if ledger.sites[site].desired.sequence > bundles.sequence), None)
    if newer is not None:
        message = f"the bundles are older than that of {newer}, which they lack"
        raise LedgerError(message, f"publish what was compiled last, or name the site: --remove {newer}")
    if len(gone) > MOST_GONE and len(gone) > len(ledger.sites) * MOST_GONE_SHARE:
        message = f"{len(gone)} of {len(ledger.sites)} sites would be removed: {', '.join(gone[:3])}, …"
        raise LedgerError(message, "where they are really no more, name them: --remove SITE, for each")
    return gone


def _read(path: Path, envelope: bytes, sha256: str, trusted: Sequence[Ed25519PublicKey]) -> Newcomer:
    try:
        bundle = read_payload(open_verified(envelope, trusted) if trusted else open_unverified(envelope))
    except (EnvelopeError, BundleFormatError) as error:
        raise BadBundle(f"{path}: {error} [{error.reason}]") from error
    if bundle.site != path.name.removesuffix(SUFFIX):
        raise BadBundle(f"{path} is a bundle of the site {bundle.site}")
    content = Content(bundle.config_digest, bundle.sequence, sha256, len(envelope))
    return Newcomer(bundle.site, bundle.config.time_zone, bundle.config.labels, content)
