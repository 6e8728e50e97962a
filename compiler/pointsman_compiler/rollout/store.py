"""Health by one query to a metrics store that speaks the HTTP API of Prometheus.

Agents push `pointsman_report`: its labels say what a site has and has refused, its value is the Unix time of the
report. A site that says something new is another series, so of several the one with the highest value counts.
"""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pointsman_compiler.rollout.health import Report

METRIC: Final = "pointsman_report"
ANSWERED_WITHIN_S: Final = 30.0
LARGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024


class StoreFailed(Exception):
    """The metrics store did not answer as it should."""


class _Series(msgspec.Struct):
    metric: Mapping[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    data: _Data


def ask(url: str, token: str | None, within_s: int) -> dict[str, Report]:
    """Return the last report of each site within `within_s` seconds, from the store at `url` (its base).

    `token` is sent as a bearer token. Raises StoreFailed.
    """
    query = urllib.parse.urlencode({"query": f"last_over_time({METRIC}[{within_s}s])"})
    address = f"{url.rstrip('/')}/api/v1/query"
    if not address.startswith(("http://", "https://")):
        raise StoreFailed(f"{url} is no http:// or https:// address")
    request = urllib.request.Request(address, data=query.encode(), headers={"Accept": "application/json"})
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWERED_WITHIN_S) as answer:
            content = answer.read(LARGEST_ANSWER_BYTES + 1)
    except (OSError, ValueError) as error:  # HTTPError and URLError are OSErrors
        raise StoreFailed(f"{url} does not answer: {error}") from error
    if len(content) > LARGEST_ANSWER_BYTES:
        raise StoreFailed(f"{url} answers with more than {LARGEST_ANSWER_BYTES} bytes")
    return read_reports(content)


def read_reports(content: bytes) -> dict[str, Report]:
    """Return the reports in the answer to the query, the latest of each site; raises StoreFailed."""
    try:
        series = msgspec.json.decode(content, type=_Answer, strict=False).data.result
        reports: dict[str, Report] = {}
        for one in series:
            report = _report(one.metric, float(one.value[1]))
            known = reports.get(one.metric.get("site", ""))
            if known is None or known.at < report.at:
                reports[one.metric.get("site", "")] = report
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise StoreFailed(f"the store's answer cannot be read: {error}") from error
    return reports


def _report(labels: Mapping[str, Any], value: float) -> Report:
    sequence = labels.get("failed_sequence", "")
    return Report(
        at=int(value),
        state=labels.get("state", ""),
        active=labels.get("active", ""),
        failed=labels.get("failed", ""),
        failed_sequence=int(sequence) if sequence.isdecimal() else None,
        code=labels.get("code", ""),
        reason=labels.get("reason", ""),
    )
