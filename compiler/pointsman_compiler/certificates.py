"""PEM files: bytes → certificates with what the rules ask of them, in the form that travels in a bundle.

Each certificate is written out anew from its DER bytes: comments, white space and line ends of the file leave no trace
in a bundle. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

PRIVATE_KEY_MARK = b"PRIVATE KEY-----"
LEAST_RSA_BITS = 2048
LEAST_CURVE_BITS = 224
"""The shortest keys that OCPP's security profiles admit (OCPP 2.0.1 part 2, A00); OpenSSL refuses shorter ones too."""


class CertificateFault(ValueError):
    """Why a file holds no certificates for a bundle: a stable code, what is wrong, and the remedy."""

    def __init__(self, code: str, message: str, help: str) -> None:
        super().__init__(message)
        self.code = code
        self.help = help


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate: its PEM text, and what a rule judges."""

    pem: str
    subject: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    weak_key: str
    """What the key is, where it is too short to be secure; else nothing."""
    is_issued_by_next: bool
    """Whether the certificate after it in the file issued it; true for the last one."""


def read_certificates(raw: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM file in their order, at least one; raises CertificateFault."""
    from cryptography import x509  # 40 ms: only for sites that refer to certificates

    if PRIVATE_KEY_MARK in raw:
        raise CertificateFault(
            "PM512",
            "the file holds a private key",
            "take the key out of the file and out of git's history, replace it where it is in use, and keep it as a "
            "secret on the controller: `key: {secret: <name>}`",
        )
    try:
        found = x509.load_pem_x509_certificates(raw)
        return tuple(_certificate(one, found[index + 1 : index + 2]) for index, one in enumerate(found))
    except ValueError as error:  # cryptography's parser, for PEM frames and DER alike
        raise CertificateFault(
            "PM511",
            "the file holds no certificate that can be read",
            "it must hold certificates in PEM form: -----BEGIN CERTIFICATE----- and what follows",
        ) from error


def _certificate(one: "x509.Certificate", issuer: Sequence["x509.Certificate"]) -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Certificate(
        pem=one.public_bytes(Encoding.PEM).decode(),
        subject=one.subject.rfc4514_string(),
        not_before=one.not_valid_before_utc,
        not_after=one.not_valid_after_utc,
        is_ca=_is_ca(one),
        weak_key=_weak_key(one),
        is_issued_by_next=all(_is_issued_by(one, next_one) for next_one in issuer),
    )


def _is_ca(one: "x509.Certificate") -> bool:
    """RFC 5280 section 4.2.1.9: without Basic Constraints no certificate may sign others."""
    from cryptography import x509

    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _weak_key(one: "x509.Certificate") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = one.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        return f"RSA with {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < LEAST_CURVE_BITS:
        return f"an elliptic curve of {key.key_size} bits"
    return ""


def _is_issued_by(one: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
