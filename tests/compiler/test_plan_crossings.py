"""Sites that get another id, and stations that go from site to site, where identities alone do not tell them apart."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pointsman_compiler.plan.crossings import MOST_PAIRS, renamed_sites, ways_of_stations, with_ways
from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.siteplan import SitePlan
from pointsman_compiler.planning import Wish, make_plan
from pointsman_compiler.stores.folder import Folder
from support.trees import lay_out

AT = datetime(2026, 11, 22, tzinfo=UTC)
SITE = "version: 1\ntimeZone: Europe/Paris\nsupervision: unique\nsupervisions: {{{}: {{url: '{}'}}}}\nstations: {}\n"


def site(operator: str, url: str, stations: str) -> str:
    return SITE.format(operator, url, stations)


def plan_of(folder: Path, before: Mapping[str, str], after: Mapping[str, str]) -> Plan:
    for name, files in (("before", before), ("after", after)):
        lay_out(folder / name, {f"{file}.yaml": f"site: {file}\n{text}" for file, text in files.items()})
    sides = Folder(folder / "before"), Folder(folder / "after")
    return make_plan(*sides, ("before", "after"), Wish(AT), lambda found, _: iter(found))


def test_sites_with_the_same_identities_are_told_apart_by_what_they_compile_to_and_by_name(tmp_path: Path) -> None:
    stations = "{CP-1: {}, CP-2: {}}"
    secure, plain = site("acme", "wss://acme.example/", stations), site("volt", "ws://127.0.0.1/", stations)

    found = plan_of(
        tmp_path,
        {"lyon-west": secure, "nice": plain},
        {"lyon-ouest": secure.replace("wss", "ws").replace("acme.example", "127.0.0.1"), "nice-port": plain},
    )

    assert {one.site: one.renamed_from for one in found.sites} == {"lyon-ouest": "lyon-west", "nice-port": "nice"}
    assert {one.site for one in found.sites if any(less.kind == "tls-gone" for less in one.downgrades)} == {
        "lyon-ouest"
    }
    assert found.untouched == 0


def test_a_site_that_comes_with_few_stations_of_one_that_goes_is_another_site(tmp_path: Path) -> None:
    old = site("acme", "wss://acme.example/", "{A-1: {}, A-2: {}}")
    new = site("acme", "wss://acme.example/", "{A-1: {}, B-2: {}}")

    found = plan_of(tmp_path, {"lyon": old}, {"nice": new})

    assert [(one.site, one.change) for one in found.sites] == [("lyon", "removed"), ("nice", "added")]
    moves = [fate for one in found.sites for fate in one.fates if fate.kind == "moves"]
    assert [(fate.stations, fate.site) for fate in moves] == [(("A-1",), "lyon")]
    assert found.counts.leaves == 1
    assert "risk/authority-move" in found.risks


def test_a_station_that_two_sites_lose_comes_from_the_one_that_shares_more() -> None:
    def leaving(name: str, *stations: str) -> SitePlan:
        return SitePlan(name, f"{name}.yaml", "changed", fates=(Fate("leaves", stations, "acme", None, ()),))

    joining = SitePlan("c", "c.yaml", "changed", fates=(Fate("joins", ("S-1", "S-2"), None, "volt", ()),))
    plans = [leaving("a", "S-1"), leaving("b", "S-1", "S-2"), joining]

    ways = ways_of_stations(plans)
    found = with_ways(plans, ways, {})

    assert ways == {("b", "c"): frozenset({"S-1", "S-2"})}
    assert [fate.site for one in found for fate in one.fates] == [None, "c", "b"]
    assert found[2].fates == (Fate("moves", ("S-1", "S-2"), "acme", "volt", (), site="b"),)


def test_an_identity_that_every_site_has_costs_no_square() -> None:
    many = range(int(MOST_PAIRS**0.5) + 1)
    gone = [SitePlan(f"a{n}", "f", "removed", f"a{n}", fates=(Fate("leaves", ("S",), "x", None, ()),)) for n in many]
    come = [SitePlan(f"b{n}", "f", "added", None, f"b{n}", fates=(Fate("joins", ("S",), None, "x", ()),)) for n in many]

    assert renamed_sites([*gone, *come]) == {}
