"""X.509 as the relay needs it: how OCPP names a certificate, and whether one chains to given roots."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from pointsman_agent.ocpp.intercepts import CertificateHash

_ALGORITHMS: Final = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}
LONGEST_CHAIN: Final = 10


def hashes_of(chain: str, roots: list[str]) -> frozenset[CertificateHash]:
    """Return how OCPP names the certificates of a PEM `chain` (CertificateHashDataType), in each of its algorithms.

    The issuer's key is hashed as RFC 6960 section 4.1.1 says. A certificate whose issuer is neither in the chain nor
    among `roots` is left out: nobody could name it.
    """
    certificates = x509.load_pem_x509_certificates(chain.encode())
    issuers = [*certificates, *(each for root in roots for each in x509.load_pem_x509_certificates(root.encode()))]
    return frozenset(
        _hash(certificate, issuer, name)
        for certificate in certificates
        for issuer in issuers
        if issuer.subject == certificate.issuer
        for name in _ALGORITHMS
    )


@lru_cache(maxsize=64)
def first_to_end(chain: str) -> datetime | None:
    """Return when the first certificate of a PEM chain ends; None where it cannot be read."""
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        return None
    return min((each.not_valid_after_utc for each in certificates), default=None)


def chains_to(roots: list[str]) -> Callable[[str], bool]:
    """Return a judge of PEM chains: whether the first certificate is signed, over the others, by one of `roots`."""
    anchors = [each for root in roots for each in x509.load_pem_x509_certificates(root.encode())]

    def is_ours(chain: str) -> bool:
        try:
            certificates = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return False
        return bool(certificates) and _leads_to(certificates[0], certificates[1:], anchors)

    return is_ours


def _leads_to(leaf: x509.Certificate, others: list[x509.Certificate], anchors: list[x509.Certificate]) -> bool:
    current = leaf
    for _ in range(LONGEST_CHAIN):
        if any(is_issued_by(current, anchor) for anchor in anchors):
            return True
        issuer = next((each for each in others if each != current and is_issued_by(current, each)), None)
        if issuer is None:
            return False
        current = issuer
    return False


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether `issuer` signed `certificate`; its times are not looked at."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hash(certificate: x509.Certificate, issuer: x509.Certificate, name: str) -> CertificateHash:
    digest = _ALGORITHMS[name]
    key = issuer.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return CertificateHash(
        name,
        digest(certificate.issuer.public_bytes()).hexdigest(),
        digest(_subject_public_key(key)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def _subject_public_key(info: bytes) -> bytes:
    """Return the bits of the key itself out of a DER SubjectPublicKeyInfo: the content of its BIT STRING.

    The structure is SEQUENCE { AlgorithmIdentifier, BIT STRING } (RFC 5280 section 4.1), so two headers are skipped.
    """
    _, start = _header(info, 0)
    length, algorithm = _header(info, start)
    _, bits = _header(info, algorithm + length)
    return info[bits + 1 :]  # the first octet counts unused bits, which keys do not have


def _header(der: bytes, at: int) -> tuple[int, int]:
    """Length and start of the content of the DER element at `at`."""
    first = der[at + 1]
    if first < 0x80:
        return first, at + 2
    size = first & 0x7F
    return int.from_bytes(der[at + 2 : at + 2 + size], "big"), at + 2 + size
