"""The policy of a rollout, for random fleets: what `promote` never does, and that it ends.

A whole fleet is walked through random rules, reports and changes; each step is held against what the rules say, in
words of the test's own.
"""

from collections import Counter
from datetime import datetime
from math import inf
from zoneinfo import ZoneInfo

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pointsman_compiler.rollout.health import Report, find
from pointsman_compiler.rollout.ledger import (
    Content,
    Ledger,
    Offer,
    SiteEntry,
    publish,
    resume,
)
from pointsman_compiler.rollout.promotion import Promotion, promote
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules
from pointsman_compiler.rollout.summary import summarize
from support.ledgers import (
    ALL_AT_ONCE,
    DAY_S,
    NOON,
    changed,
    content_of,
    digest,
    failing,
    healthy,
    newcomer,
    running,
    turn,
)

ZONES = ("UTC", "Pacific/Auckland", "America/New_York")
SITES = [f"{kind}-{number}" for kind in ("lab", "early", "shop") for number in range(5)]


@st.composite
def rule_sets(draw: st.DrawFn, *, is_endless: bool = True) -> Rules:
    """Rules of one to four rings; with `is_endless`, pins may outlast the walk."""

    def ring(name: str, **selector: object) -> Ring:
        return Ring(
            name,
            soak=draw(st.sampled_from([0, 600, 7200])),
            at_once=draw(st.integers(1, 6)),
            least_reports=draw(st.integers(1, 6)),
            most_failed=draw(st.sampled_from([0, 10, 34, 100])),
            **selector,  # type: ignore[arg-type]  # one of three, each of its own type
        )

    first = [ring("lab", sites=("lab-*",)), ring("south", labels={"region": "south"}), ring("half", share=50)]
    chosen = draw(st.lists(st.sampled_from(first), unique_by=lambda each: each.name, max_size=3))
    freezes = draw(
        st.lists(
            st.sampled_from(
                [
                    Freeze("night", begin="22:00", end="06:00"),
                    Freeze("weekend", days=("sat", "sun")),
                    Freeze("late", begin="13:00", end="15:00", rings=("rest",)),
                    Freeze("season", first_day="2026-11-26", last_day="2026-11-27"),
                ]
            ),
            unique=True,
            max_size=2,
        )
    )
    pinned = draw(st.lists(st.sampled_from(SITES), max_size=3, unique=True))
    until = st.sampled_from(["2026-11-24", "2026-11-26", *(["2030-01-01"] if is_endless else [])])
    pins = {site: Pin(digest(draw(st.sampled_from("abc"))), draw(until), "pinned") for site in pinned}
    return Rules(1, (*chosen, ring("rest")), tuple(freezes), pins, draw(st.sampled_from([0, 300, 7200])))


@st.composite
def fleets(draw: st.DrawFn) -> Ledger:
    """The sites, in some zones and regions, that run their first content."""
    ledger = Ledger()
    for site in SITES:
        labels = {"region": draw(st.sampled_from(["north", "south"]))}
        ledger = publish(ledger, [newcomer(site, "a", 1, draw(st.sampled_from(ZONES)), **labels)], NOON - DAY_S, None)
    return promote(ledger, ALL_AT_ONCE, {}, NOON - DAY_S).ledger


@st.composite
def reports(draw: st.DrawFn, ledger: Ledger, now: int) -> dict[str, Report]:
    """What a fleet might say: of each site that all is well, that it failed, nothing, or something old."""
    health = {}
    rest = draw(
        st.sampled_from([[], [], ["failed", "silent", "old", "early", "ahead", "unreadable", "before", "degraded"]])
    )
    for site in ledger.sites:
        taken = running(ledger, site, now)
        assert taken is not None
        content = taken.content
        said = draw(st.sampled_from(["well", *rest]))
        match said:
            case "well":
                health[site] = Report(now, "running", content.digest)
            case "failed":
                health[site] = Report(now, "degraded", digest("a"), content.digest, content.sequence, "probation", "x")
            case "old":
                health[site] = Report(now - 601, "running", content.digest)
            case "early":
                health[site] = Report(taken.since - 1, "running", content.digest)
            case "ahead":
                health[site] = Report(now + DAY_S, "running", content.digest)
            case "unreadable":
                health[site] = Report(0, "", "", is_unreadable=True)
            case "before":
                health[site] = Report(now, "running", digest("a"))
            case "degraded":
                health[site] = Report(now, "degraded", content.digest)
    return health


FINDINGS = {
    "running": "healthy",
    "stale": "healthy",
    "probation": "under way",
    "degraded": "degraded",
    "waiting": "degraded",
    "": "degraded",
}


@settings(max_examples=300, deadline=None)
@given(
    state=st.sampled_from(sorted(FINDINGS)),
    age=st.sampled_from([-301, -300, 0, 59, 60, 61, 599, 600, 601]),
    active=st.sampled_from("ab"),
    failed=st.sampled_from(["", "a", "b"]),
    sequence=st.sampled_from([None, 1, 2]),
)
def test_what_a_report_says_of_an_offer(state: str, age: int, active: str, failed: str, sequence: int | None) -> None:
    """Offered a minute ago, believed for ten: only what is neither old nor from before the offer counts."""
    offered = Offer(Content(digest("b"), 2, "b" * 64, 100), NOON - 60, NOON - 60)
    report = Report(NOON - age, state, digest(active), digest(failed) if failed else "", sequence)

    found = find(offered, report, NOON, 600)

    if age < -300:
        assert found == "unreadable"
    elif age > 60:
        assert found == "silent"
    elif active == "b":
        assert found == FINDINGS[state]
    else:
        assert found == ("failed" if failed == "b" and sequence != 1 else "under way")
    older = find(replace(offered, since=0), report, NOON, 600)
    assert (older == "silent") == (age > 600)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_promote_never_does_more_than_the_rules_allow_and_explains_every_site(data: st.DataObject) -> None:
    rules = data.draw(rule_sets())
    ledger, now, runs = data.draw(fleets()), NOON, Runs()
    for step in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            some = data.draw(st.lists(st.sampled_from(SITES), min_size=1, unique=True))
            before, ledger = ledger, changed(ledger, data.draw(st.sampled_from("abc")), 10 + step, some)
            runs.published(before, ledger)
        if ledger.halt is not None and data.draw(st.booleans()):
            ledger = resume(ledger)
        health = data.draw(reports(ledger, now))
        runs.go_on(ledger, now)

        promotion = promote(ledger, rules, health, now)

        assert_every_site_is_explained(ledger, promotion)
        assert_no_halt_is_passed(ledger, promotion, now)
        assert_no_pin_or_freeze_is_passed(ledger, rules, promotion, now)
        assert_rings_hold_no_more_than_they_allow(rules, promotion)
        assert_earlier_rings_have_proven_themselves(ledger, rules, runs, promotion, now)
        assert_nothing_is_proven_without_reports(ledger, rules, health, promotion, now)
        assert promote(ledger, rules, health, now) == promotion
        ledger, now = promotion.ledger, now + data.draw(st.sampled_from([60, 900, 8000, DAY_S]))


def assert_every_site_is_explained(before: Ledger, promotion: Promotion) -> None:
    assert set(promotion.decisions) == set(before.sites)
    moved = {site for site, decision in promotion.decisions.items() if decision.verdict == "go"}
    assert moved == set(promotion.moved)
    assert not moved & set(promotion.withdrawn)
    for site, decision in promotion.decisions.items():
        assert decision.reason
        after = promotion.ledger.sites[site]
        if site in moved:
            assert after.offered is not None
            assert after.offered.content == after.desired == before.sites[site].desired
            continue
        assert (decision.verdict == "settled") == (not after.is_pending)
        if site in promotion.taken:
            assert after.offered == before.sites[site].withdrawn
        elif site in promotion.withdrawn:
            assert after.offered == before.sites[site].before
        else:
            assert content_of(after) == content_of(before.sites[site])


def assert_no_halt_is_passed(before: Ledger, promotion: Promotion, now: int) -> None:
    if before.halt is not None:
        assert promotion.ledger.halt == before.halt
    if promotion.ledger.halt is not None:
        assert promotion.moved == ()
        assert {decision.verdict for decision in promotion.decisions.values()} <= {"halt", "settled"}
        assert [site for site in before.sites if turn(promotion.ledger, site) > now] == []


def assert_no_pin_or_freeze_is_passed(before: Ledger, rules: Rules, promotion: Promotion, now: int) -> None:
    for site, entry in before.sites.items():
        pin = rules.pins.get(site)
        is_pinned = pin is not None and local_time(entry, now).date().isoformat() <= pin.until
        after = promotion.ledger.sites[site].offered
        if pin is not None and is_pinned and after is not None and after.content.digest != pin.digest:
            assert turn(promotion.ledger, site) <= now
            assert site not in promotion.moved
            assert promotion.ledger.halt or "too late" in promotion.decisions[site].reason
    for site in promotion.moved:
        for at in (now, turn(promotion.ledger, site)):
            local = local_time(before.sites[site], at)
            for freeze in rules.freezes:
                name = freeze.because
                if name == "night":
                    assert 6 <= local.hour < 22
                elif name == "weekend":
                    assert local.weekday() < 5
                elif name == "late" and promotion.decisions[site].ring == "rest":
                    assert not 13 <= local.hour < 15
                elif name == "season":
                    assert local.date().isoformat() not in ("2026-11-26", "2026-11-27")


def local_time(entry: SiteEntry, at: float) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(entry.time_zone))


def assert_rings_hold_no_more_than_they_allow(rules: Rules, promotion: Promotion) -> None:
    under_way = Counter(
        promotion.decisions[site].ring for site, entry in promotion.ledger.sites.items() if entry.unproven
    )
    for ring in rules.rings:
        assert under_way[ring.name] <= ring.at_once


class Runs:
    """What the sites of a fleet ran, since when: they take what they are offered at their turn, and run it."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, int], int] = {}
        self.since: dict[str, dict[int, float]] = {site: {} for site in SITES}

    def published(self, before: Ledger, after: Ledger) -> None:
        """Remember which publication changed which site."""
        assert after.published is not None
        for site, entry in after.sites.items():
            if entry.desired != before.sites[site].desired:
                self.numbers[site, entry.desired.sequence] = after.published.number
                self.since[site][after.published.number] = inf

    def go_on(self, ledger: Ledger, now: int) -> None:
        """Let each site take what it is offered, where its turn has come. What came to nothing is forgotten."""
        for site, entry in ledger.sites.items():
            assert entry.offered is not None
            number = self.numbers.get((site, entry.offered.content.sequence), 0)
            if not entry.is_pending:
                self.since[site] = {one: at for one, at in self.since[site].items() if one <= number}
            if (at := turn(ledger, site)) <= now:
                self.since[site] |= {one: min(at, known) for one, known in self.since[site].items() if one <= number}


def assert_earlier_rings_have_proven_themselves(
    before: Ledger, rules: Rules, runs: Runs, promotion: Promotion, now: int
) -> None:
    """A site moves when what was published with its changes has run in the rings before it, and soaked."""
    names = [ring.name for ring in rules.rings]
    for moved in promotion.moved:
        ring_of_moved = names.index(promotion.decisions[moved].ring)
        for site, decision in promotion.decisions.items():
            ring = rules.rings[names.index(decision.ring)]
            is_earlier = names.index(ring.name) < ring_of_moved
            if not is_earlier or (before.sites[site].is_pending and decision.reason.startswith("pinned")):
                continue
            brought = {number for number, at in runs.since[moved].items() if at == inf}
            assert brought
            assert [n for n, at in runs.since[site].items() if n in brought and now < at + ring.soak] == []


def assert_nothing_is_proven_without_reports(
    before: Ledger, rules: Rules, health: dict[str, Report], promotion: Promotion, now: int
) -> None:
    after = promotion.ledger.sites
    for ring in rules.rings:
        own = [site for site, decision in promotion.decisions.items() if decision.ring == ring.name]
        under_way = {site: says(health.get(site), before, site, now) for site in own if before.sites[site].unproven}
        soaked = {
            site: said
            for site, said in under_way.items()
            if now >= before.sites[site].unproven[0].spread_ends + ring.soak
            and (said == "well" or not before.sites[site].is_pending)
        }
        if all(before.sites[site].unproven[0] in after[site].unproven for site in soaked):
            continue
        assert promotion.ledger.halt is None
        assert len(soaked) - list(soaked.values()).count("nothing") >= min(ring.least_reports, len(soaked))
        assert list(under_way.values()).count("failed") * 100 <= ring.most_failed * len(under_way)


def says(report: Report | None, ledger: Ledger, site: str, now: int) -> str:
    """What a report says of what a site has to prove first: of what it has, or of what it is to take."""
    entry = ledger.sites[site]
    assert entry.offered is not None
    is_older = entry.unproven[0].oldest < entry.offered.brings
    offer = running(ledger, site, now) if is_older else entry.offered
    assert offer is not None
    if report is None or not max(now - 600, offer.since) <= report.at <= now + 300:
        return "nothing"
    if report.active == offer.content.digest:
        return "well" if report.state == "running" else "nothing"
    if report.failed == offer.content.digest and report.failed_sequence == offer.content.sequence:
        return "excused" if offer.is_excused else "failed"
    return "nothing"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_rollout_ends_when_all_is_healthy(data: st.DataObject) -> None:
    rules = data.draw(rule_sets(is_endless=False))
    ledger, now = changed(data.draw(fleets())), NOON
    for _ in range(24 * 30):
        if not any(entry.is_pending or entry.unproven for entry in ledger.sites.values()):
            break
        ledger, now = promote(ledger, rules, healthy(ledger, now), now).ledger, now + 3 * 3600

    assert ledger.halt is None
    assert [site for site, entry in ledger.sites.items() if entry.is_pending or entry.unproven] == []


@settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(st.data())
def test_a_bad_change_is_halted_and_its_fix_reaches_all_sites(data: st.DataObject) -> None:
    """It fails at some sites for good, whatever the rings need; who is told of a halt publishes a fix and resumes."""
    rules = data.draw(rule_sets(is_endless=False))
    rules = replace(rules, rings=tuple(replace(ring, least_reports=20) for ring in rules.rings))
    ledger, now = changed(data.draw(fleets())), NOON
    broken = data.draw(st.sets(st.sampled_from(SITES), min_size=1))
    for _ in range(24 * 30):
        if not any(entry.is_pending or entry.unproven for entry in ledger.sites.values()):
            break
        health = healthy(ledger, now)
        for site in broken:
            taken = running(ledger, site, now)
            if taken is not None and taken.content.digest == digest("b"):
                health[site] = replace(failing(ledger, site, now), failed=digest("b"), failed_sequence=2)
        ledger, now = promote(ledger, rules, health, now).ledger, now + 3600
        if ledger.halt is not None:
            ledger = resume(changed(ledger, "c", 3))

    assert [site for site, entry in ledger.sites.items() if entry.is_pending or entry.unproven] == []


@settings(max_examples=40, deadline=None, phases=[Phase.generate])  # to shrink such walks takes minutes
@given(st.data())
def test_what_changes_in_earlier_rings_all_the_time_holds_up_no_later_ring(data: st.DataObject) -> None:
    """One change for all; then the sites of the earlier rings change again and again, and all is healthy."""
    rules = data.draw(rule_sets(is_endless=False))
    ledger, now = changed(data.draw(fleets())), NOON
    last = [site for site, entry in ledger.sites.items() if rules.ring_of(site, entry.labels) == len(rules.rings) - 1]
    earlier = sorted(set(SITES) - set(last))
    often, is_some = data.draw(st.sampled_from([1800, 3600, 3 * 3600])), data.draw(st.booleans())
    for step in range(24 * 30):
        if not any(ledger.sites[site].is_pending for site in last):
            break
        ledger = promote(ledger, rules, healthy(ledger, now), now).ledger
        some = data.draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier and is_some else earlier
        ledger, now = changed(ledger, "abc"[step % 3], 10 + step, some), now + often

    assert [site for site in last if ledger.sites[site].is_pending] == []


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_summary_never_takes_more_than_ten_lines_of_eighty_characters(data: st.DataObject) -> None:
    rules = data.draw(rule_sets())
    ledger = promote(changed(data.draw(fleets())), rules, {}, NOON).ledger
    lines = summarize(ledger, rules, data.draw(reports(ledger, NOON + 60)), NOON + 60).splitlines()

    assert 3 <= len(lines) <= 10
    assert max(map(len, lines)) <= 80
