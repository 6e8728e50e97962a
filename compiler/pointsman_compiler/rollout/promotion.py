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

An offer is taken at the site's turn within the spread. Until then it can be taken back, and is: by a halt, and by a pin
that was set after it. No offer is made whose turn would fall into a freeze.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from pointsman_compiler.rollout.health import Finding, Health, find
from pointsman_compiler.rollout.ledger import Content, Halt, Ledger, Offer, SiteEntry, offer, withdraw
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules

Verdict = Literal["go", "halt", "inconclusive", "settled"]

Member = tuple[str, SiteEntry]

MINUTE_S: Final = 60
"""What freezes are exact to."""

TOO_LATE: Final = "too late, it was offered something else: publish what it is pinned to with a new sequence"


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
        order: tuple[Finding, ...] = ("healthy", "failed", "degraded", "under way", "unreadable", "silent")
        said = [f"{self.counts[finding]} {finding}" for finding in order if self.counts[finding]]
        return ", ".join(said + ([f"{self.excused} excused"] if self.excused else []))


class Promotion(Struct, frozen=True):
    """The next state, the sites that move by it, and a decision for every site; `trials` by ring as judged.

    From the sites `withdrawn` an offer is taken back.
    """

    ledger: Ledger
    moved: tuple[str, ...]
    decisions: Mapping[str, Decision]
    trials: Mapping[str, Trial]
    withdrawn: tuple[str, ...] = ()


def promote(ledger: Ledger, rules: Rules, health: Health, now: int) -> Promotion:
    """Return what moves at the Unix time `now`."""
    ledger, unpinned = withdraw(ledger, _against_pins(ledger, rules, now), now)
    rings = _members(ledger, rules)
    trials = {ring.name: _trial(ring, members, rules, health, now) for ring, members in rings}
    judged = ledger if ledger.halt is not None else _judged(ledger, trials, health, now)
    if judged.halt is not None:
        left, withdrawn = withdraw(judged, judged.sites, now)
        return Promotion(
            left, (), _halted(_members(left, rules), rules, judged.halt, now), trials, (*unpinned, *withdrawn)
        )
    promotion = _moved(_closed(judged, trials, now), rings, rules, trials, now)
    return replace(promotion, withdrawn=tuple(site for site in unpinned if site not in promotion.moved))


def _members(ledger: Ledger, rules: Rules) -> Sequence[tuple[Ring, list[Member]]]:
    members: list[list[Member]] = [[] for _ in rules.rings]
    for site, entry in sorted(ledger.sites.items()):
        members[rules.ring_of(site, entry.labels)].append((site, entry))
    return list(zip(rules.rings, members, strict=True))


def _trial(ring: Ring, members: Sequence[Member], rules: Rules, health: Health, now: int) -> Trial:
    findings: dict[str, Finding] = {}
    excused, ends = 0, 0
    for site, entry in members:
        offered = entry.offered
        if offered is None or not entry.is_on_trial:
            continue
        found = find(offered, health.get(site), now, rules.stale_after)
        ends = max(ends, offered.spread_ends + ring.soak)
        if offered.is_excused and found == "failed":
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


def _against_pins(ledger: Ledger, rules: Rules, now: int) -> list[str]:
    """Sites that are offered something else than they are pinned to."""
    return [
        site
        for site in rules.pins
        if (entry := ledger.sites.get(site)) is not None
        and (pin := rules.pin_of(site, entry.time_zone, now)) is not None
        and _is_against(entry, pin)
    ]


def _is_against(entry: SiteEntry, pin: Pin) -> bool:
    return entry.offered is not None and entry.offered.content.digest != pin.digest


def _pinned(entry: SiteEntry, pin: Pin) -> str:
    reason = f"pinned until {pin.until}: {pin.because}"
    return f"{reason}; {TOO_LATE}" if _is_against(entry, pin) else reason


def _halted(rings: Sequence[tuple[Ring, list[Member]]], rules: Rules, halt: Halt, now: int) -> dict[str, Decision]:
    return {
        site: Decision(ring.name, "halt", halt.because)
        if entry.is_pending
        else _settled(ring, entry, rules.pin_of(site, entry.time_zone, now))
        for ring, members in rings
        for site, entry in members
    }


def _closed(ledger: Ledger, trials: Mapping[str, Trial], now: int) -> Ledger:
    """Close the offers of trials that are over; of those that everybody excused, too."""
    over = {site for trial in trials.values() if trial.is_over(now) for site in trial.findings}
    sites = dict(ledger.sites)
    for site, entry in ledger.sites.items():
        offered = entry.offered
        if offered is not None and offered.is_open and (site in over or offered.is_excused):
            sites[site] = replace(entry, offered=replace(offered, is_open=False))
    return replace(ledger, sites=sites)


def _moved(
    ledger: Ledger,
    rings: Sequence[tuple[Ring, list[Member]]],
    rules: Rules,
    trials: Mapping[str, Trial],
    now: int,
) -> Promotion:
    @cache
    def freeze_of(ring: str, time_zone: str, minute: int) -> Freeze | None:
        return rules.freeze_of(ring, time_zone, minute * MINUTE_S)

    sites, decisions, moved = dict(ledger.sites), {}, []
    blocked = ""
    for ring, members in rings:
        on_trial = sum(sites[site].is_on_trial for site, _ in members)
        room, waiting = ring.at_once - on_trial, 0
        for site, _ in members:
            entry = sites[site]
            pin = rules.pin_of(site, entry.time_zone, now)
            if not entry.is_pending:
                decisions[site] = _settled(ring, entry, pin)
                continue
            is_first = entry.offered is None
            if pin is not None and pin.digest != entry.desired.digest:
                decisions[site] = Decision(ring.name, "inconclusive", _pinned(entry, pin))
                continue
            made = _offer(entry.desired, rules.spread, now, is_open=not is_first)
            turn = int(made.turn(site))
            if (freeze := freeze_of(ring.name, entry.time_zone, now // MINUTE_S)) is not None:
                reason = f"frozen: {freeze.because}"
            elif blocked and not is_first:
                reason = blocked
            elif (freeze := freeze_of(ring.name, entry.time_zone, turn // MINUTE_S)) is not None:
                reason = f"its turn in the spread would be frozen: {freeze.because}"
            elif is_first:
                reason = ""
            elif room <= 0:
                reason = f"waits for room: {ring.at_once} of ring {ring.name} are under way"
            else:
                reason, room = "", room - 1
            if reason:
                decisions[site] = Decision(ring.name, "inconclusive", reason)
                waiting += not is_first
                continue
            moved.append(site)
            sites[site] = offer(entry, site, made, now)
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


def _settled(ring: Ring, entry: SiteEntry, pin: Pin | None) -> Decision:
    is_late = pin is not None and _is_against(entry, pin)
    return Decision(
        ring.name, "settled", _pinned(entry, pin) if pin and is_late else "has been offered what is desired"
    )


def _duration(seconds: int) -> str:
    hours, minutes = divmod(-(-seconds // 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
