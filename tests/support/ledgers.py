"""Rollouts without a repository: ledgers of small fleets, and what their sites report."""

from datetime import UTC, datetime

from pointsman_agent.sources.tuf import turn_of
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.ledger import Content, Ledger, Newcomer, Offer, SiteEntry, publish
from pointsman_compiler.rollout.promotion import promote
from pointsman_compiler.rollout.repository import _target
from pointsman_compiler.rollout.rules import Ring, Rules

NOON = int(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp())  # a Wednesday
DAY_S = 24 * 3600
ALL_AT_ONCE = Rules(1, (Ring("all"),))
TWO_RINGS = Rules(1, (Ring("lab", sites=("lab-*",), soak=600), Ring("rest", soak=600)), spread=60)


def digest(name: str) -> str:
    """Return the digest of a content that has a letter for a name."""
    return f"sha256:{name * 64}"[:71]


def newcomer(site: str, name: str, sequence: int, time_zone: str = "UTC", **labels: str) -> Newcomer:
    """Return a bundle that is published for `site`."""
    return Newcomer(site, time_zone, labels, Content(digest(name), sequence, name * 64, 100))


def settled(sites: list[str], time_zone: str = "UTC", **labels: str) -> Ledger:
    """A fleet that runs its first content, and was offered nothing since."""
    ledger = publish(Ledger(), [newcomer(site, "a", 1, time_zone, **labels) for site in sites], NOON - DAY_S, None)
    return promote(ledger, ALL_AT_ONCE, {}, NOON - DAY_S).ledger


def changed(ledger: Ledger, name: str = "b", sequence: int = 2, sites: list[str] | None = None) -> Ledger:
    """Return `ledger` with content `name` published for `sites`; for all without. A sequence is a revision."""
    new = [
        newcomer(site, name, sequence, entry.time_zone, **entry.labels)
        for site, entry in ledger.sites.items()
        if sites is None or site in sites
    ]
    return publish(ledger, new, NOON, f"{sequence:x}abcdef")


def running(ledger: Ledger, site: str, now: int) -> Offer | None:
    """Return the offer that a site has taken, at its turn."""
    entry = ledger.sites[site]
    return entry.before if turn(ledger, site) > now else entry.offered


def healthy(ledger: Ledger, now: int) -> dict[str, Report]:
    """Return the reports of a fleet in which all that was taken runs."""
    taken = {site: running(ledger, site, now) for site in ledger.sites}
    return {site: Report(now, "running", offer.content.digest) for site, offer in taken.items() if offer is not None}


def failing(ledger: Ledger, site: str, now: int) -> Report:
    """Return the report of a site that left what it was offered."""
    offer = ledger.sites[site].offered
    assert offer is not None
    content = offer.content
    return Report(now, "degraded", digest("a"), content.digest, content.sequence, "probation", "LAB-1: refused")


def turn(ledger: Ledger, site: str) -> float:
    """When the site takes what it is offered, as its agent reckons; 0 where it is offered nothing."""
    offered = ledger.sites[site].offered
    return 0 if offered is None else turn_of(_target(site, offered), site).timestamp()


def content_of(entry: SiteEntry) -> Content | None:
    """Return what a site is offered."""
    return None if entry.offered is None else entry.offered.content
