"""The policy: what may move now, and why not the rest. Pure.

Rings go one after the other. Within a ring sites go in batches: those that were offered something and have yet to prove
themselves are under way, never more of them than the ring's `atOnce`. They are judged together:

* more failed than the ring allows → the rollout halts, in all rings, until a person lifts it;
* of those whose spread and soak are over, enough have reported → these have proven themselves, and make room;
* else they stay under way.

A site waits for what was published together with its own change and has yet to prove itself in an earlier ring, or to
be offered there; what a pin keeps from a site aside. What was published before or after that does not hold it up: else
small changes that come all the time would let no later ring move, ever, nor would one site that is away. For the same
reason those that wait longest move first, a change on top of another takes nothing from the time that the first has
had, and a site's turn is not put off (see `ledger`).

What was offered and is no longer desired fails as anything else, until a halt is lifted: only a person knows that what
came after it is the fix. A site that is under way takes no more room by the next thing it is offered.

A site that was offered nothing yet runs nothing that could break: it waits for no ring and no room, only for halts,
pins and freezes.

An offer is taken at the site's turn within the spread. Until then it can be taken back, and is: by a halt, and by a pin
or a freeze that was set after it. No offer is made whose turn would fall into a freeze. Whose turn came before the halt
was there may have taken it all the same: where a site reports so, it is offered that again, and judged by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from pointsman_compiler.rollout.health import Health, is_of, is_unreadable
from pointsman_compiler.rollout.ledger import Halt, Ledger, SiteEntry, is_to_come, offer, offer_again, withdraw
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules
from pointsman_compiler.rollout.trials import Trial, is_due, judge

Verdict = Literal["go", "halt", "inconclusive", "settled"]

Rings = Sequence[tuple[Ring, Sequence[str]]]
"""The rings in their order, and the sites of each."""

MINUTE_S: Final = 60
"""What freezes are exact to."""

MAY_MOVE: Final = "may move: waits for a promotion"
TOO_LATE: Final = "too late, it was offered something else: publish what it is pinned to with a new sequence"


class Decision(Struct, frozen=True):
    """What becomes of one site now, and why; `settled`: it was offered what is desired, and nothing waits."""

    ring: str
    verdict: Verdict
    reason: str


class Promotion(Struct, frozen=True):
    """The next state, the sites that move by it, and a decision for every site; `trials` by ring as judged.

    From the sites `withdrawn` an offer is taken back; those in `taken` had taken what was withdrawn before.
    """

    ledger: Ledger
    moved: tuple[str, ...]
    decisions: Mapping[str, Decision]
    trials: Mapping[str, Trial]
    withdrawn: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()

    @property
    def changed(self) -> set[str]:
        """Sites that are offered something else than before."""
        return {*self.moved, *self.withdrawn, *self.taken}


def promote(ledger: Ledger, rules: Rules, health: Health, now: int) -> Promotion:
    """Return what moves at the Unix time `now`."""
    rings, freezes = _rings(ledger, rules), _Freezes(rules)
    taken = tuple(_taken(ledger, health, now))
    ledger, against = withdraw(offer_again(ledger, taken), _against_rules(ledger, rings, rules, freezes, now), now)
    trials = {ring.name: judge(ring, sites, ledger, rules, health, now) for ring, sites in rings}
    judged = ledger if ledger.halt is not None else _judged(ledger, trials, health, now)
    if judged.halt is not None:
        left, withdrawn = withdraw(judged, judged.sites, now)
        return Promotion(left, (), _halted(left, rings, rules, judged.halt, now), trials, (*against, *withdrawn), taken)
    promotion = _moved(_proven(judged, trials, now), rings, rules, freezes, trials, now)
    return replace(promotion, withdrawn=tuple(site for site in against if site not in promotion.moved), taken=taken)


def _taken(ledger: Ledger, health: Health, now: int) -> Iterator[str]:
    """Sites that report what was taken back from them."""
    for site, entry in ledger.sites.items():
        report = health.get(site)
        if (offer := entry.withdrawn) is None or report is None or is_unreadable(report, now):
            continue
        if now >= offer.turn(site) and report.at >= offer.since and is_of(report, offer.content):
            yield site


def brake(ledger: Ledger, rules: Rules, health: Health, now: int) -> Promotion:
    """Return what has to be halted or taken back now, where somebody has to approve of what may move."""
    found = promote(ledger, rules, health, now)
    if not found.moved:
        return found
    ledger = offer_again(ledger, found.taken)
    left, withdrawn = withdraw(ledger, _against_rules(ledger, _rings(ledger, rules), rules, _Freezes(rules), now), now)
    waiting = {site: replace(found.decisions[site], verdict="inconclusive", reason=MAY_MOVE) for site in found.moved}
    return replace(found, ledger=left, moved=(), decisions={**found.decisions, **waiting}, withdrawn=withdrawn)


def _rings(ledger: Ledger, rules: Rules) -> Rings:
    rings: list[list[str]] = [[] for _ in rules.rings]
    for site, entry in sorted(ledger.sites.items()):
        rings[rules.ring_of(site, entry.labels)].append(site)
    return list(zip(rules.rings, rings, strict=True))


class _Freezes:
    """Which freeze holds for sites of a ring in a zone, found once for all of them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._found: dict[tuple[str, str, int], Freeze | None] = {}

    def at(self, ring: Ring, time_zone: str, now: int) -> Freeze | None:
        """Return the freeze that holds at the Unix time `now`, if any."""
        minute = now // MINUTE_S
        key = (ring.name, time_zone, minute)
        if key not in self._found:
            self._found[key] = self._rules.freeze_of(ring.name, time_zone, minute * MINUTE_S)
        return self._found[key]


def _judged(ledger: Ledger, trials: Mapping[str, Trial], health: Health, now: int) -> Ledger:
    """Halt at the first ring whose trial has failed."""
    for name, trial in trials.items():
        if trial.has_failed:
            first = min(site for site, finding in trial.findings.items() if finding == "failed")
            report = health[first]
            why = ": ".join(part for part in (report.code, report.reason) if part)
            counted = f"{trial.failed} of {trial.reports} that reported"
            because = f"ring {name}: {counted} failed, {first} first ({why or 'no reason given'})"
            return replace(ledger, at=now, halt=Halt(now, because, name))
    return ledger


def _against_rules(ledger: Ledger, rings: Rings, rules: Rules, freezes: _Freezes, now: int) -> Iterator[str]:
    """Sites that are offered something else than they are pinned to, or whose turn would come within a freeze."""
    for site in rules.pins:
        entry = ledger.sites.get(site)
        if entry and (pin := rules.pin_of(site, entry.time_zone, now)) and _is_against(entry, pin):
            yield site
    for ring, sites in rings if rules.freezes else ():
        for site in sites:
            offered, time_zone = ledger.sites[site].offered, ledger.sites[site].time_zone
            if offered is None or not is_to_come(ledger.sites[site], site, now):
                continue
            if freezes.at(ring, time_zone, int(offered.turn(site))) is not None:
                yield site


def _is_against(entry: SiteEntry, pin: Pin) -> bool:
    return entry.offered is not None and entry.offered.content.digest != pin.digest


def _pinned(entry: SiteEntry, pin: Pin) -> str:
    reason = f"pinned until {pin.until}: {pin.because}"
    return f"{reason}; {TOO_LATE}" if _is_against(entry, pin) else reason


def _halted(ledger: Ledger, rings: Rings, rules: Rules, halt: Halt, now: int) -> dict[str, Decision]:
    decisions = {}
    for ring, sites in rings:
        for site in sites:
            entry = ledger.sites[site]
            if entry.is_pending:
                decisions[site] = Decision(ring.name, "halt", halt.because)
            else:
                decisions[site] = _settled(ring, entry, rules.pin_of(site, entry.time_zone, now))
    return decisions


def _proven(ledger: Ledger, trials: Mapping[str, Trial], now: int) -> Ledger:
    """Let go of what has proven itself."""
    sites = dict(ledger.sites)
    for trial in trials.values():
        for site in () if trial.missing else trial.due:
            entry = sites[site]
            left = tuple(each for each in entry.unproven if not is_due(each, trial.ring, now))
            sites[site] = replace(entry, unproven=left)
    return replace(ledger, sites=sites)


class _Held(Struct, frozen=True):
    """Changes in a ring that later rings wait for, by the numbers of their publications.

    They soak until `ends` (0: not at all), or were not offered yet. What a site was given before it was pinned holds up
    nothing that is newer.
    """

    oldest: int
    newest: int
    ends: int = 0
    is_new: bool = False
    is_pending: bool = False
    is_pinned: bool = False

    def holds_up(self, oldest: int, newest: int) -> bool:
        """Whether it holds up changes of the publications from `oldest` to `newest`."""
        return self.oldest <= newest and self.newest >= (newest if self.is_pinned else oldest)


class _Passed:
    """A ring whose sites were decided on, as those of later rings see it."""

    def __init__(self, trial: Trial, held: Sequence[_Held], now: int) -> None:
        self._trial = trial
        self._held = held
        self._now = now
        self._reasons: dict[tuple[int, int], str] = {}

    def holds_up(self, entry: SiteEntry) -> str:
        """Return why the changes that the site waits for wait for this ring; nothing where they do not."""
        oldest, newest = entry.waits_since, entry.published
        if (oldest, newest) not in self._reasons:
            held = [each for each in self._held if each.holds_up(oldest, newest)]
            reason = f"waits for ring {self._trial.ring.name}: {self._what(held)}" if held else ""
            self._reasons[oldest, newest] = reason
        return self._reasons[oldest, newest]

    def _what(self, held: Sequence[_Held]) -> str:
        proving = [each for each in held if not each.is_pending and not each.is_new]
        new, pending = sum(each.is_new for each in held), sum(each.is_pending for each in held)
        if (ends := max((each.ends for each in proving), default=0)) > self._now:
            return f"{_duration(ends - self._now)} of its spread and soak"
        if proving and self._trial.missing:
            return self._trial.waits_for()
        if new:
            return f"{new} of its sites begin now"
        if pending:
            return f"{pending} of its sites have yet to move"
        return f"{len(held)} of its sites had it, and have not proven it"


def _moved(
    ledger: Ledger,
    rings: Rings,
    rules: Rules,
    freezes: _Freezes,
    trials: Mapping[str, Trial],
    now: int,
) -> Promotion:
    def why_not(ring: Ring, site: str, entry: SiteEntry, after: SiteEntry, room: int) -> str:
        assert after.offered is not None
        turn = int(after.offered.turn(site))
        is_first = entry.offered is None
        if (freeze := freezes.at(ring, entry.time_zone, now)) is not None:
            return f"frozen: {freeze.because}"
        if not is_first and (reason := next(filter(None, (each.holds_up(entry) for each in passed)), "")):
            return reason
        if (freeze := freezes.at(ring, entry.time_zone, turn)) is not None:
            return f"its turn in the spread would be frozen: {freeze.because}"
        if room <= 0 and not is_first and not entry.unproven:
            return f"waits for room: {ring.at_once} of ring {ring.name} are under way"
        return ""

    sites, decisions, moved = dict(ledger.sites), {}, []
    passed: list[_Passed] = []
    for ring, own in rings:
        room = ring.at_once - sum(bool(sites[site].unproven) for site in own)
        held = []
        for site in sorted(own, key=lambda site: ledger.sites[site].waits_since):
            entry = sites[site]
            pin = rules.pin_of(site, entry.time_zone, now)
            if not entry.is_pending:
                decisions[site] = _settled(ring, entry, pin)
                held += _unproven(entry, ring)
                continue
            if pin is not None and pin.digest != entry.desired.digest:
                decisions[site] = Decision(ring.name, "inconclusive", _pinned(entry, pin))
                held += _unproven(entry, ring, is_pinned=True)
                continue
            is_first = entry.offered is None
            after = offer(entry, site, rules.spread, now)
            if reason := why_not(ring, site, entry, after, room):
                decisions[site] = Decision(ring.name, "inconclusive", reason)
                if not is_first:
                    held += [*_unproven(entry, ring), _Held(entry.waits_since, entry.published, is_pending=True)]
                continue
            sites[site] = after
            moved.append(site)
            decisions[site] = Decision(ring.name, "go", "its first bundle" if is_first else f"ring {ring.name} moves")
            room -= bool(after.unproven) and not entry.unproven
            held += _unproven(after, ring, is_new=True)
        passed.append(_Passed(trials[ring.name], held, now))
    return Promotion(replace(ledger, at=now if moved else ledger.at, sites=sites), tuple(moved), decisions, trials)


def _unproven(entry: SiteEntry, ring: Ring, *, is_new: bool = False, is_pinned: bool = False) -> list[_Held]:
    last = len(entry.unproven) - 1
    return [
        _Held(
            each.oldest,
            each.newest,
            each.spread_ends + ring.soak,
            is_new=is_new and number == last,
            is_pinned=is_pinned,
        )
        for number, each in enumerate(entry.unproven)
    ]


def _settled(ring: Ring, entry: SiteEntry, pin: Pin | None) -> Decision:
    is_late = pin is not None and _is_against(entry, pin)
    return Decision(
        ring.name, "settled", _pinned(entry, pin) if pin and is_late else "has been offered what is desired"
    )


def _duration(seconds: int) -> str:
    hours, minutes = divmod(-(-seconds // 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
