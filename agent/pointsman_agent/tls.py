"""TLS contexts of both legs, from a bundle's PEM text and the controller's secrets (rules 8 and 9)."""

import ssl
import tempfile
import warnings
from pathlib import Path
from typing import Final

from pointsman_schema.bundle import KeyPair, Listener, Supervision

from pointsman_agent.ports import SecretMissing, SecretValues

_VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# OCPP 1.6 security white paper FR.317: a central system supports these RSA key exchanges; OpenSSL's default does not.
_LEGACY_CIPHERS: Final = "DEFAULT:AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0"


class TlsMaterialError(ValueError):
    """Certificate or key that OpenSSL does not take. The message names the secret, never its content."""


def supervision_context(supervision: Supervision, secrets: SecretValues) -> ssl.SSLContext:
    """Return the client context of an uplink: chain and host name are always verified.

    Raises TlsMaterialError, or SecretMissing for a key that is not there.
    """
    return client_context(supervision.trust, supervision.client_certificate, secrets)


def client_context(roots: list[str] | None, pair: KeyPair | None, secrets: SecretValues) -> ssl.SSLContext:
    """Return a client context that trusts `roots` (None: the system's) and shows `pair`, where there is one.

    Raises as `supervision_context`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if roots is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_roots(context, roots)
    if pair is not None:
        _load_pair(context, pair, secrets)
    return context


def listener_context(listener: Listener, secrets: SecretValues) -> ssl.SSLContext | None:
    """Return the server context of a listener; None for the profiles 0 and 1, which have no TLS.

    Raises as `supervision_context`.
    """
    if listener.security_profile < 2:
        return None
    if listener.certificate is None:
        raise TlsMaterialError(f"a listener of security profile {listener.security_profile} without a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if listener.legacy_ciphers:
        context.set_ciphers(_LEGACY_CIPHERS)
    with warnings.catch_warnings():  # the site allows old versions by name; Python warns of them at each use
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[listener.minimum_tls]
    _load_pair(context, listener.certificate, secrets)
    if listener.security_profile == 3:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_roots(context, listener.station_trust)
    return context


def _load_roots(context: ssl.SSLContext, roots: list[str]) -> None:
    try:
        # As bytes it would be DER; text must be ASCII, and may be anything but empty.
        context.load_verify_locations(cadata="\n".join(roots))
    except ssl.SSLError as error:
        raise TlsMaterialError(f"trust roots: {error.reason}") from error
    except (TypeError, ValueError) as error:
        raise TlsMaterialError(f"trust roots: {error}") from error


def _load_pair(context: ssl.SSLContext, pair: KeyPair, secrets: SecretValues) -> None:
    """OpenSSL reads pairs from files only: they lie in a private folder for the moment of reading."""
    key = secrets.get(pair.key)
    if key is None:
        raise SecretMissing(pair.key, f"secret {pair.key!r} is missing")
    try:
        with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
            chain_file, key_file = Path(folder, "chain.pem"), Path(folder, "key.pem")
            chain_file.write_text(pair.chain, encoding="utf-8")
            key_file.touch(mode=0o600)
            key_file.write_bytes(key + b"\n")
            context.load_cert_chain(chain_file, key_file, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError, as is a temporary folder that is full
        raise TlsMaterialError(f"certificate and the key of secret {pair.key!r} do not load: {error}") from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; a controller needs it without one")
