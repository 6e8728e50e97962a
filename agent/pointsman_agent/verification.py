"""Bundle bytes → a bundle that this agent may act on, or the reason why not (rule 49). Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.bundle import Bundle, BundleFormatError, read_payload
from pointsman_schema.envelope import EnvelopeError, open_unverified, open_verified


class BundleRefused(Exception):
    """A bundle that does not come into force. `code` is stable; `digest` and `sequence` are given where known."""

    def __init__(self, code: str, message: str, *, bundle: Bundle | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.digest = bundle.config_digest if bundle is not None else None
        self.sequence = bundle.sequence if bundle is not None else None


class Expectation(msgspec.Struct, frozen=True):
    """What a bundle must meet. `trusted` None: unsigned ones are taken (`--allow-unsigned`)."""

    site: str
    trusted: Sequence[Ed25519PublicKey] | None
    highest_sequence: int
    highest_digest: str


CODES: Final = (
    "too-large",
    "no-envelope",
    "unsigned",
    "untrusted",
    "unknown-format",
    "not-canonical",
    "breaks-model",
    "digest-mismatch",
    "wrong-site",
    "old-sequence",
    "sequence-conflict",
    "secret-missing",
    "badge-list",
    "tls-material",
    "unresolved",
    "listener",
    "storage",
    "quarantined",
    "probation",
    "missing",
    "unreachable",
    "unreadable",
    "slow",
    "rollback",
    "tampered",
    "metadata",
)
"""Every code that a refusal may have; those from `unresolved` on are told of the controller, not of the bundle."""


def verify(envelope: bytes, expected: Expectation) -> Bundle:
    """Return the bundle in `envelope`; raises BundleRefused with the first check that fails."""
    try:
        payload = open_unverified(envelope) if expected.trusted is None else open_verified(envelope, expected.trusted)
        bundle = read_payload(payload)
    except (EnvelopeError, BundleFormatError) as error:
        raise BundleRefused(error.reason, str(error)) from error
    except RecursionError as error:  # nested deeper than one of the readers goes
        raise BundleRefused("not-canonical", "the payload is nested too deeply") from error
    if bundle.site != expected.site:
        raise BundleRefused(
            "wrong-site", f"the bundle is for {bundle.site!r}, this is {expected.site!r}", bundle=bundle
        )
    if bundle.sequence < expected.highest_sequence:
        message = f"sequence {bundle.sequence} is below {expected.highest_sequence}, which was in force already"
        raise BundleRefused("old-sequence", message, bundle=bundle)
    if bundle.sequence == expected.highest_sequence and bundle.config_digest != expected.highest_digest:
        message = f"sequence {bundle.sequence} was in force already, with another configuration"
        raise BundleRefused("sequence-conflict", message, bundle=bundle)
    return bundle
