"""Health by one query to a metrics store that speaks the HTTP API of Prometheus.

Agents push `pointsman_report`: its labels say what a site has and has refused, its value is the Unix time of the
report. A site that says something new is another series, so of several the one with the highest value counts.
"""

import http.client
import math
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pointsman_compiler.rollout.health import Report

METRIC: Final = "pointsman_report"
ANSWERED_WITHIN_S: Final = 30.0
"""From the request to the last byte of the answer."""
LARGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024
LATEST: Final = 253_402_300_799
"""The last second of the year 9999, as a Unix time."""
LONGEST_TEXT: Final = 500
_SEQUENCE: Final = re.compile(r"[0-9]{1,18}")
_PART_BYTES: Final = 1024 * 1024


class StoreFailed(Exception):
    """The metrics store did not answer as it should."""


class _Series(msgspec.Struct):
    metric: Mapping[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    data: _Data


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """A redirect is a refusal: whoever answers so would be sent the token."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def ask(url: str, token: str | None, within_s: int) -> dict[str, Report]:
    """Return the last report of each site within `within_s` seconds, from the store at `url` (its base).

    `token` is sent as a bearer token, without the white space around it. Raises StoreFailed.
    """
    shown, address = _address(url)
    query = urllib.parse.urlencode({"query": f"last_over_time({METRIC}[{within_s}s])"})
    request = urllib.request.Request(address, data=query.encode(), headers={"Accept": "application/json"})
    if token is not None:
        request.add_header("Authorization", f"Bearer {_sendable(token)}")
    return read_reports(_fetched(shown, request))


def _address(url: str) -> tuple[str, str]:
    """Return the store's origin, which is all of `url` that is ever shown, and the address of the query."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:  # UnicodeError is one
        raise StoreFailed("the address is no URL: write https://metrics.example") from error
    if parts.username is not None or parts.password is not None:
        raise StoreFailed("the address holds a name or a password: give a token by POINTSMAN_HEALTH_TOKEN instead")
    if parts.scheme not in ("http", "https") or not host:
        raise StoreFailed("the address is no http:// or https:// URL: write https://metrics.example")
    if parts.query or parts.fragment or not _is_plain(parts.path):
        raise StoreFailed("the address has more than a host and a path: write https://metrics.example")
    host = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    return shown, f"{shown}{parts.path.rstrip('/')}/api/v1/query"


def _sendable(token: str) -> str:
    """Return `token` without the white space around it, which files and pipelines add; never shows it."""
    stripped = token.strip()
    if not stripped or not _is_plain(stripped):
        raise StoreFailed("the token is empty, or has characters that no token has")
    return stripped


def _is_plain(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


def _fetched(shown: str, request: urllib.request.Request) -> bytes:
    """Return the answer. A thread of its own waits for it: a byte now and then holds up nobody for ever."""
    found: list[bytes | Exception] = []
    is_given_up = threading.Event()

    def fetch() -> None:
        try:
            found.append(_read(request, is_given_up))
        except Exception as error:  # it is raised where it is waited for
            found.append(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(ANSWERED_WITHIN_S)
    is_given_up.set()
    if not found:
        raise StoreFailed(f"{shown} did not answer within {ANSWERED_WITHIN_S:g} s")
    content = found[0]
    if isinstance(content, bytes):
        if len(content) > LARGEST_ANSWER_BYTES:
            raise StoreFailed(f"{shown} answers with more than {LARGEST_ANSWER_BYTES} bytes")
        return content
    if isinstance(content, urllib.error.HTTPError):
        content.close()
        if 300 <= content.code < 400:
            raise StoreFailed(f"{shown} redirects, which is not followed: give the final address") from None
    if isinstance(content, (OSError, ValueError, http.client.HTTPException)):
        why = str(content).splitlines()
        raise StoreFailed(f"{shown} does not answer as it should: {why[0] if why else type(content).__name__}")
    raise content


def _read(request: urllib.request.Request, is_given_up: threading.Event) -> bytes:
    content = bytearray()
    opener = urllib.request.build_opener(_Unfollowed())
    with opener.open(request, timeout=ANSWERED_WITHIN_S) as answer:
        while len(content) <= LARGEST_ANSWER_BYTES and not is_given_up.is_set():
            part = answer.read1(_PART_BYTES)
            if not part:
                break
            content += part
        if answer.length:  # `read1` does not say so itself
            raise http.client.IncompleteRead(b"", answer.length)
    return bytes(content)


def read_reports(content: bytes) -> dict[str, Report]:
    """Return the reports in the answer to the query, the latest of each site; raises StoreFailed.

    A controller says what it likes: what cannot be read is unreadable for its site, whatever else it said.
    """
    try:
        series = msgspec.json.decode(content, type=_Answer, strict=False).data.result
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreFailed(f"the store's answer cannot be read: {error}") from error
    reports: dict[str, Report] = {}
    for one in series:
        site, report = one.metric.get("site", ""), _report(one.metric, one.value[1])
        known = reports.get(site)
        if known is None or report.is_unreadable or (not known.is_unreadable and known.at < report.at):
            reports[site] = report
    return reports


def _report(labels: Mapping[str, str], value: str) -> Report:
    """Return what a site says; one that is unreadable where a number is none, or one that nothing could have."""
    sequence = labels.get("failed_sequence", "")
    try:
        at = float(value)
    except ValueError:
        at = math.nan
    if not 0 <= at <= LATEST or (sequence and not _SEQUENCE.fullmatch(sequence)):
        return Report(0, "", "", is_unreadable=True)
    return Report(
        at=int(at),
        state=_shown(labels.get("state", "")),
        active=labels.get("active", ""),
        failed=labels.get("failed", ""),
        failed_sequence=int(sequence) if sequence else None,
        code=_shown(labels.get("code", "")),
        reason=_shown(labels.get("reason", "")),
    )


def _shown(text: str) -> str:
    """Return `text` as a terminal and a ledger may have it."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST_TEXT])
