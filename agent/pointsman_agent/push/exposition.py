"""The object of `GET /api/status` → Prometheus text (exposition format 0.0.4), each sample with its time. Pure.

`pointsman_report` is what a rollout reads: its labels say what the site has and has refused, its value is the time of
the report. One query for it answers for a whole fleet; of two series of a site the one with the higher value counts.
`pointsman_report_timestamp_seconds` has that value in one series a site, so that a week of it is cheap to look at.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

LONGEST_REASON: Final = 120
"""Characters of a refusal's words that go out: a label is an index of the store, not a place for prose."""

Labels = Mapping[str, str]


def expose(status: Mapping[str, Any], at: datetime) -> str:
    """Return the samples of `status` at the time `at`, a line each."""
    site = {"site": str(status["site"])}
    stamp = int(at.timestamp() * 1000)
    lines = [*_samples(status, site, int(at.timestamp()))]
    return "".join(f"{name}{_labels(labels)} {value} {stamp}\n" for name, labels, value in lines)


def digest_of_state(status: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what of `status` is told at once when it changes; figures alone wait for the next minute."""
    bundle = status["bundle"]
    named = (bundle["desired"], bundle["active"], bundle["lastFailed"])
    links = tuple((one["name"], one["reachable"]) for one in status["supervisions"])
    return (status["state"], *(None if one is None else (one["digest"], one["sequence"]) for one in named), links)


def _samples(status: Mapping[str, Any], site: Labels, at: int) -> Iterator[tuple[str, Labels, float | int]]:
    bundle = status["bundle"]
    yield "pointsman_report", _report(status, site), at
    yield "pointsman_report_timestamp_seconds", site, at
    yield "pointsman_agent_info", {**site, "version": str(status["version"])}, 1
    for role in ("desired", "active"):
        if bundle[role] is not None:
            yield f"pointsman_bundle_{role}_sequence", site, bundle[role]["sequence"]
    yield "pointsman_stations", site, status["stationsTotal"]
    yield "pointsman_stations_connected", site, status["stationsConnected"]
    transactions = [row["openTransactions"] for row in status["stations"]]
    yield "pointsman_open_transactions", site, sum(one for one in transactions if one is not None)
    for row in status["supervisions"]:
        link = {**site, "supervision": str(row["name"])}
        if row["reachable"] is not None:
            yield "pointsman_supervision_reachable", link, int(row["reachable"])
        yield "pointsman_supervision_stations", link, row["stationsUp"]
        if row["clockOffsetSeconds"] is not None:
            yield "pointsman_supervision_clock_offset_seconds", link, row["clockOffsetSeconds"]


def _report(status: Mapping[str, Any], site: Labels) -> Labels:
    bundle, failed = status["bundle"], status["bundle"]["lastFailed"] or {}
    return {
        **site,
        "state": str(status["state"]),
        "active": _digest(bundle["active"]),
        "desired": _digest(bundle["desired"]),
        "failed": failed.get("digest") or "",
        "failed_sequence": "" if failed.get("sequence") is None else str(failed["sequence"]),
        "code": failed.get("code", ""),
        "reason": failed.get("message", "")[:LONGEST_REASON],
    }


def _digest(bundle: Mapping[str, Any] | None) -> str:
    return "" if bundle is None else str(bundle["digest"])


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
