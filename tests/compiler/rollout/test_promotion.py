"""The policy of a rollout: what `promote` lets through, and what it never does.

The same for random fleets is in test_promotion_properties.py.
"""

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.ledger import (
    Content,
    Ledger,
    LedgerError,
    halt,
    present,
    publish,
    read_ledger,
    resume,
    write_ledger,
)
from pointsman_compiler.rollout.promotion import Promotion, brake, promote
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules
from pointsman_compiler.rollout.summary import decided, explain_site, summarize
from support.ledgers import (
    ALL_AT_ONCE,
    DAY_S,
    NOON,
    TWO_RINGS,
    changed,
    content_of,
    digest,
    failing,
    healthy,
    newcomer,
    settled,
    turn,
)


def verdicts(promotion: Promotion) -> dict[str, str]:
    return {site: decision.verdict for site, decision in promotion.decisions.items()}


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
    assert silent.decisions["lyon"].reason == "waits for ring lab: 1 more report of 1 (2 silent; lab-1 first)"
    assert proven.moved == ("lyon", "utrecht")


def test_a_failure_beyond_what_the_ring_allows_halts_all_rings_with_its_reason() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {**healthy(ledger, NOON + 60), "lab-1": failing(ledger, "lab-1", NOON + 60)}

    halted = promote(ledger, TWO_RINGS, health, NOON + 60)

    assert halted.ledger.halt is not None
    reason = "ring lab: 1 of 2 that reported failed, lab-1 first (probation: LAB-1: refused)"
    assert halted.ledger.halt.because == reason
    assert verdicts(halted) == {"lab-1": "settled", "lab-2": "settled", "lyon": "halt", "utrecht": "halt"}


def test_failures_halt_before_enough_have_reported_when_they_are_too_many_whatever_the_others_say() -> None:
    rules = Rules(1, (Ring("all", least_reports=5, most_failed=20),), spread=0)
    ledger = promote(changed(settled([f"s{number}" for number in range(10)])), rules, {}, NOON).ledger
    health = {f"s{number}": failing(ledger, f"s{number}", NOON + 60) for number in range(3)}

    assert promote(ledger, rules, dict(list(health.items())[:2]), NOON + 60).ledger.halt is None
    assert promote(ledger, rules, health, NOON + 60).ledger.halt is not None


def test_of_those_that_reported_no_more_may_fail_than_the_ring_allows_once_enough_have() -> None:
    rules = Rules(1, (Ring("all", least_reports=2, most_failed=40),), spread=0)
    ledger = promote(changed(settled([f"s{number}" for number in range(10)])), rules, {}, NOON).ledger
    health = {"s0": failing(ledger, "s0", NOON + 60), "s1": healthy(ledger, NOON + 60)["s1"]}

    assert promote(ledger, rules, {"s0": health["s0"]}, NOON + 60).ledger.halt is None
    assert promote(ledger, rules, health, NOON + 60).ledger.halt is not None


def test_a_first_bundle_waits_for_no_room_and_takes_none() -> None:
    rules = Rules(1, (Ring("all", at_once=1),), spread=0)
    ledger = publish(settled(["m", "n"]), [newcomer(site, "a", 1) for site in ("a", "b", "z")], NOON, None)

    assert promote(changed(ledger, sites=["m", "n"]), rules, {}, NOON).moved == ("a", "b", "z", "m")
    full = promote(changed(settled(["m", "n"])), rules, {}, NOON).ledger
    assert promote(publish(full, [newcomer("z", "a", 1)], NOON, None), rules, {}, NOON).moved == ("z",)


def test_a_site_that_is_under_way_takes_no_more_room_by_the_next_change() -> None:
    rules = Rules(1, (Ring("all", at_once=2),), spread=0)
    ledger = promote(changed(settled(["s1", "s2"]), sites=["s1"]), rules, {}, NOON).ledger

    assert promote(changed(ledger, "c", 3), rules, {}, NOON).moved == ("s1", "s2")


def test_what_a_site_ran_before_is_no_report_of_what_it_is_still_to_take() -> None:
    ledger = promote(changed(settled(LARGE)), SLOW, {}, NOON).ledger

    trial = promote(ledger, SLOW, healthy(ledger, NOON + 1), NOON + 1).trials["all"]

    assert trial.words() == "100 under way"


def test_publications_without_a_revision_are_not_one() -> None:
    ledger = publish(settled(["lab-1", "lyon"]), [newcomer("lab-1", "b", 2)], NOON, None)
    ledger = publish(ledger, [newcomer("lyon", "b", 2)], NOON, None)

    assert promote(ledger, TWO_RINGS, {}, NOON).moved == ("lab-1", "lyon")


def test_a_clock_that_is_a_little_behind_goes_on_from_the_last_change() -> None:
    ledger = changed(settled(["lyon"]))

    assert [present(ledger, at) for at in (NOON - 300, NOON, NOON + 60)] == [NOON, NOON, NOON + 60]
    with pytest.raises(LedgerError, match="the clock is behind: the rollout was last changed at 2026-11-25T12:00:00Z"):
        present(ledger, NOON - 301)


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

    half = Rules(1, (Ring("one", share=50), Ring("two", share=50), Ring("rest")))
    assert 200 < Counter(half.ring_of(name, {}) for name in names)[1] < 300
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
        "published 2026-11-25T12:00:00Z (2abcdef): 2 of 4 sites have been offered it\n"
        "ring              sites  offered  on trial\n"
        "lab                   2        2  2 healthy\n"
        "rest                  2        0  -\n"
        "2 wait: waits for ring lab: 10 min of its spread and soak\n"
    )
    assert "ring rest: inconclusive: waits for ring lab" in explain_site(ledger, TWO_RINGS, health, NOON + 60, "lyon")
    assert decided(promote(ledger, TWO_RINGS, health, NOON + 60))[0].split()[:2] == ["settled", "2"]


def test_the_summary_names_the_revision_that_a_site_waits_for() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    ledger = promote(changed(ledger, "c", 3, ["utrecht"]), TWO_RINGS, {}, NOON + 60).ledger

    lines = summarize(ledger, TWO_RINGS, {}, NOON + 60).splitlines()

    assert lines[0] == "published 2026-11-25T12:00:00Z (3abcdef): 0 of 1 sites have been offered it"
    assert sorted(lines[4:]) == [
        "1 wait for 2abcdef: waits for ring lab: 10 min of its spread and soak",
        "1 wait: waits for ring lab: 10 min of its spread and soak",
    ]
    assert "(sequence 2 of 2abcdef)" in explain_site(ledger, TWO_RINGS, {}, NOON + 60, "lyon")


def test_the_summary_numbers_a_publication_that_has_no_revision() -> None:
    ledger = publish(settled(FLEET), [newcomer(site, "b", 2) for site in FLEET], NOON, None)
    ledger = promote(ledger, TWO_RINGS, {}, NOON).ledger
    ledger = publish(ledger, [newcomer("utrecht", "c", 3)], NOON, "f" * 40)

    lines = summarize(ledger, TWO_RINGS, {}, NOON).splitlines()

    assert lines[0] == "published 2026-11-25T12:00:00Z (ffffffffffff): 0 of 1 sites have been offered it"
    assert "1 wait for publication 2: waits for ring lab: 11 min of its spread and soak" in lines


def test_the_summary_tells_sites_that_failed_after_their_batch_had_proven_itself() -> None:
    rules = Rules(1, (Ring("all", soak=0, most_failed=50),), spread=0)
    ledger = promote(changed(settled(FLEET)), rules, {}, NOON).ledger
    health = {**healthy(ledger, NOON + 60), "lyon": failing(ledger, "lyon", NOON + 60)}
    ledger = promote(ledger, rules, health, NOON + 60).ledger

    lines = summarize(ledger, rules, health, NOON + 60).splitlines()

    assert lines[-2:] == [
        "failed after their batch had proven itself: 1, lyon first",
        "done: every site has been offered what is desired",
    ]


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
    assert promotion.decisions["lyon"].reason == "waits for ring lab: 1 more report of 1 (2 unreadable; lab-1 first)"
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
    moved_on = replace(rules, pins={"lab-1": Pin(digest("c"), "2030-01-01", "kept")})
    assert promote(changed(ledger, "c", 3, ["lab-1"]), moved_on, {}, NOON).withdrawn == ()
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


def test_the_brake_moves_nothing_and_takes_back_what_was_pinned() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    soaked = NOON + 660
    rules = replace(TWO_RINGS, pins={"utrecht": Pin(digest("a"), "2030-01-01", "kept")}, spread=7200)
    moving = promote(ledger, TWO_RINGS, healthy(ledger, soaked), soaked)
    assert moving.moved == ("lyon", "utrecht")

    waiting = brake(ledger, rules, healthy(ledger, soaked), soaked)
    pinned = brake(changed(moving.ledger, "c", 3, ["lab-1"]), rules, {}, soaked)

    assert (waiting.moved, waiting.ledger) == ((), ledger)
    assert waiting.decisions["lyon"].reason == "may move: waits for a promotion"
    assert pinned.moved == ()
    assert pinned.withdrawn == ("utrecht",)
    assert content_of(pinned.ledger.sites["utrecht"]) == Content(digest("a"), 1, "a" * 64, 100)


def test_the_brake_halts_as_a_promotion_does() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    health = {**healthy(ledger, NOON + 60), "lab-1": failing(ledger, "lab-1", NOON + 60)}

    assert brake(ledger, TWO_RINGS, health, NOON + 60) == promote(ledger, TWO_RINGS, health, NOON + 60)


def test_a_freeze_takes_back_what_would_be_taken_within_it() -> None:
    ledger = promote(changed(settled(LARGE)), SLOW, {}, NOON).ledger
    frozen = replace(SLOW, freezes=(Freeze("yard full", begin="13:00", end="22:00"),))

    promotion = promote(ledger, frozen, {}, NOON + 60)

    late = {site for site in LARGE if turn(ledger, site) >= NOON + 3600}
    assert 20 < len(late) < 80
    assert set(promotion.withdrawn) == late
    assert to_come(promotion.ledger, NOON + 60) == to_come(ledger, NOON + 60) - late


def test_who_took_what_was_taken_back_is_judged_by_it() -> None:
    """Their turn came while the halt was being sent."""
    ledger = promote(changed(settled(LARGE)), SLOW, {}, NOON).ledger
    halted, withdrawn = halt(ledger, "calls", NOON + 600)
    at = max(turn(ledger, site) for site in withdrawn)
    well, ill, away = sorted(withdrawn)[:3]
    now = int(at) + 60
    health = {
        **healthy(halted, now),
        well: Report(now, "running", digest("b")),
        ill: failing(ledger, ill, now),
        away: Report(now, "running", digest("a")),
    }

    still = promote(halted, SLOW, health, now)
    after = promote(resume(still.ledger), SLOW, health, now)

    assert set(still.taken) == {well, ill}
    assert {content_of(still.ledger.sites[site]) for site in (well, ill)} == {content_of(ledger.sites[well])}
    assert content_of(still.ledger.sites[away]) == content_of(halted.sites[away])
    assert promote(still.ledger, SLOW, health, now).taken == ()
    assert after.ledger.halt is not None
    assert f"{ill} first" in after.ledger.halt.because
