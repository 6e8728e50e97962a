"""What sites reported, and what that says of what they were offered. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct

from pointsman_compiler.rollout.ledger import Content, Offer


class Report(Struct, frozen=True):
    """A site's last word: `at` which Unix time, its state, and the digests it has and has refused or left again.

    One that `is_unreadable` says nothing else.
    """

    at: int
    state: str
    active: str
    failed: str = ""
    failed_sequence: int | None = None
    code: str = ""
    reason: str = ""
    is_unreadable: bool = False


Health = Mapping[str, Report]
"""The last report of each site that made one."""

Finding = Literal["healthy", "failed", "excused", "degraded", "under way", "unreadable", "silent"]
FINDINGS: Final[tuple[Finding, ...]] = get_args(Finding)
REPORTED: Final = frozenset[Finding]({"healthy", "failed", "excused"})
"""Findings of sites that say how it went; `excused` is a failure that a person looked at."""

AHEAD_S = 300
"""How far a controller's clock may be ahead: a report from later than that cannot be believed in anything."""

WELL = frozenset({"running", "stale"})
"""States in which a bundle does its work; `stale` is about the repository, which no bundle mends."""


def is_unreadable(report: Report, now: int) -> bool:
    """Whether nothing in the report can be believed: it is none, or from the future."""
    return report.is_unreadable or report.at > now + AHEAD_S


def is_of(report: Report, content: Content) -> bool:
    """Whether the site has `content`, or had it and failed."""
    return report.active == content.digest or _has_failed(report, content)


def _has_failed(report: Report, content: Content) -> bool:
    """Only with the very sequence that was offered: content that failed once may be offered again."""
    return report.failed == content.digest and report.failed_sequence in (None, content.sequence)


def find(offer: Offer, report: Report | None, now: int, stale_after: int) -> Finding:
    """Return what `report` says of `offer` at the time `now`.

    `degraded` counts neither way: what is unreachable may be so for any reason.
    """
    if report is not None and is_unreadable(report, now):
        return "unreadable"
    if report is None or report.at < now - stale_after or report.at < offer.since:
        return "silent"
    content = offer.content
    if report.active == content.digest:
        return "healthy" if report.state in WELL else "under way" if report.state == "probation" else "degraded"
    if _has_failed(report, content):
        return "excused" if offer.is_excused else "failed"
    return "under way"
