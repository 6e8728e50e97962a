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


class AdminCertificate:
    """A certificate and its key in files, and the TLS context of a server that shows it.

    Raises AdminCertificateError when made. Reads files, so it is made in a thread.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = _state_of(certificate, key)  # before it is loaded: what is new meanwhile is loaded once more
        self.context = _context(certificate, key)

    async def follow(self) -> None:
        """Let the context have what the files hold, until cancelled; what cannot be read leaves it as it was."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            try:
                if await trio.to_thread.run_sync(self._renew):
                    log.info("admin certificate replaced", certificate=str(self._certificate))
            except AdminCertificateError as error:
                log.error("admin certificate not replaced", why=str(error))

    def _renew(self) -> bool:
        found = _state_of(self._certificate, self._key)
        if found == self._seen:
            return False
        self._seen = found
        _context(self._certificate, self._key)  # a pair that does not fit would leave a half of it in the one in use
        _load(self.context, self._certificate, self._key)
        return True


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, certificate, key)
    return context


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
