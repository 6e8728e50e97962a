"""Changes that are published while others are under way: what holds up what, and that nothing waits for ever."""

from msgspec.structs import replace
from pointsman_compiler.rollout.health import Report
from pointsman_compiler.rollout.ledger import Ledger, halt, resume
from pointsman_compiler.rollout.promotion import promote
from pointsman_compiler.rollout.rules import Freeze, Pin, Ring, Rules
from support.ledgers import (
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

LABS = ["lab-1", "lab-2"]
FLEET = [*LABS, "lyon", "utrecht"]
SOAKED_S = 660
"""Spread and soak of TWO_RINGS."""


def test_what_is_published_later_does_not_hold_up_a_change() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    soaked = NOON + SOAKED_S
    ledger = promote(ledger, TWO_RINGS, healthy(ledger, soaked - 60), soaked - 60).ledger
    ledger = changed(ledger, "c", 3, LABS)

    promotion = promote(ledger, TWO_RINGS, healthy(ledger, soaked), soaked)

    assert promotion.moved == (*LABS, "lyon", "utrecht")


def test_a_site_that_is_away_holds_up_no_change_that_did_not_come_with_its_own() -> None:
    ledger = promote(changed(settled(FLEET), sites=["lab-1"]), TWO_RINGS, {}, NOON).ledger
    ledger = changed(ledger, "c", 3, ["lyon"])

    assert promote(ledger, TWO_RINGS, {}, NOON + SOAKED_S).moved == ("lyon",)


def test_a_change_waits_for_all_that_it_brings_in_the_earlier_ring() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    ledger = changed(ledger, "c", 3, ["lab-1", "lyon"])

    soaked = NOON + SOAKED_S
    ledger = promote(ledger, TWO_RINGS, healthy(ledger, NOON + 300), NOON + 300).ledger
    early = promote(ledger, TWO_RINGS, healthy(ledger, soaked - 60), soaked - 60)
    first = promote(ledger, TWO_RINGS, healthy(ledger, soaked), soaked)
    last = promote(first.ledger, TWO_RINGS, healthy(first.ledger, soaked + 300), soaked + 300)

    assert early.decisions["utrecht"].reason == "waits for ring lab: 1 min of its spread and soak"
    assert first.moved == ("utrecht",)
    assert first.decisions["lyon"].reason == "waits for ring lab: 5 min of its spread and soak"
    assert last.moved == ("lyon",)


def test_a_small_change_on_top_of_one_that_waits_goes_on_waiting_for_that() -> None:
    ledger = promote(changed(settled(FLEET)), TWO_RINGS, {}, NOON).ledger
    ledger = changed(ledger, "c", 3, ["lyon"])

    early = promote(ledger, TWO_RINGS, healthy(ledger, NOON + 60), NOON + 60)

    assert early.decisions["lyon"].reason == "waits for ring lab: 10 min of its spread and soak"


def test_of_many_changes_on_top_of_each_other_none_is_forgotten() -> None:
    ledger = settled(FLEET)
    for step, sites in enumerate((["lab-1"], ["lab-1", "utrecht"], ["lab-1"])):
        now = NOON + step * 60
        ledger = promote(changed(ledger, "bcd"[step], 2 + step, sites), TWO_RINGS, healthy(ledger, now), now).ledger

    promotion = promote(ledger, TWO_RINGS, healthy(ledger, NOON + 180), NOON + 180)

    assert promotion.decisions["utrecht"].reason == "waits for ring lab: 10 min of its spread and soak"


def test_what_is_published_in_parts_of_one_revision_belongs_together() -> None:
    parts = changed(changed(settled(FLEET), sites=LABS), sites=["lyon", "utrecht"])

    promotion = promote(parts, TWO_RINGS, {}, NOON)

    assert promotion.moved == ("lab-1", "lab-2")
    assert promotion.decisions["lyon"].reason == "waits for ring lab: 2 of its sites begin now"


def test_a_site_that_changes_all_the_time_proves_its_changes_all_the_same() -> None:
    ledger = changed(settled(["lab-1", "lyon"]))
    moves = []
    for step in range(10):
        now = NOON + step * 120
        promotion = promote(ledger, TWO_RINGS, healthy(ledger, now), now)
        moves.append(promotion.moved)
        ledger = changed(promotion.ledger, "abc"[step % 3], 10 + step, ["lab-1"])

    # 660 s after the first change has begun, at the next look.
    assert [step for step, moved in enumerate(moves) if "lyon" in moved] == [6]
    assert all("lab-1" in moved for moved in moves)


def test_a_change_that_was_never_offered_holds_up_its_like_though_another_came_on_top() -> None:
    rules = replace(TWO_RINGS, rings=(replace(TWO_RINGS.rings[0], at_once=1), TWO_RINGS.rings[1]))
    ledger = promote(changed(settled(FLEET)), rules, {}, NOON).ledger
    ledger = changed(ledger, "c", 3, ["lab-2"])
    soaked = NOON + SOAKED_S

    second = promote(ledger, rules, healthy(ledger, soaked), soaked)
    third = promote(second.ledger, rules, healthy(second.ledger, soaked + SOAKED_S), soaked + SOAKED_S)

    assert second.moved == ("lab-2",)
    assert third.moved == ("lyon", "utrecht")


def test_a_change_that_was_taken_back_holds_up_its_like_though_another_came_on_top() -> None:
    slow = replace(TWO_RINGS, spread=7200)
    ledger = promote(changed(settled(FLEET)), slow, {}, NOON).ledger
    halted, withdrawn = halt(changed(ledger, "c", 3, LABS), "calls", NOON + 1)

    promotion = promote(resume(halted), slow, {}, NOON + 2)

    assert set(withdrawn) == set(LABS)
    assert promotion.moved == ("lab-1", "lab-2")
    assert promotion.decisions["lyon"].reason == "waits for ring lab: 2 of its sites begin now"


def test_what_was_taken_back_and_reverted_has_nothing_to_prove() -> None:
    slow = replace(TWO_RINGS, spread=7200)
    halted, _ = halt(promote(changed(settled(FLEET)), slow, {}, NOON).ledger, "calls", NOON + 1)

    promotion = promote(resume(changed(halted, "a", 3)), slow, {}, NOON + 2)

    assert promotion.moved == ()
    assert {entry.unproven for entry in promotion.ledger.sites.values()} == {()}


def test_a_change_goes_on_proving_itself_while_the_next_one_is_frozen() -> None:
    rules = replace(TWO_RINGS, freezes=(Freeze("closed", begin="12:02", end="18:00", rings=("lab",)),))
    ledger = promote(changed(settled(FLEET)), rules, {}, NOON).ledger
    ledger = changed(ledger, "c", 3, LABS)
    soaked = NOON + SOAKED_S

    early = promote(ledger, rules, healthy(ledger, soaked - 1), soaked - 1)
    proven = promote(ledger, rules, healthy(ledger, soaked), soaked)

    assert early.decisions["lyon"].reason == "waits for ring lab: 1 min of its spread and soak"
    assert proven.moved == ("lyon", "utrecht")


def test_a_failure_that_was_mended_in_one_ring_alone_is_no_proof_for_the_others() -> None:
    frozen = replace(TWO_RINGS, freezes=(Freeze("closed", begin="12:02", end="18:00", rings=("lab",)),))
    ledger = promote(changed(settled(FLEET)), frozen, {}, NOON).ledger
    soaked = NOON + SOAKED_S
    health = {site: failing(ledger, site, soaked) for site in LABS}
    halted = promote(ledger, frozen, health, soaked).ledger

    promotion = promote(resume(changed(halted, "c", 3, LABS)), frozen, health, soaked)

    assert halted.halt is not None
    assert promotion.moved == ()
    assert promotion.decisions["lyon"].reason == "waits for ring lab: 2 of its sites had it, and have not proven it"


def test_those_that_wait_longest_move_first() -> None:
    rules = Rules(1, (Ring("rest", soak=0, at_once=1),), spread=0)
    ledger = changed(changed(settled(["s1", "s2"]), sites=["s2"]), "b", 3, ["s1"])

    assert promote(ledger, rules, {}, NOON).moved == ("s2",)
    later = changed(ledger, "c", 4, ["s2"])
    assert promote(later, rules, {}, NOON).moved == ("s2",)


def test_what_has_soaked_makes_room_while_what_came_later_is_still_silent() -> None:
    rules = Rules(1, (Ring("rest", soak=600, at_once=2, least_reports=2),), spread=0)
    ledger = promote(changed(settled(["s1", "s2", "s3"]), sites=["s1"]), rules, {}, NOON).ledger
    ledger = promote(changed(ledger, "b", 3, ["s2"]), rules, {}, NOON + 300).ledger
    ledger = changed(ledger, "b", 4, ["s3"])
    now = NOON + 600

    promotion = promote(ledger, rules, {"s1": healthy(ledger, now)["s1"]}, now)

    assert promotion.moved == ("s3",)
    assert [site for site, entry in promotion.ledger.sites.items() if entry.unproven] == ["s2", "s3"]


def test_a_site_keeps_its_turn_when_it_is_offered_something_else_before_it() -> None:
    slow = Rules(1, (Ring("all", soak=0),), spread=7200)
    ledger = promote(changed(settled(["lyon"])), slow, {}, NOON).ledger
    at = turn(ledger, "lyon")
    for step in range(1, 20):
        now = NOON + step * 600
        if now >= at:
            break
        ledger = promote(changed(ledger, "bc"[step % 2], 10 + step), slow, {}, now).ledger
        assert 0 <= turn(ledger, "lyon") - at < 1

    assert now >= at
    assert content_of(ledger.sites["lyon"]) == newcomer("lyon", "bc"[(step - 1) % 2], 9 + step).content
    assert digest("a") == ledger.sites["lyon"].before.content.digest  # type: ignore[union-attr]


def failing_all(ledger: Ledger, now: int) -> dict[str, Report]:
    """The reports of a fleet in which whatever was taken fails, but the first content."""
    return {
        site: failing(ledger, site, now)
        for site, entry in ledger.sites.items()
        if entry.offered is not None and entry.offered.content.digest != digest("a")
    }


def test_publishing_again_and_again_neither_makes_room_nor_hides_failures() -> None:
    rules = Rules(1, (Ring("all", soak=3600, at_once=5),), spread=0)
    sites = [f"s{number:02}" for number in range(40)]
    good = bad = settled(sites)
    for step in range(5):
        now = NOON + step * 600
        good = promote(changed(good, "bcdef"[step], 10 + step), rules, healthy(good, now), now).ledger
        bad = promote(changed(bad, "bcdef"[step], 10 + step), rules, failing_all(bad, now), now).ledger

    for ledger in (good, bad):
        assert [site for site, entry in ledger.sites.items() if entry.offered.brings > 1] == sites[:5]  # type: ignore[union-attr]
    assert good.halt is None
    assert bad.halt is not None
    assert bad.halt.because.startswith("ring all: 5 of 5 that reported failed, s00 first")


def test_a_fix_reaches_those_that_failed_though_more_must_report_than_may_move_at_once() -> None:
    rules = Rules(1, (Ring("rest", soak=0, at_once=10, least_reports=20),), spread=0)
    ledger = promote(changed(settled([f"s{number:02}" for number in range(40)])), rules, {}, NOON).ledger
    ledger = promote(ledger, rules, failing_all(ledger, NOON + 60), NOON + 60).ledger
    assert ledger.halt is not None
    ledger = resume(changed(ledger, "c", 3))

    first = promote(ledger, rules, failing_all(ledger, NOON + 120), NOON + 120)
    second = promote(first.ledger, rules, healthy(first.ledger, NOON + 180), NOON + 180)

    assert first.moved == tuple(f"s{number:02}" for number in range(10))
    assert second.moved == tuple(f"s{number:02}" for number in range(10, 20))


def test_a_pin_sets_aside_what_it_keeps_from_a_site_and_not_what_the_site_was_given() -> None:
    ledger = promote(changed(settled(FLEET), sites=["lab-1", "lyon"]), TWO_RINGS, {}, NOON).ledger
    newer = changed(ledger, "c", 3, ["lab-1"])
    rules = replace(TWO_RINGS, pins={"lab-1": Pin(digest("b"), "2030-01-01", "kept")})
    early, soaked = NOON + 120, NOON + SOAKED_S

    waiting = promote(newer, rules, healthy(newer, early), early)
    silent = promote(newer, rules, {}, soaked)
    proven = promote(newer, rules, healthy(newer, soaked), soaked)
    newest = promote(changed(newer, "d", 4, ["lyon"]), rules, {}, early)

    assert waiting.decisions["lyon"].reason == "waits for ring lab: 9 min of its spread and soak"
    assert silent.decisions["lyon"].reason == "waits for ring lab: 1 of its sites had it, and have not proven it"
    assert proven.moved == ("lyon",)
    assert newest.moved == ("lyon",)


def test_a_failure_that_was_excused_is_no_proof_before_its_soak_is_over() -> None:
    ledger = promote(changed(settled(["lab-1", "lyon"])), TWO_RINGS, {}, NOON).ledger
    health = {"lab-1": failing(ledger, "lab-1", NOON + 61)}
    excused = resume(promote(ledger, TWO_RINGS, health, NOON + 61).ledger, ["lab-1"])

    early = promote(excused, TWO_RINGS, health, NOON + 62)
    soaked = promote(excused, TWO_RINGS, {"lab-1": failing(ledger, "lab-1", NOON + SOAKED_S)}, NOON + SOAKED_S)

    assert early.ledger.halt is None
    assert early.decisions["lyon"].reason == "waits for ring lab: 10 min of its spread and soak"
    assert soaked.moved == ("lyon",)


def test_a_site_that_has_not_taken_the_next_change_yet_proves_the_one_it_has() -> None:
    rules = Rules(1, (Ring("lab", sites=("lab-*",), soak=600, least_reports=20), Ring("rest")), spread=3600)
    labs = [f"lab-{number:02}" for number in range(20)]
    ledger = changed(settled([*labs, "lyon"]))
    for step in range(8):
        now = NOON + step * 1800
        promotion = promote(ledger, rules, healthy(ledger, now), now)
        if "lyon" in promotion.moved:
            break
        ledger = changed(promotion.ledger, "cdbc"[step % 4], 10 + step, labs)

    assert step == 3  # the first look after spread and soak: 4200 s
