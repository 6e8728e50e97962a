"""The policy: what may move now, and why not the rest. Pure.

Rings go one after the other. Within a ring sites go in batches: those that were offered something and have yet to prove
themselves are on trial, never more of them than the ring's `atOnce`. A trial is judged as one:

* more failed than the ring allows → the rollout halts, in all rings, until a person lifts it;
* spread and soak are over and enough have reported → it is over, and the ring goes on with the next batch;
* else it goes on.

A ring lets the next one begin when nothing in it is on trial or pending, sites that are pinned aside. A ring in which
nothing changes lets the next one begin at once.

What was offered and is no longer desired (a fix came after it) is no evidence any more; its halt stays all the same. A
site that was offered nothing yet runs nothing that could break: it waits for no ring, only for halts, pins and freezes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from pointsman_compiler.rollout.health import Finding, Health, find
from pointsman_compiler.rollout.ledger import Content, Halt, Ledger, Offer, SiteEntry
from pointsman_compiler.rollout.rules import Freeze, Ring, Rules

Verdict = Literal["go", "halt", "inconclusive", "settled"]

Member = tuple[str, SiteEntry]


class Decision(Struct, frozen=True):
    """What becomes of one site now, and why; `settled`: it was offered what is desired, and nothing waits."""

    ring: str
    verdict: Verdict
    reason: str


class Trial(Struct, frozen=True):
    """The sites of one ring that are on trial, by what their reports say; `ends` when spread and soak are over."""

    ring: Ring
    findings: Mapping[str, Finding]
    excused: int
    ends: int

    @property
    def counts(self) -> Counter[Finding]:
        """How many sites there are of each finding."""
        return Counter(self.findings.values())

    @property
    def reports(self) -> int:
        """Sites that say how it went."""
        return self.counts["healthy"] + self.counts["failed"]

    @property
    def least(self) -> int:
        """Reports that are needed: no more than there are sites to report."""
        return min(self.ring.least_reports, len(self.findings))

    @property
    def has_failed(self) -> bool:
        """More failed than the ring allows: of those that reported, or of all whatever the others still say."""
        failed = self.counts["failed"] * 100
        is_enough = self.reports >= self.least and self.reports > 0
        return (is_enough and failed > self.ring.most_failed * self.reports) or (
            failed > self.ring.most_failed * len(self.findings)
        )

    def is_over(self, now: int) -> bool:
        """Whether it is proven."""
        return not self.has_failed and now >= self.ends and self.reports >= self.least

    def waits_for(self, now: int) -> str:
        """What has to come before it is over."""
        if now < self.ends:
            return f"{_duration(self.ends - now)} of its spread and soak"
        missing = self.least - self.reports
        return f"{missing} more report{'s' if missing != 1 else ''} of {self.least} ({self.words()})"

    def words(self) -> str:
        """The findings in words."""
        order: tuple[Finding, ...] = ("healthy", "failed", "degraded", "under way", "silent")
        said = [f"{self.counts[finding]} {finding}" for finding in order if self.counts[finding]]
        return ", ".join(said + ([f"{self.excused} excused"] if self.excused else []))


class Promotion(Struct, frozen=True):
    """The next state, the sites that move by it, and a decision for every site; `trials` by ring as judged."""

    ledger: Ledger
    moved: tuple[str, ...]
    decisions: Mapping[str, Decision]
    trials: Mapping[str, Trial]


def promote(ledger: Ledger, rules: Rules, health: Health, now: int) -> Promotion:
    """Return what moves at the Unix time `now`."""
    rings = _members(ledger, rules)
    trials = {ring.name: _trial(ring, members, rules, health, now) for ring, members in rings}
    judged = ledger if ledger.halt is not None else _judged(ledger, trials, health, now)
    if judged.halt is not None:
        return Promotion(judged, (), _halted(rings, judged.halt), trials)
    return _moved(_closed(judged, trials, now), rings, rules, trials, now)


def _members(ledger: Ledger, rules: Rules) -> Sequence[tuple[Ring, list[Member]]]:
    members: list[list[Member]] = [[] for _ in rules.rings]
    for site, entry in sorted(ledger.sites.items()):
        members[rules.ring_of(site, entry.labels)].append((site, entry))
    return list(zip(rules.rings, members, strict=True))


def _trial(ring: Ring, members: Sequence[Member], rules: Rules, health: Health, now: int) -> Trial:
    findings: dict[str, Finding] = {}
    excused, ends = 0, 0
    for site, entry in members:
        offer = entry.offered
        if offer is None or not entry.is_on_trial:
            continue
        found = find(offer, health.get(site), now, rules.stale_after)
        ends = max(ends, offer.spread_ends + ring.soak)
        if offer.is_excused and found == "failed":
            excused += 1
        else:
            findings[site] = found
    return Trial(ring, findings, excused, ends)


def _judged(ledger: Ledger, trials: Mapping[str, Trial], health: Health, now: int) -> Ledger:
    """Halt at the first ring whose trial has failed."""
    for name, trial in trials.items():
        if trial.has_failed:
            first = min(site for site, finding in trial.findings.items() if finding == "failed")
            report = health[first]
            why = ": ".join(part for part in (report.code, report.reason) if part)
            counted = f"{trial.counts['failed']} of {trial.reports} that reported"
            because = f"ring {name}: {counted} failed, {first} first ({why or 'no reason given'})"
            return replace(ledger, halt=Halt(now, because, name))
    return ledger


def _halted(rings: Sequence[tuple[Ring, list[Member]]], halt: Halt) -> dict[str, Decision]:
    return {
        site: Decision(ring.name, "halt", halt.because) if entry.is_pending else _settled(ring)
        for ring, members in rings
        for site, entry in members
    }


def _closed(ledger: Ledger, trials: Mapping[str, Trial], now: int) -> Ledger:
    """Close the offers of trials that are over; of those that everybody excused, too."""
    over = {site for trial in trials.values() if trial.is_over(now) for site in trial.findings}
    sites = dict(ledger.sites)
    for site, entry in ledger.sites.items():
        offer = entry.offered
        if offer is not None and offer.is_open and (site in over or offer.is_excused):
            sites[site] = replace(entry, offered=replace(offer, is_open=False))
    return replace(ledger, sites=sites)


def _moved(
    ledger: Ledger,
    rings: Sequence[tuple[Ring, list[Member]]],
    rules: Rules,
    trials: Mapping[str, Trial],
    now: int,
) -> Promotion:
    @cache
    def freeze_of(ring: str, time_zone: str) -> Freeze | None:
        return rules.freeze_of(ring, time_zone, now)

    sites, decisions, moved = dict(ledger.sites), {}, []
    blocked = ""
    for ring, members in rings:
        on_trial = sum(sites[site].is_on_trial for site, _ in members)
        room, waiting = ring.at_once - on_trial, 0
        settled = Decision(ring.name, "settled", "has been offered what is desired")
        for site, _ in members:
            entry = sites[site]
            if not entry.is_pending:
                decisions[site] = settled
                continue
            is_first = entry.offered is None
            pin = rules.pin_of(site, entry.time_zone, now)
            if pin is not None and pin.digest != entry.desired.digest:
                decisions[site] = Decision(ring.name, "inconclusive", f"pinned until {pin.until}: {pin.because}")
                continue
            if (freeze := freeze_of(ring.name, entry.time_zone)) is not None:
                reason = f"frozen: {freeze.because}"
            elif is_first:
                reason = ""
            elif blocked:
                reason = blocked
            elif room <= 0:
                reason = f"waits for room: {ring.at_once} of ring {ring.name} are under way"
            else:
                reason, room = "", room - 1
            if reason:
                decisions[site] = Decision(ring.name, "inconclusive", reason)
                waiting += not is_first
                continue
            moved.append(site)
            sites[site] = replace(entry, offered=_offer(entry.desired, rules.spread, now, is_open=not is_first))
            decisions[site] = Decision(ring.name, "go", "its first bundle" if is_first else f"ring {ring.name} moves")
            on_trial += not is_first
        if not blocked and (on_trial or waiting):
            blocked = f"waits for ring {ring.name}: {_progress(trials[ring.name], on_trial, waiting, now)}"
    return Promotion(replace(ledger, sites=sites), tuple(moved), decisions, trials)


def _progress(trial: Trial, on_trial: int, waiting: int, now: int) -> str:
    if trial.findings and not trial.is_over(now):
        return trial.waits_for(now)
    return f"{on_trial} of its sites begin now" if on_trial else f"{waiting} of its sites have yet to move"


def _offer(content: Content, spread: int, now: int, *, is_open: bool) -> Offer:
    return Offer(content, now, now + spread, is_open)


def _settled(ring: Ring) -> Decision:
    return Decision(ring.name, "settled", "has been offered what is desired")


def _duration(seconds: int) -> str:
    hours, minutes = divmod(-(-seconds // 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
