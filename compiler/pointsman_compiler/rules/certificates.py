"""Rules on certificates: what may be trusted, what has expired at the time of the check."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Final

from pointsman_compiler.attachments import Attachments
from pointsman_compiler.certificates import LEAST_RSA_BITS, Certificate
from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem

_DAY: Final = "%Y-%m-%d"


def find_certificate_problems(site: LayeredSite, attachments: Attachments, at: datetime) -> Iterator[Problem]:
    """Yield what is wrong with each certificate file that `site` names, at the aware time `at`."""
    for path, certificates in attachments.certificates.items():
        for certificate in certificates:
            yield from _validity(site, path, certificate, at)
            yield from _strength(site, path, certificate)
        if path[-1] == "chain":
            yield from _order(site, path, certificates)
        else:
            yield from _roots(site, path, certificates)


def _validity(site: LayeredSite, path: Path, certificate: Certificate, at: datetime) -> Iterator[Problem]:
    if certificate.not_after < at:
        yield site.problem(
            "PM513",
            f"the certificate {certificate.subject} expired on {certificate.not_after:{_DAY}}",
            "put its successor into the file",
            path,
        )
    if certificate.not_before > at:
        yield site.problem(
            "PM514",
            f"the certificate {certificate.subject} is not valid before {certificate.not_before:{_DAY}}",
            "release it from that day on; if it should be valid already, look at the clock of this machine",
            path,
        )


def _strength(site: LayeredSite, path: Path, certificate: Certificate) -> Iterator[Problem]:
    if certificate.weak_key:
        yield site.problem(
            "PM517",
            f"the key of the certificate {certificate.subject} is too short: {certificate.weak_key}",
            f"have it issued anew with RSA of {LEAST_RSA_BITS} bits or more, or an elliptic curve such as P-256",
            path,
        )


def _order(site: LayeredSite, path: Path, certificates: tuple[Certificate, ...]) -> Iterator[Problem]:
    for certificate, after in pairwise(certificates):
        if not certificate.is_issued_by_next:
            yield site.problem(
                "PM516",
                f"the certificate {certificate.subject} was not issued by the one after it, {after.subject}",
                "order the file so: the certificate itself, then its issuer, then the issuer's issuer",
                path,
            )


def _roots(site: LayeredSite, path: Path, certificates: tuple[Certificate, ...]) -> Iterator[Problem]:
    for certificate in certificates:
        if not certificate.is_ca:
            yield site.problem(
                "PM515",
                f"the certificate {certificate.subject} is not a CA's, so it can vouch for no other",
                "put the CA's certificate into the file: the root that issued the server's or station's certificate",
                path,
            )
