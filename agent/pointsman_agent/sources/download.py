"""One request for a bundle over HTTPS: bounded in time and size, redirected to https only, never to less security.

Credentials are read at each request, so that what is renewed on the controller counts at once. Nothing of the
environment does (proxies, certificate stores), as for uplinks.
"""

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urljoin

import httpx2
import trio
from pointsman_schema.bundle import KeyPair
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

from pointsman_agent.bearer import read_bearer
from pointsman_agent.bundleurl import BundleUrl, origin_of, url_fault
from pointsman_agent.ports import SecretMissing, Secrets
from pointsman_agent.streams import connect_cause, tls_cause
from pointsman_agent.tls import TlsMaterialError, client_context
from pointsman_agent.version import VERSION

CONNECT_WITHIN_S: Final = 10.0
SILENT_FOR_S: Final = 20.0  # between two pieces of an answer
WHOLE_WITHIN_S: Final = 120.0  # all redirects and the last byte: the largest bundle at 0.6 Mbit/s
MOST_REDIRECTS: Final = 3  # a release at a forge takes one or two
LARGEST_ETAG: Final = 1024
LARGEST_PEM_BYTES: Final = 1024 * 1024

_OK: Final = 200
_NOT_MODIFIED: Final = 304
_GONE: Final = frozenset({404, 410})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429})


class DownloadFault(Exception):
    """No bundle. `code` is stable (`missing`, `unreachable`, `unreadable`, `secret-missing`, `tls-material`);
    `remedy` is for people; `retry_after_s` is what the server asked for."""

    def __init__(self, code: str, message: str, remedy: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.retry_after_s = retry_after_s
        self.url = ""
        """Which request failed: that of `--bundle`, or one that it was redirected to."""


@dataclass(frozen=True, slots=True)
class Download:
    """An envelope as it came, at most one byte longer than the largest, with the server's name for this version.

    `certificate_expires`: of the server that gave it; None without TLS.
    """

    envelope: bytes
    etag: str | None
    certificate_expires: datetime | None = None


async def download(
    place: BundleUrl, secrets: Secrets, etag: str | None = None, *, within_s: float = WHOLE_WITHIN_S
) -> Download | None:
    """Return what is at `place`; None when it is still the version `etag`. Raises DownloadFault."""
    url = place.url
    try:
        with trio.fail_after(within_s):
            for _ in range(MOST_REDIRECTS + 1):
                answer = await _ask(place, url, secrets, etag)
                if not isinstance(answer, str):
                    return answer
                url = answer
    except trio.TooSlowError:
        message = f"{place.shown}: the answer was not whole within {within_s:g} s"
        late = DownloadFault("unreachable", message, "look at the server, and at the network between")
        late.url = url
        raise late from None
    except DownloadFault as fault:
        fault.url = url
        raise
    raise _unreadable(f"{place.shown}: redirected more than {MOST_REDIRECTS} times", "give the final URL")


async def _ask(place: BundleUrl, url: str, secrets: Secrets, etag: str | None) -> Download | str | None:
    """Make one request; returns where it is redirected to instead, if it is."""
    is_ours = origin_of(url) == origin_of(place.url)
    headers = {"User-Agent": f"pointsman-agent/{VERSION}", "Accept-Encoding": "identity"}
    if etag is not None:
        headers["If-None-Match"] = etag
    context, token = await trio.to_thread.run_sync(_credentials, place, secrets, is_ours)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    shown = url.partition("?")[0]
    timeout = httpx2.Timeout(SILENT_FOR_S, connect=CONNECT_WITHIN_S)
    try:
        async with (
            httpx2.AsyncClient(verify=context, timeout=timeout, trust_env=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            status = answer.status_code
            if status == _NOT_MODIFIED and etag is not None:
                return None
            if status in _REDIRECTS:
                return _redirect(shown, url, answer)
            if status != _OK:
                _refuse(shown, answer)
            return await _read(shown, answer)
    except (httpx2.InvalidURL, UnicodeError) as error:  # the library encodes a host by IDNA on its way
        raise _unreadable(f"{shown}: {error}", "check --bundle") from error
    except httpx2.TimeoutException as error:
        bound_s = CONNECT_WITHIN_S if isinstance(error, httpx2.ConnectTimeout) else SILENT_FOR_S
        message = f"{shown}: no answer within {bound_s:g} s"
        raise DownloadFault("unreachable", message, "look at the server, and at the network between") from error
    except httpx2.HTTPError as error:
        raise _unreachable(shown, error) from error


def _credentials(place: BundleUrl, secrets: Secrets, is_ours: bool) -> tuple[ssl.SSLContext, str | None]:
    """Read files and secrets; those that prove who we are only for the server that was configured."""
    try:
        roots = None if place.trust is None else [_pem(place.trust, "--bundle-trust")]
        pair, values = None, {}
        if is_ours and place.certificate is not None and place.key is not None:
            pair = KeyPair(chain=_pem(place.certificate, "--bundle-certificate"), key=place.key)
            values[place.key] = secrets.read(place.key)
        token = read_bearer(secrets, place.token) if is_ours and place.token is not None else None
        context = client_context(roots, pair, values)
    except SecretMissing as error:
        raise DownloadFault("secret-missing", str(error), "lay it down in the secrets folder, alone") from error
    except TlsMaterialError as error:
        remedy = "check --bundle-trust, and that --bundle-certificate and --bundle-key belong together"
        raise DownloadFault("tls-material", str(error), remedy) from error
    return context, token


def _pem(path: Path, flag: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_PEM_BYTES + 1)
        if len(content) > LARGEST_PEM_BYTES:
            raise TlsMaterialError(f"{flag} {path}: larger than {LARGEST_PEM_BYTES} bytes")
        return content.decode("ascii")
    except OSError as error:
        raise TlsMaterialError(f"{flag} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TlsMaterialError(f"{flag} {path}: no PEM") from error


async def _read(shown: str, answer: httpx2.Response) -> Download:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise _unreadable(f"{shown}: comes compressed, which was not asked for", "let the server give it as it is")
    content = bytearray()
    with trio.CancelScope() as reading:
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > LARGEST_ENVELOPE_BYTES:
                # One byte too many is enough for the verdict. Generators of the library end from within, or never.
                reading.cancel()
    etag = answer.headers.get("ETag")
    is_usable = etag is not None and len(etag) <= LARGEST_ETAG and etag.isascii()
    return Download(
        bytes(content[: LARGEST_ENVELOPE_BYTES + 1]), etag if is_usable else None, _certificate_expiry(answer)
    )


def _redirect(shown: str, url: str, answer: httpx2.Response) -> str:
    try:
        target = urljoin(url, answer.headers.get("Location", ""))
    except ValueError as error:
        raise _unreadable(f"{shown}: redirected to what is no URL: {error}", "give the final URL") from error
    fault = url_fault(target) or ("https is not left" if _leaves_tls(url, target) else None)
    if fault is not None or target == url:
        where = target.partition("?")[0]
        remedy = "let the server redirect to https, or give the final URL"
        raise _unreadable(f"{shown}: redirected to {where}: {fault or 'itself'}", remedy)
    return target


def _leaves_tls(url: str, target: str) -> bool:
    return origin_of(url)[0] == "https" and origin_of(target)[0] != "https"


def _refuse(shown: str, answer: httpx2.Response) -> NoReturn:
    status = answer.status_code
    message = f"{shown}: HTTP {status}"
    if status in _GONE:
        raise DownloadFault("missing", f"{message}: there is no bundle; it is taken when it comes", "put one there")
    if status in (401, 403):
        raise _unreadable(message, "check --bundle-token or --bundle-certificate, and what the server lets them read")
    if status >= 500 or status in _PASSING:
        remedy = "look at the server: it answers, and cannot serve"
        raise DownloadFault("unreachable", message, remedy, _retry_after(answer))
    raise _unreadable(message, "check the path of --bundle")


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _unreadable(message: str, remedy: str) -> DownloadFault:
    return DownloadFault("unreadable", message, remedy)


def _unreachable(shown: str, error: httpx2.HTTPError) -> DownloadFault:
    """httpx2 wraps what happened; what lies under it says more."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLError):
        remedy = "check --bundle-trust, the host in --bundle, the controller's clock, and --bundle-certificate"
        return DownloadFault("unreachable", f"{shown}: tls: {tls_cause(cause)}", remedy)
    if isinstance(cause, socket.gaierror):
        words, remedy = f"dns: {cause.strerror}", "check the host in --bundle, and DNS (resolvectl status)"
    elif cause is not None:
        words, remedy = connect_cause(cause), "check host and port in --bundle, routes and firewalls between"
    else:
        words, remedy = str(error) or type(error).__name__, "look at the server: it ends connections too soon"
    return DownloadFault("unreachable", f"{shown}: {words}", remedy)


def _certificate_expiry(answer: httpx2.Response) -> datetime | None:
    stream = answer.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    not_after = None if tls is None else tls.getpeercert().get("notAfter")
    return None if not_after is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC)
