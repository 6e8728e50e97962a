"""TLS of the admin interface: a certificate that is read again when its file changes, without dropping anybody."""

import os
import ssl
from pathlib import Path
from typing import Final

import structlog
import trio

LOOK_EVERY_S: Final = 10.0

log = structlog.get_logger()


class AdminCertificateError(Exception):
    """Certificate and key that are not to be had. The message says which and why."""


def admin_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a server; raises AdminCertificateError. Reads files, so it belongs in a thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key)
    return context


async def follow_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let `context` have what the files hold, until cancelled; what cannot be read leaves it as it was."""
    seen = await trio.to_thread.run_sync(_state_of, certificate, key)
    while True:
        await trio.sleep(LOOK_EVERY_S)
        found = await trio.to_thread.run_sync(_state_of, certificate, key)
        if found == seen:
            continue
        seen = found
        try:
            await trio.to_thread.run_sync(_replace, context, certificate, key)
            log.info("admin certificate replaced", certificate=str(certificate))
        except AdminCertificateError as error:
            log.error("admin certificate not replaced", why=str(error))


def _replace(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    admin_context(certificate, key)  # a pair that does not fit would leave a half of it in the context in use
    _load(context, certificate, key)


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password="")  # one with a passphrase fails, instead of asking
    except (OSError, ValueError) as error:
        raise AdminCertificateError(f"{certificate}, {key}: {_words(error)}") from error


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not a PEM certificate chain and its key ({error.reason or error})"
    return getattr(error, "strerror", None) or str(error)


def _state_of(*files: Path) -> list[tuple[int, int, int]]:
    return [(found.st_mtime_ns, found.st_size, found.st_ino) for file in files if (found := _stat(file)) is not None]


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
