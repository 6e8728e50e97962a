"""Laws of plans, over generated values and generated trees of files."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.plan.differences import differences
from pointsman_compiler.plan.fleetfacts import FleetFacts, SiteFacts
from pointsman_compiler.plan.risks import RISKS, is_fleet_wide, risks_of
from pointsman_compiler.planning import Wish, make_plan
from pointsman_compiler.stores.folder import Folder
from pointsman_schema.canonical import digest_of
from support.trees import lay_out

AT = datetime(2026, 11, 22, tzinfo=UTC)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=12,
)
MAPS = st.dictionaries(st.sampled_from("klmn"), VALUES, max_size=4)


def applied(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with all differences to `after` applied, one by one."""
    found: dict[str, Any] = {"": dict(before)}
    for one in differences(before, after):
        *above, last = ("", *one.path)
        place = found
        for step in above:
            place[step] = dict(place[step])
            place = place[step]
        if one.kind == "removed":
            assert place.pop(last) == one.before
        else:
            assert (last in place) == (one.kind == "changed")
            place[last] = one.after
    whole: dict[str, Any] = found[""]
    return whole


@given(MAPS, MAPS)
def test_before_and_the_differences_give_after(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert applied(before, after) == after
    assert [one.path for one in differences(before, after)] == sorted(one.path for one in differences(before, after))


@given(MAPS)
def test_nothing_differs_from_itself(value: dict[str, Any]) -> None:
    assert list(differences(value, value)) == []


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_labels_come_in_their_order_and_none_stands_alone(
    change: bool, reconnects: bool, moves: bool, downgrades: bool, wide: bool
) -> None:
    found = risks_of(is_change=change, reconnects=reconnects, moves=moves, downgrades=downgrades, fleet_wide=wide)

    assert list(found) == [risk for risk in RISKS if risk in found]
    assert ("risk/none" in found) == (found == ("risk/none",))
    assert not {"risk/reload", "risk/reconnect"} <= set(found)
    assert ("risk/none" in found) == (not any((change, reconnects, moves, downgrades, wide)))


@given(st.integers(0, 400), st.integers(0, 400))
def test_more_changed_sites_are_never_less_fleet_wide(changed: int, more: int) -> None:
    sites = 500

    assert is_fleet_wide(changed + more, sites) or not is_fleet_wide(changed, sites)
    assert is_fleet_wide(100, 10_000)
    assert not is_fleet_wide(2, 2)


@given(st.lists(st.integers(1, 60), min_size=5))
def test_nine_of_ten_values_are_usual_and_of_few_all(values: list[int]) -> None:
    facts = FleetFacts(SiteFacts(frozenset(), (("t", value, 1),)) for value in values)

    usual = facts.usual("t")

    assert usual is not None
    within = sum(usual[0] <= value <= usual[1] for value in values)
    assert within >= 0.9 * len(values)
    assert len(values) >= 20 or usual == (min(values), max(values))
    assert facts.usual("u") is None


HEAD = "version: 1\ntimeZone: Europe/Paris\nsupervision: {}\n"
SITE = HEAD.format("local") + "stations: {{{0}-1: {{}}}}\nsite: {0}\nbadges: [{1}]\n"
CSV = "badge,authorized\n04{}0,true\n"
FILES: Mapping[str, tuple[str | None, ...]] = {
    "fleet.yaml": (
        None,
        "version: 1\n",
        "version: 1\ndefaults: {journal: {keepDays: 30}}\n",
        "version: 1\n# said twice\ndefaults: {journal: {keepDays: 30}}\n",
    ),
    "a.yaml": (None, SITE.format("a", "{file: lists/one.csv}"), SITE.format("a", "{file: lists/two.csv}")),
    "b.yaml": (SITE.format("b", r'{file: "lists/\u006fne.csv"}'), SITE.format("b", "{badge: 'AB'}")),
    "fr/c.yaml": (None, SITE.format("c", "{file: ../lists/one.csv}"), SITE.format("c", "{file: ../_more/x y.csv}")),
    "d.yaml": (None, SITE.format("d", ""), SITE.format("d", "{file: lists/-.csv}"), "not: [closed\n"),
    "e/c.yaml": (None, None, SITE.format("c", "{file: ../lists/one.csv}")),
    "lists/one.csv": (CSV.format("A"), CSV.format("B"), f"{CSV.format('A')}\n"),
    "lists/two.csv": (None, CSV.format("A"), CSV.format("C")),
    "lists/-.csv": (None, CSV.format("A"), CSV.format("D")),
    "_more/x y.csv": (CSV.format("A"), CSV.format("E")),
}
TREES = st.fixed_dictionaries({name: st.sampled_from(versions) for name, versions in FILES.items()})


@settings(max_examples=120)
@given(TREES, TREES)
def test_a_site_that_is_not_looked_at_is_sure_to_compile_to_the_same(
    before: dict[str, str | None], after: dict[str, str | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        digests = []
        for name, files in (("before", before), ("after", after)):
            tree = lay_out(Path(folder, name), {file: text for file, text in files.items() if text is not None})
            found = check(tree, AT).resolved
            digests.append({site.site: digest_of(site.canonical) for site in found})
        plan = make_plan(
            Folder(Path(folder, "before")),
            Folder(Path(folder, "after")),
            ("a", "b"),
            Wish(AT),
            lambda all_, _: iter(all_),
        )

    told = [site for site in plan.sites if site.site != "c" and (site.digest_before or site.digest_after)]
    compiled = {site.site: (site.digest_before, site.digest_after) for site in told}
    both = {*digests[0], *digests[1]} - {"c", *plan.broken}
    assert compiled == {site: (digests[0].get(site), digests[1].get(site)) for site in both}
