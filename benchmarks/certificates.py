"""Certificates of one run, in a folder: `ca.pem`, `relay.pem` and `supervision.pem` (each certificate and key)."""

import ssl
from pathlib import Path


def write_certificates(folder: Path) -> Path:
    """Make an authority and two certificates for localhost and 127.0.0.1, and return `folder`, which must not exist."""
    import trustme  # here, since whoever only reads certificates should start at once

    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("relay", "supervision"):
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
        leaf.private_key_pem.write_to_path(folder / f"{name}-key.pem")
        leaf.cert_chain_pems[0].write_to_path(folder / f"{name}-chain.pem")
    return folder


def of_supervision(folder: Path) -> ssl.SSLContext:
    """Return the supervision's side of TLS 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "supervision.pem")
    context.num_tickets = 0  # nobody comes back with one: they would only be bytes to skip
    return context


def of_stations(folder: Path) -> ssl.SSLContext:
    """Return the stations' side of TLS 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(folder / "ca.pem")
    return context
