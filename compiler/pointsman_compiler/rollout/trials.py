"""What the reports say of a ring: whether it has failed, and what of it has proven itself. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from pointsman_compiler.rollout.health import FINDINGS, REPORTED, Finding, Health, find
from pointsman_compiler.rollout.ledger import Ledger, Unproven
from pointsman_compiler.rollout.rules import Ring, Rules


class Trial(Struct, frozen=True):
    """The sites of one ring that are under way, by what their reports say; those that are `due` have soaked."""

    ring: Ring
    findings: Mapping[str, Finding]
    due: Mapping[str, Finding]

    @property
    def has_failed(self) -> bool:
        """More failed than the ring allows: of those that reported, or of all whatever the others still say."""
        failed, reports = self.failed, self.reports
        counted = reports if reports >= self.ring.least_reports else len(self.findings)
        return failed * 100 > self.ring.most_failed * counted

    @property
    def failed(self) -> int:
        """How many left or refused what they were offered."""
        return sum(finding == "failed" for finding in self.findings.values())

    @property
    def reports(self) -> int:
        """How many say how it went."""
        return _reports(self.findings)

    @property
    def missing(self) -> int:
        """How many of those that are due have yet to report: no more are needed than there are."""
        return max(0, self.least - _reports(self.due))

    @property
    def least(self) -> int:
        """Reports that are needed of those that are due."""
        return min(self.ring.least_reports, len(self.due))

    def waits_for(self) -> str:
        """Which reports have to come before what is due has proven itself."""
        first = min(site for site, finding in self.due.items() if finding not in REPORTED)
        words = f"{_words(self.due)}; {first} first"
        return f"{self.missing} more report{'s' if self.missing != 1 else ''} of {self.least} ({words})"

    def words(self) -> str:
        """The findings in words."""
        return _words(self.findings)


def judge(ring: Ring, sites: Sequence[str], ledger: Ledger, rules: Rules, health: Health, now: int) -> Trial:
    """Return the trial of `ring`, to which `sites` belong, at the Unix time `now`.

    A site whose content is no longer desired fails as any other, but does not wait to be healthy: what it is to have
    next may need its room.
    """
    findings: dict[str, Finding] = {}
    due: dict[str, Finding] = {}
    for site in sites:
        entry = ledger.sites[site]
        if (offer := entry.on_trial(site, now)) is None:
            continue
        findings[site] = found = find(offer, health.get(site), now, rules.stale_after)
        if is_due(entry.unproven[0], ring, now) and (not entry.is_pending or found == "healthy"):
            due[site] = found
    return Trial(ring, findings, due)


def is_due(unproven: Unproven, ring: Ring, now: int) -> bool:
    """Whether its spread and the soak of the ring are over."""
    return now >= unproven.spread_ends + ring.soak


def _reports(findings: Mapping[str, Finding]) -> int:
    return sum(finding in REPORTED for finding in findings.values())


def _words(findings: Mapping[str, Finding]) -> str:
    counts = Counter(findings.values())
    return ", ".join(f"{counts[finding]} {finding}" for finding in FINDINGS if counts[finding])
