"""An HTTPS address of bundles and how it is proven and opened, checked before anything asks it. Pure."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

ASK_EVERY_S: Final = 60


@dataclass(frozen=True, slots=True)
class BundleUrl:
    """Where a bundle is. `trust` and `certificate` are PEM files, `key` and `token` names of secrets.

    Without `trust` the system's roots count. `interval_s` lies between two looks, before it is jittered.
    """

    url: str
    trust: Path | None = None
    certificate: Path | None = None
    key: str | None = None
    token: str | None = None
    interval_s: float = ASK_EVERY_S

    @property
    def shown(self) -> str:
        """The address without its query, which may be a signature that opens it."""
        return shown_url(self.url)


def shown_url(url: str) -> str:
    """Return what of `url` may be told: not its query, and nothing of it where a password may stand before an @."""
    return "URL" if "@" in url else url.partition("?")[0]


def url_fault(url: str, *, token_flag: str = "--bundle-token", is_plain_taken: bool = False) -> str | None:
    """Return why nothing is fetched from `url`; None when it is https, or http on this very machine.

    With `is_plain_taken` it may be http anywhere. `token_flag` is the remedy for who writes a password into it.
    """
    if any(not " " < character < "\x7f" for character in url):
        return "it has white space or characters that have to be percent-encoded"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError as error:  # a UnicodeError is one
        return str(error)
    if not parts.hostname or port == 0:
        return "it names no host and port, as https://config.example/site.bundle does"
    if parts.username is not None or parts.password is not None:
        return f"user and password do not belong there, where every process list shows them; use {token_flag}"
    if parts.fragment:
        return "a fragment (#) is never sent to a server"
    if parts.scheme == "https" or (parts.scheme == "http" and (is_plain_taken or _is_loopback(parts.hostname))):
        return None
    if is_plain_taken:
        return "write https://HOST/PATH"
    return "only https:// is taken; http:// for a loopback address alone"


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port (RFC 6454): credentials go to no other."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def host_of(url: str) -> str:
    """Return the host name."""
    return urlsplit(url).hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
