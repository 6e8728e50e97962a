"""Listeners: ports that can be had, certificates that are good and stay so for a while."""

import errno
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from cryptography import x509
from pointsman_schema.bundle import Config

from pointsman_agent.certificates import is_issued_by
from pointsman_agent.doctor.checks import Check
from pointsman_agent.ocpp.answers import rfc3339

WARN_BEFORE: Final = timedelta(days=30)  # rule 53


def check_ports(config: Config, held: frozenset[tuple[str | None, int]]) -> Iterator[Check]:
    """Yield whether each listener's port can be had; `held` are those that a running agent has already."""
    for name, listener in sorted(config.listeners.items()):
        is_held = (listener.address, listener.port) in held
        yield _port(f"listener {name}", listener.address, listener.port, "`address` of the listener", is_held=is_held)


def check_admin(host: str, port: int, *, is_held: bool) -> Check:
    """Return whether the admin interface's port can be had; `is_held`: an agent runs here already."""
    return _port("admin", host, port, "--admin", is_held=is_held)


def check_certificates(config: Config, now: datetime) -> Iterator[Check]:
    """Yield what is to be said of the certificates in a bundle: the controller's own, and the roots it trusts."""
    for name, listener in sorted(config.listeners.items()):
        if listener.certificate is not None:
            yield check_chain(f"certificate {name}", listener.certificate.chain, now)
        for root in listener.station_trust:
            yield from _expiring(f"station root {name}", root, now)
    for name, supervision in sorted(config.supervisions.items()):
        if supervision.client_certificate is not None:
            yield check_chain(f"client certificate {name}", supervision.client_certificate.chain, now)
        for root in supervision.trust or ():
            yield from _expiring(f"root {name}", root, now)


def _port(name: str, address: str | None, port: int, place: str, *, is_held: bool) -> Check:
    where = f"{address or 'all addresses'}, port {port}"
    if is_held:
        return Check(name, "ok", f"{where}: the running agent has it")
    try:
        _bind(address, port)
    except socket.gaierror as error:
        return Check(name, "fail", f"{where}: {error.strerror}", f"check {place}")
    except OSError as error:
        return Check(name, "fail", f"{where}: {error.strerror}", _port_remedy(error.errno, port))
    return Check(name, "ok", f"{where}: free")


def _bind(wanted: str | None, port: int) -> None:
    """Take the port and give it back. Raises OSError."""
    found = socket.getaddrinfo(wanted, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in sorted(found, key=lambda each: each[0]):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and wanted is None:
                continue  # a controller without IPv6 listens on the rest
            raise
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)


def _port_remedy(number: int | None, port: int) -> str:
    match number:
        case errno.EADDRINUSE:
            return f"another program has it (ss -ltnp 'sport = :{port}'): stop that, or choose another port"
        case errno.EADDRNOTAVAIL:
            return "the controller does not have that address: check `address` of the listener, or --admin"
        case errno.EACCES:
            return "ports below 1024 need CAP_NET_BIND_SERVICE; or choose a higher one"
    return "check the listener"


def check_chain(name: str, pem: str, now: datetime) -> Check:
    """Return what is to be said of a certificate and its issuers, in the order in which they are shown."""
    certificates = _certificates(pem)
    if not certificates:
        return _unreadable(name)
    for certificate, issuer in pairwise(certificates):
        if not is_issued_by(certificate, issuer):
            seen = f"{_subject(certificate)} is not signed by the next one in the chain, {_subject(issuer)}"
            return Check(name, "fail", seen, "order the chain: the certificate first, then each issuer")
    first_to_end = min(certificates, key=lambda each: each.not_valid_after_utc)
    verdict = _validity(name, first_to_end, now)
    return verdict or Check(name, "ok", f"{_subject(certificates[0])}, until {_day(first_to_end)}")


def _expiring(name: str, pem: str, now: datetime) -> Iterator[Check]:
    certificates = _certificates(pem)
    if not certificates:
        yield _unreadable(name)
    for certificate in certificates:
        verdict = _validity(name, certificate, now)
        if verdict is not None:
            yield verdict


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def _unreadable(name: str) -> Check:
    return Check(name, "fail", "no certificate that can be read", "put a PEM certificate into the site, compile again")


def _validity(name: str, certificate: x509.Certificate, now: datetime) -> Check | None:
    """Return what is wrong with the times of a certificate; None when nothing is."""
    if now > certificate.not_valid_after_utc:
        return Check(name, "fail", f"{_subject(certificate)} expired {_day(certificate)}", "renew it")
    if now < certificate.not_valid_before_utc:
        seen = f"{_subject(certificate)} is not valid before {rfc3339(certificate.not_valid_before_utc)}"
        return Check(name, "fail", seen, "check the controller's clock")
    if now + WARN_BEFORE > certificate.not_valid_after_utc:
        return Check(name, "warn", f"{_subject(certificate)} expires {_day(certificate)}", "renew it within 30 days")
    return None


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a certificate without subject"


def _day(certificate: x509.Certificate) -> str:
    return rfc3339(certificate.not_valid_after_utc).partition("T")[0]
