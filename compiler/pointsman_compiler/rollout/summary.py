"""Where a change is and what it waits for, in ten lines; and all that is to be said of one site. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pointsman_compiler.rollout.health import Health, Report, find, is_unreadable
from pointsman_compiler.rollout.ledger import Ledger
from pointsman_compiler.rollout.promotion import TOO_LATE, Promotion, promote
from pointsman_compiler.rollout.rules import Rules

LINES_AT_MOST: Final = 10
WIDTH: Final = 80
_RINGS_SHOWN: Final = 4
_REASONS_SHOWN: Final = 2


def summarize(ledger: Ledger, rules: Rules, health: Health, now: int) -> str:
    """Return at most ten lines of at most 80 characters: the change, the rings, what it waits for."""
    promotion = promote(ledger, rules, health, now)
    late = [site for site, each in promotion.decisions.items() if each.reason.endswith(TOO_LATE)]
    failed = sorted(_failed_later(ledger, rules, health, now))
    notes = [
        *([f"pins that came too late: {len(late)}, {late[0]} first; `status --site {late[0]}`"] if late else []),
        *([f"failed after their batch had proven itself: {len(failed)}, {failed[0]} first"] if failed else []),
    ]
    lines = [_headline(ledger), *_ring_lines(ledger, promotion, rules), *_next(ledger, promotion, notes)]
    return "".join(f"{_cut(line)}\n" for line in lines[:LINES_AT_MOST])


def explain_site(ledger: Ledger, rules: Rules, health: Health, now: int, site: str) -> str:
    """Return what a site has, is offered and waits for, in a few lines; `site` is one of the ledger's."""
    entry, report = ledger.sites[site], health.get(site)
    decision = promote(ledger, rules, health, now).decisions[site]
    offered = "nothing" if entry.offered is None else _content(entry.offered.content.digest, entry.offered.since)
    lines = [
        f"{site}, ring {decision.ring}: {decision.verdict}: {decision.reason}",
        f"  desired   {entry.desired.digest} (sequence {entry.desired.sequence}{_of(ledger, entry.published)})",
        f"  offered   {offered}",
        f"  reported  {_reported(report, now)}",
    ]
    if report is not None and report.failed and not is_unreadable(report, now):
        lines.append(f"  failed    {report.failed} {report.code}: {report.reason}")
    return "".join(f"{line}\n" for line in lines)


def as_json(ledger: Ledger, promotion: Promotion) -> dict[str, Any]:
    """Return the object of `--json`: the halt, the last publication, and each site's decision."""
    published = ledger.published
    return {
        "halt": None
        if ledger.halt is None
        else {"at": _time(ledger.halt.at), "because": ledger.halt.because, "ring": ledger.halt.ring},
        "published": None
        if published is None
        else {"at": _time(published.at), "revision": published.revision, "sites": published.sites},
        "moved": list(promotion.moved),
        "withdrawn": list(promotion.withdrawn),
        "taken": list(promotion.taken),
        "sites": {
            site: {
                "ring": decision.ring,
                "verdict": decision.verdict,
                "reason": decision.reason,
                "revision": _revision(ledger, ledger.sites[site].published),
                "finding": promotion.trials[decision.ring].findings.get(site),
                "desired": ledger.sites[site].desired.digest,
                "offered": None if (offer := ledger.sites[site].offered) is None else offer.content.digest,
            }
            for site, decision in sorted(promotion.decisions.items())
        },
    }


def decided(promotion: Promotion) -> list[str]:
    """Return a line for each reason, with its verdict and how many sites it concerns; most first."""
    reasons = Counter((decision.verdict, decision.reason) for decision in promotion.decisions.values())
    return [f"{verdict:<13}{count:>7}  {reason}" for (verdict, reason), count in reasons.most_common()]


def _headline(ledger: Ledger) -> str:
    published = ledger.published
    if published is None:
        return "nothing is published yet"
    own = [entry for entry in ledger.sites.values() if entry.published == published.number]
    offered = sum(not entry.is_pending for entry in own)
    revision = f" ({_short(published.revision)})" if published.revision else ""
    return f"published {_time(published.at)}{revision}: {offered} of {len(own)} sites have been offered it"


def _failed_later(ledger: Ledger, rules: Rules, health: Health, now: int) -> Iterator[str]:
    """Sites that report a failure of what they have, and are in no trial any more."""
    for site, report in health.items():
        entry = ledger.sites.get(site)
        if entry is None or entry.offered is None or not report.failed or entry.unproven:
            continue
        if find(entry.offered, report, now, rules.stale_after) == "failed":
            yield site


def _ring_lines(ledger: Ledger, promotion: Promotion, rules: Rules) -> Iterator[str]:
    sites, pending = Counter[str](), Counter[str]()
    for site, decision in promotion.decisions.items():
        sites[decision.ring] += 1
        pending[decision.ring] += ledger.sites[site].is_pending
    yield f"{'ring':<16}{'sites':>7}{'offered':>9}  on trial"
    shown = rules.rings if len(rules.rings) <= _RINGS_SHOWN else rules.rings[: _RINGS_SHOWN - 1]
    for ring in shown:
        words = promotion.trials[ring.name].words() or "-"
        yield f"{ring.name[:15]:<16}{sites[ring.name]:>7}{sites[ring.name] - pending[ring.name]:>9}  {words}"
    if len(shown) < len(rules.rings):
        names = [ring.name for ring in rules.rings[len(shown) :]]
        total, left = sum(sites[name] for name in names), sum(pending[name] for name in names)
        yield f"{f'{len(names)} more':<16}{total:>7}{total - left:>9}"


def _next(ledger: Ledger, promotion: Promotion, notes: Sequence[str]) -> Sequence[str]:
    if promotion.ledger.halt is not None:
        halt, verb = promotion.ledger.halt, "halted" if ledger.halt is not None else "to be halted"
        return [f"{verb} since {_time(halt.at)}:", f"  {halt.because}", "next: fix, publish, then `resume`"]
    waits = Counter(
        (ledger.sites[site].published, each.reason)
        for site, each in promotion.decisions.items()
        if each.verdict == "inconclusive"
    )
    most = waits.most_common(_REASONS_SHOWN if not notes else 1)
    lines = [*(f"{count} wait{_for(ledger, number)}: {reason}" for (number, reason), count in most), *notes]
    if promotion.moved:
        return [*lines, f"next: `promote` moves {len(promotion.moved)} sites"]
    if not ledger.sites:
        return ["next: `publish`, then `promote`"]
    on_trial = [trial for trial in promotion.trials.values() if trial.findings]
    if not waits and not on_trial:
        return [*lines, "done: every site has been offered what is desired"]
    return lines or ["done when what is on trial has proven itself"]


def _for(ledger: Ledger, number: int) -> str:
    """Name a publication that is not the last one, which the headline has."""
    is_last = ledger.published is not None and number == ledger.published.number
    return "" if is_last else f" for {_short(_revision(ledger, number)) or f'publication {number}'}"


def _of(ledger: Ledger, number: int) -> str:
    revision = _revision(ledger, number)
    return f" of {revision}" if revision else ""


def _revision(ledger: Ledger, number: int) -> str | None:
    """Return the revision of a publication, where one is known."""
    publication = ledger.publication(number)
    return publication.revision if publication is not None else None


def _short(revision: str | None) -> str:
    return (revision or "")[:12]


def _content(digest: str, at: int) -> str:
    return f"{digest} since {_time(at)}"


def _reported(report: Report | None, now: int) -> str:
    if report is None:
        return "nothing"
    if is_unreadable(report, now):
        return "an unreadable report: look at its clock, and who writes it"
    return f"{_content(report.active, report.at)} {report.state}"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
