"""The policy of a rollout: what `promote` lets through, and what it never does.

The properties walk a whole fleet through random rules and reports; each step is held against what the rules say, in
words of the test's own. The cases say the same in examples.
"""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pointsman_agent.sources.tuf import turn_of
from pointsman_compiler.rollout.health import Report, find
from pointsman_compiler.rollout.ledger import (
    Content,
    Ledger,
    LedgerError,
    Newcomer,
    Offer,
    SiteEntry,
    halt,
    publish,
    read_ledger,
    resume,
    write_ledger,
)
from pointsman_compiler.rollout.promotion import Promotion, promote
from pointsman_compiler.rollout.repository import _target
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules
from pointsman_compiler.rollout.summary import decided, explain_site, summarize

NOON = int(datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp())  # a Wednesday
DAY_S = 24 * 3600


def digest(name: str) -> str:
    return f"sha256:{name * 64}"[:71]


def newcomer(site: str, name: str, sequence: int, time_zone: str = "UTC", **labels: str) -> Newcomer:
    return Newcomer(site, time_zone, labels, Content(digest(name), sequence, name * 64, 100))


def settled(sites: list[str], time_zone: str = "UTC", **labels: str) -> Ledger:
    """A fleet that runs its first content, and was offered nothing since."""
    ledger = publish(Ledger(), [newcomer(site, "a", 1, time_zone, **labels) for site in sites], NOON - DAY_S, None)
    return promote(ledger, ALL_AT_ONCE, {}, NOON - DAY_S).ledger


def changed(ledger: Ledger, name: str = "b", sequence: int = 2, sites: list[str] | None = None) -> Ledger:
    new = [
        newcomer(site, name, sequence, entry.time_zone, **entry.labels)
        for site, entry in ledger.sites.items()
        if sites is None or site in sites
    ]
    return publish(ledger, new, NOON, "abcdef")


def healthy(ledger: Ledger, now: int) -> dict[str, Report]:
    return {
        site: Report(now, "running", entry.offered.content.digest)
        for site, entry in ledger.sites.items()
        if entry.offered is not None
    }


def failing(ledger: Ledger, site: str, now: int) -> Report:
    offer = ledger.sites[site].offered
    assert offer is not None
    content = offer.content
    return Report(now, "degraded", digest("a"), content.digest, content.sequence, "probation", "LAB-1: refused")


def verdicts(promotion: Promotion) -> dict[str, str]:
    return {site: decision.verdict for site, decision in promotion.decisions.items()}


ALL_AT_ONCE = Rules(1, (Ring("all"),))
TWO_RINGS = Rules(1, (Ring("lab", sites=("lab-*",), soak=600), Ring("rest", soak=600)), spread=60)
FLEET = ["lab-1", "lab-2", "lyon", "utrecht"]


def test_the_first_ring_moves_and_the_next_one_waits_for_it() -> None:
    first = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON)

    assert first.moved == ("lab-1", "lab-2")
    assert first.decisions["lyon"].verdict == "inconclusive"
    assert first.decisions["lyon"].reason == "waits for ring lab: 2 of its sites begin now"


def test_a_ring_has_to_soak_and_to_report_before_the_next_one_moves() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger

    early = promote(ledger, TWO_RINGS, healthy(ledger, NOON + 659), NOON + 659)
    silent = promote(ledger, TWO_RINGS, {}, NOON + 660)
    proven = promote(ledger, TWO_RINGS, healthy(ledger, NOON + 660), NOON + 660)

    assert early.moved == silent.moved == ()
    assert early.decisions["lyon"].reason == "waits for ring lab: 1 min of its spread and soak"
    assert silent.decisions["lyon"].reason == "waits for ring lab: 1 more report of 1 (2 silent)"
    assert proven.moved == ("lyon", "utrecht")


def test_a_failure_beyond_what_the_ring_allows_halts_all_rings_with_its_reason() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {**healthy(ledger, NOON + 60), "lab-1": failing(ledger, "lab-1", NOON + 60)}

    halted = promote(ledger, TWO_RINGS, health, NOON + 60)

    assert halted.ledger.halt is not None
    reason = "ring lab: 1 of 2 that reported failed, lab-1 first (probation: LAB-1: refused)"
    assert halted.ledger.halt.because == reason
    assert verdicts(halted) == {"lab-1": "settled", "lab-2": "settled", "lyon": "halt", "utrecht": "halt"}


def test_a_halt_stays_though_all_is_healthy_again_until_a_person_lifts_it() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    halted = promote(ledger, TWO_RINGS, {"lab-1": failing(ledger, "lab-1", NOON + 60)}, NOON + 60).ledger
    later = NOON + 10 * DAY_S

    assert promote(halted, TWO_RINGS, healthy(halted, later), later).moved == ()
    assert promote(resume(halted), TWO_RINGS, healthy(halted, later), later).moved == ("lyon", "utrecht")


def test_a_halt_that_is_lifted_while_the_failure_stands_comes_again() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {"lab-1": failing(ledger, "lab-1", NOON + 60)}
    halted = promote(ledger, TWO_RINGS, health, NOON + 60).ledger

    again = promote(resume(halted), TWO_RINGS, health, NOON + 120)

    assert again.ledger.halt is not None
    assert again.moved == ()


def test_failures_that_a_person_excused_no_longer_count() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {**healthy(ledger, NOON + 660), "lab-1": failing(ledger, "lab-1", NOON + 660)}
    halted = promote(ledger, TWO_RINGS, health, NOON + 660).ledger

    assert promote(resume(halted, ["lab-1"]), TWO_RINGS, health, NOON + 660).moved == ("lyon", "utrecht")


def test_a_fix_goes_through_the_rings_once_the_halt_is_lifted() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {"lab-1": failing(ledger, "lab-1", NOON + 60)}
    halted = promote(ledger, TWO_RINGS, health, NOON + 60).ledger
    fixed = changed(halted, "c", 3)

    assert promote(fixed, TWO_RINGS, health, NOON + 120).moved == ()
    assert promote(resume(fixed), TWO_RINGS, health, NOON + 120).moved == ("lab-1", "lab-2")


def test_old_content_with_a_new_sequence_is_a_change_for_those_that_moved_and_none_for_the_rest() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger

    back = promote(changed(ledger, "a", 3), TWO_RINGS, {}, NOON + 60)

    assert back.moved == ("lab-1", "lab-2")
    assert verdicts(back)["lyon"] == "settled"


def test_a_failure_of_an_earlier_sequence_with_the_same_content_is_no_failure_of_this_one() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    old = {"lab-1": replace(failing(ledger, "lab-1", NOON + 60), failed_sequence=1)}

    assert promote(ledger, TWO_RINGS, old, NOON + 60).ledger.halt is None


def test_a_change_within_the_last_ring_alone_goes_in_batches() -> None:
    rules = Rules(1, (Ring("lab", sites=("lab-*",)), Ring("rest", soak=0, at_once=2)), spread=0)
    ledger = changed(settled(["lab-1", "s1", "s2", "s3"]), sites=["s1", "s2", "s3"])

    first = promote(ledger, rules, {}, NOON)
    waiting = promote(first.ledger, rules, {}, NOON + 1)
    last = promote(first.ledger, rules, healthy(first.ledger, NOON + 1), NOON + 1)

    assert first.moved == ("s1", "s2")
    assert waiting.moved == ()
    assert waiting.decisions["s3"].reason == "waits for room: 2 of ring rest are under way"
    assert last.moved == ("s3",)


def test_a_pin_holds_until_its_day_is_over_where_the_site_is() -> None:
    pin = Pin(digest("a"), "2026-11-25", "works in the yard")
    rules = replace(ALL_AT_ONCE, pins={"auckland": pin})
    ledger = changed(settled(["auckland"], "Pacific/Auckland"))
    midnight = int(datetime(2026, 11, 26, tzinfo=ZoneInfo("Pacific/Auckland")).timestamp())

    before = promote(ledger, rules, {}, midnight - 1)

    assert before.decisions["auckland"].reason == "pinned until 2026-11-25: works in the yard"
    assert promote(ledger, rules, {}, midnight).moved == ("auckland",)


def test_a_pinned_site_does_not_hold_up_the_rings_behind_it() -> None:
    rules = replace(
        TWO_RINGS,
        pins={"lab-1": Pin(digest("a"), "2027-01-01", "kept"), "lab-2": Pin(digest("a"), "2027-01-01", "kept")},
    )

    assert promote(changed(settled(FLEET)), rules, {}, NOON).moved == ("lyon", "utrecht")


def test_a_pin_to_what_is_desired_lets_it_come() -> None:
    rules = replace(ALL_AT_ONCE, pins={"lyon": Pin(digest("b"), "2027-01-01", "kept")})

    assert promote(changed(settled(["lyon"])), rules, {}, NOON).moved == ("lyon",)


@pytest.mark.parametrize(
    ("freeze", "begins", "ends"),
    [
        (Freeze("x", begin="07:00", end="19:00"), "2026-11-25T07:00", "2026-11-25T19:00"),
        (Freeze("x", begin="22:00", end="05:00"), "2026-11-25T22:00", "2026-11-26T05:00"),
        (Freeze("x", days=("sat", "sun")), "2026-11-28T00:00", "2026-11-30T00:00"),
        (Freeze("x", days=("fri",), begin="22:00", end="05:00"), "2026-11-27T22:00", "2026-11-28T05:00"),
        (Freeze("x", first_day="2026-12-20", last_day="2027-01-02"), "2026-12-20T00:00", "2027-01-03T00:00"),
    ],
)
def test_a_freeze_begins_and_ends_by_the_clock_of_the_site(freeze: Freeze, begins: str, ends: str) -> None:
    zone = "America/New_York"
    rules = replace(ALL_AT_ONCE, freezes=(freeze,), spread=0)
    ledger = changed(settled(["york"], zone))
    first, end = (int(datetime.fromisoformat(one).replace(tzinfo=ZoneInfo(zone)).timestamp()) for one in (begins, ends))

    moves = [bool(promote(ledger, rules, {}, at).moved) for at in (first - 60, first, end - 60, end)]

    assert moves == [True, False, False, True]


def test_a_freeze_of_one_ring_lets_the_others_go() -> None:
    rules = replace(TWO_RINGS, freezes=(Freeze("closed", begin="00:00", end="23:00", rings=("rest",)),))

    assert promote(changed(settled(FLEET)), rules, {}, NOON).moved == ("lab-1", "lab-2")


def test_rings_take_sites_by_pattern_label_and_share() -> None:
    names = [f"s{number}" for number in range(1000)]
    rules = Rules(1, (Ring("tenth", share=10), Ring("north", labels={"region": "north"}), Ring("rest")))

    rings = Counter(rules.ring_of(name, {"region": "north"} if name.endswith("7") else {}) for name in names)
    grown = replace(rules, rings=(Ring("tenth", share=20), *rules.rings[1:]))

    assert 70 < rings[0] < 130
    assert 70 < rings[1] < 110
    assert all(grown.ring_of(name, {}) == 0 for name in names if rules.ring_of(name, {}) == 0)


def test_a_sequence_that_falls_is_not_published() -> None:
    with pytest.raises(LedgerError, match="lyon: sequence 1 is not above 1, which is published"):
        publish(settled(["lyon"]), [newcomer("lyon", "b", 1)], NOON, None)


def test_the_same_configuration_is_no_change_whatever_its_sequence() -> None:
    ledger = settled(["lyon"])

    assert publish(ledger, [newcomer("lyon", "a", 7)], NOON, None) == ledger


def test_a_ledger_is_read_as_it_was_written() -> None:
    ledger, _ = halt(promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger, "christmas", NOON)

    assert read_ledger(write_ledger(ledger)) == ledger
    with pytest.raises(LedgerError, match="halted already: christmas"):
        halt(ledger, "twice", NOON)
    with pytest.raises(LedgerError, match="cannot be read"):
        read_ledger(b"{")


def test_the_summary_says_where_a_change_is_and_what_it_waits_for() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = healthy(ledger, NOON + 60)

    assert summarize(ledger, TWO_RINGS, health, NOON + 60) == (
        "published 2026-11-25T12:00:00Z (abcdef): 2 of 4 sites have been offered it\n"
        "ring              sites  offered  on trial\n"
        "lab                   2        2  2 healthy\n"
        "rest                  2        0  -\n"
        "2 wait: waits for ring lab: 10 min of its spread and soak\n"
    )
    assert "ring rest: inconclusive: waits for ring lab" in explain_site(ledger, TWO_RINGS, health, NOON + 60, "lyon")
    assert decided(promote(ledger, TWO_RINGS, health, NOON + 60))[0].split()[:2] == ["settled", "2"]


def test_a_report_that_cannot_be_believed_counts_neither_way() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    now = NOON + 660
    ahead = {
        "lab-1": replace(healthy(ledger, now)["lab-1"], at=now + 10 * 365 * DAY_S),
        "lab-2": Report(0, "", "", is_unreadable=True),
    }

    promotion = promote(ledger, TWO_RINGS, ahead, now)

    assert promotion.moved == ()
    assert promotion.ledger.halt is None
    assert promotion.decisions["lyon"].reason == "waits for ring lab: 1 more report of 1 (2 unreadable)"
    for site in ahead:
        assert "reported  an unreadable report" in explain_site(ledger, TWO_RINGS, ahead, now, site)
    skewed = {"lab-1": replace(healthy(ledger, now)["lab-1"], at=now + 60)}
    assert promote(ledger, TWO_RINGS, skewed, now).moved == ("lyon", "utrecht")


LARGE = [f"s{number:03}" for number in range(100)]
SLOW = Rules(1, (Ring("all", soak=0),), spread=7200)


def to_come(ledger: Ledger, now: int) -> set[str]:
    return {site for site in ledger.sites if turn(ledger, site) > now}


def test_a_halt_takes_back_what_is_still_to_be_taken() -> None:
    ledger = promote(changed(settled(LARGE)), SLOW, {}, NOON).ledger
    waiting, now = to_come(ledger, NOON + 600), NOON + 600
    health = {site: failing(ledger, site, now) for site in sorted(set(LARGE) - waiting)[:2]}

    halted = promote(ledger, SLOW, health, now)

    assert 80 < len(waiting) < 100
    assert set(halted.withdrawn) == waiting
    assert to_come(halted.ledger, now) == set()
    for site, entry in halted.ledger.sites.items():
        assert entry.offered is not None
        assert entry.offered.content.digest == digest("a" if site in waiting else "b")
        assert halted.decisions[site].verdict == ("halt" if site in waiting else "settled")
    again = promote(resume(changed(halted.ledger, "c", 3)), SLOW, health, now + 60)
    assert set(again.moved) == set(LARGE)


def test_a_halt_by_a_person_takes_back_what_is_still_to_be_taken() -> None:
    ledger = promote(changed(settled(LARGE)), SLOW, {}, NOON).ledger

    halted, withdrawn = halt(ledger, "calls", NOON + 600)

    assert set(withdrawn) == to_come(ledger, NOON + 600)
    assert to_come(halted, NOON + 600) == set()
    again = promote(resume(halted), SLOW, healthy(halted, NOON + 700), NOON + 700)
    assert set(again.moved) == set(withdrawn)


def test_a_first_bundle_that_is_still_to_be_taken_is_taken_back_to_nothing() -> None:
    first = publish(Ledger(), [newcomer(site, "a", 1) for site in LARGE], NOON, None)
    offered = promote(first, SLOW, {}, NOON).ledger

    halted, withdrawn = halt(offered, "calls", NOON + 600)

    assert withdrawn
    assert {halted.sites[site].offered for site in withdrawn} == {None}


def test_a_site_that_never_took_an_offer_goes_back_to_what_it_has() -> None:
    ledger = promote(changed(settled(["lyon"])), SLOW, {}, NOON).ledger
    over = promote(changed(ledger, "c", 3), SLOW, {}, NOON + 1).ledger

    halted, _ = halt(over, "calls", NOON + 2)

    assert content_of(halted.sites["lyon"]) == Content(digest("a"), 1, "a" * 64, 100)


def test_no_site_is_offered_what_it_would_take_within_a_freeze() -> None:
    rules = replace(SLOW, freezes=(Freeze("yard full", begin="12:30", end="22:00"),))

    promotion = promote(changed(settled(LARGE)), rules, {}, NOON)

    assert 10 < len(promotion.moved) < 50
    assert {turn(promotion.ledger, site) < NOON + 1800 for site in promotion.moved} == {True}
    waiting = {decision.reason for decision in promotion.decisions.values() if decision.verdict == "inconclusive"}
    assert waiting == {"its turn in the spread would be frozen: yard full"}


def test_a_pin_takes_back_what_is_still_to_be_taken() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    rules = replace(TWO_RINGS, pins={"lab-1": Pin(digest("a"), "2030-01-01", "kept")})

    promotion = promote(ledger, rules, {}, NOON)

    assert promotion.withdrawn == ("lab-1",)
    assert content_of(promotion.ledger.sites["lab-1"]) == Content(digest("a"), 1, "a" * 64, 100)
    assert promotion.decisions["lab-1"].reason == "pinned until 2030-01-01: kept"


def test_a_pin_that_came_too_late_says_so_and_what_to_do() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    rules = replace(TWO_RINGS, pins={"lab-1": Pin(digest("a"), "2030-01-01", "kept")})
    now = NOON + 60

    promotion = promote(ledger, rules, {}, now)

    assert promotion.withdrawn == ()
    assert promotion.decisions["lab-1"].reason == (
        "pinned until 2030-01-01: kept; too late, it was offered something else: "
        "publish what it is pinned to with a new sequence"
    )
    assert "pins that came too late: 1, lab-1 first" in summarize(ledger, rules, {}, now)
    back = promote(changed(ledger, "a", 3, ["lab-1"]), rules, {}, now)
    assert back.moved == ("lab-1",)


# --- Properties: a fleet is walked through random rules, reports and changes ---------------------------------------

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
    for site, entry in ledger.sites.items():
        assert entry.offered is not None
        content = entry.offered.content
        said = draw(st.sampled_from(["well", *rest]))
        match said:
            case "well":
                health[site] = Report(now, "running", content.digest)
            case "failed":
                health[site] = Report(now, "degraded", digest("a"), content.digest, content.sequence, "probation", "x")
            case "old":
                health[site] = Report(now - 601, "running", content.digest)
            case "early":
                health[site] = Report(entry.offered.since - 1, "running", content.digest)
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
    offered = Offer(Content(digest("b"), 2, "b" * 64, 100), NOON - 60, NOON - 60, is_open=True)
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
    ledger, now = data.draw(fleets()), NOON
    for step in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            some = data.draw(st.lists(st.sampled_from(SITES), min_size=1, unique=True))
            ledger = changed(ledger, data.draw(st.sampled_from("abc")), 10 + step, some)
        if ledger.halt is not None and data.draw(st.booleans()):
            ledger = resume(ledger)
        health = data.draw(reports(ledger, now))

        promotion = promote(ledger, rules, health, now)

        assert_every_site_is_explained(ledger, promotion)
        assert_no_halt_is_passed(ledger, promotion, now)
        assert_no_pin_or_freeze_is_passed(ledger, rules, promotion, now)
        assert_rings_hold_no_more_than_they_allow(rules, promotion)
        assert_earlier_rings_have_proven_themselves(ledger, rules, health, promotion, now)
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
        if site in promotion.withdrawn:
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


def turn(ledger: Ledger, site: str) -> float:
    """When the site takes what it is offered, as its agent reckons; 0 where it is offered nothing."""
    offered = ledger.sites[site].offered
    return 0 if offered is None else turn_of(_target(site, offered), site).timestamp()


def assert_rings_hold_no_more_than_they_allow(rules: Rules, promotion: Promotion) -> None:
    under_way = Counter(
        promotion.decisions[site].ring for site, entry in promotion.ledger.sites.items() if entry.is_on_trial
    )
    for ring in rules.rings:
        assert under_way[ring.name] <= ring.at_once


def assert_earlier_rings_have_proven_themselves(
    before: Ledger, rules: Rules, health: dict[str, Report], promotion: Promotion, now: int
) -> None:
    """When a ring moves: all before it have moved, soaked, reported, and did not fail beyond their share."""
    if not promotion.moved:
        return
    names = [ring.name for ring in rules.rings]
    latest = max(names.index(promotion.decisions[site].ring) for site in promotion.moved)
    for ring in rules.rings[:latest]:
        own = [site for site, decision in promotion.decisions.items() if decision.ring == ring.name]
        assert not set(own) & set(promotion.moved) or all(before.sites[site].offered is None for site in own)
        pending = [site for site in own if before.sites[site].is_pending and site not in promotion.moved]
        assert all("pinned" in promotion.decisions[site].reason for site in pending)
        trial = [site for site in own if before.sites[site].is_on_trial]
        if not trial:
            continue
        well = [site for site in trial if says(health.get(site), before, site, now) == "well"]
        bad = [site for site in trial if says(health.get(site), before, site, now) == "failed"]
        assert len(well) + len(bad) >= min(ring.least_reports, len(trial))
        assert len(bad) * 100 <= ring.most_failed * (len(well) + len(bad))
        for site in trial:
            offer = before.sites[site].offered
            assert offer is not None
            assert now >= offer.spread_ends + ring.soak


def says(report: Report | None, ledger: Ledger, site: str, now: int) -> str:
    offer = ledger.sites[site].offered
    assert offer is not None
    if report is None or not max(now - 600, offer.since) <= report.at <= now + 300:
        return "nothing"
    if report.active == offer.content.digest:
        return "well" if report.state == "running" else "nothing"
    return "failed" if report.failed == offer.content.digest else "nothing"


def content_of(entry: object) -> Content | None:
    offered = getattr(entry, "offered", None)
    return None if offered is None else offered.content


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_rollout_ends_when_all_is_healthy(data: st.DataObject) -> None:
    rules = data.draw(rule_sets(is_endless=False))
    ledger, now = changed(data.draw(fleets())), NOON
    for _ in range(24 * 30):
        if not any(entry.is_pending or entry.is_on_trial for entry in ledger.sites.values()):
            break
        ledger, now = promote(ledger, rules, healthy(ledger, now), now).ledger, now + 3 * 3600

    assert ledger.halt is None
    assert [site for site, entry in ledger.sites.items() if entry.is_pending or entry.is_on_trial] == []


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_summary_never_takes_more_than_ten_lines_of_eighty_characters(data: st.DataObject) -> None:
    rules = data.draw(rule_sets())
    ledger = promote(changed(data.draw(fleets())), rules, {}, NOON).ledger
    lines = summarize(ledger, rules, data.draw(reports(ledger, NOON + 60)), NOON + 60).splitlines()

    assert 3 <= len(lines) <= 10
    assert max(map(len, lines)) <= 80
