"""`pointsman explain`: every compiled value names the line that it was written in, and its layer."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pointsman_compiler.build import check
from pointsman_compiler.explain import UnknownPath, explain
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.sources import SourceTree
from support.command import pointsman
from support.trees import UNIQUE, lay_out

SITES = Path(__file__).parents[2] / "sites"
AT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def examples() -> dict[str, ResolvedSite]:
    return {site.site: site for site in check(SourceTree(SITES), AT).resolved}


def line_of(file: str, text: str) -> int:
    lines = (SITES / file).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if text in line]
    return number


@pytest.mark.parametrize(
    ("path", "value", "layer", "file", "text"),
    [
        ("timeZone", "Europe/Paris", "site", "fr/lyon-part-dieu.yaml", "timeZone: "),
        ("supervisions.acme.messageTimeout", 20, "catalogue", "fleet.yaml", "messageTimeout: 20"),
        ("supervisions.acme.password.secret", "acme-{station}", "catalogue", "fleet.yaml", "acme-{station}"),
        ("/listeners/lan/securityProfile", 1, "fleet default", "fleet.yaml", "securityProfile: 1"),
        ("stations.LYO-07.pingInterval", 0, "site", "fr/lyon-part-dieu.yaml", "pingInterval: 0}"),
        ("stations.LYO-01.password.secret", "station-LYO-01", "fleet default", "fleet.yaml", "station-{station}"),
        ("stations.LYO-08.password.format", "hex", "site", "fr/lyon-part-dieu.yaml", "format: hex"),
        ("stations.LYO-06.operator", "volt", "site", "fr/lyon-part-dieu.yaml", "operator: volt"),
        ("groups.staff.stationKeys.TxCtrlr.EVConnectionTimeOut", "60", "site", "fr/lyon-part-dieu.yaml", "TxCtrlr.EV"),
    ],
)
def test_a_value_names_the_line_that_it_was_written_in(
    examples: dict[str, ResolvedSite], path: str, value: object, layer: str, file: str, text: str
) -> None:
    (found,) = explain(examples["lyon-part-dieu"], path)

    assert (found.value, found.layer, found.file, found.line) == (value, layer, file, line_of(file, text))


@pytest.mark.parametrize(
    "path", ["stations.LYO-01.pingInterval", "stations.LYO-01.password.format", "journal.keepDays"]
)
def test_a_value_that_nobody_wrote_is_built_in(examples: dict[str, ResolvedSite], path: str) -> None:
    (found,) = explain(examples["lyon-part-dieu"], path)

    assert (found.layer, found.file, found.line) == ("built-in", None, None)


def test_a_badge_of_a_list_names_its_row(examples: dict[str, ResolvedSite]) -> None:
    badges = explain(examples["hafen-depot"], "badges")

    assert {one.file for one in badges} == {"de/badges/buses.csv"}
    assert all(one.line is not None and one.line > 1 for one in badges)


def test_every_value_of_the_example_fleet_is_explained_once(examples: dict[str, ResolvedSite]) -> None:
    for site in examples.values():
        values = explain(site)

        assert as_tree(values) == msgspec.to_builtins(site.config)
        assert len({one.path for one in values}) == len(values)
        assert all((one.file is None) == (one.layer == "built-in") for one in values)


def test_every_path_leads_to_itself_as_pointer(examples: dict[str, ResolvedSite]) -> None:
    site = examples["lyon-part-dieu"]

    for one in explain(site):
        assert explain(site, pointer_of(one.path)) == [one]


def test_an_unknown_path_tells_near_ones(examples: dict[str, ResolvedSite]) -> None:
    for path in ("/stations/LYO-1", "stations.LYO-1", "supervisions.acme.pingIntervall", "/stations/LYO-01/x/y", "/"):
        with pytest.raises(UnknownPath):
            explain(examples["lyon-part-dieu"], path)

    with pytest.raises(UnknownPath) as caught:
        explain(examples["lyon-part-dieu"], "supervisions.acme.pingIntervall")
    assert caught.value.near[0] == "/supervisions/acme/pingInterval"


def test_text_keeps_to_80_columns_and_badges_are_only_counted() -> None:
    done = pointsman("explain", SITES, "hafen-depot")
    asked = pointsman("explain", SITES, "hafen-depot", "badges")

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "/badges has " in done.stdout
    assert "buses.csv" not in done.stdout
    assert "    de/badges/buses.csv:2, site" in asked.stdout.splitlines()


def test_json_has_each_value_with_its_place() -> None:
    done = pointsman("explain", SITES, "lyon-part-dieu", "supervisions.volt.url", "--json")

    assert json.loads(done.stdout) == {
        "site": "lyon-part-dieu",
        "values": [
            {
                "path": "/supervisions/volt/url",
                "value": "wss://ocpp.volt.example/{station}/ara",
                "layer": "catalogue",
                "file": "fleet.yaml",
                "line": line_of("fleet.yaml", "ocpp.volt.example"),
            }
        ],
    }


def test_wrong_names_and_sites_with_errors_are_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"one.yaml": UNIQUE, "bad.yaml": UNIQUE.replace("wss:", "https:")}).root

    assert "near ones: /timeZone" in pointsman("explain", root, "one", "timezone").stderr
    assert pointsman("explain", root, "one", "timezone").returncode == 2
    assert "did you mean `one`" in pointsman("explain", root, "onee").stderr
    assert pointsman("explain", root, "bad").returncode == 1
    assert "bad.yaml:6:15: error[PM310]" in pointsman("explain", root, "bad").stderr
    assert pointsman("explain", root / "nowhere", "one").returncode == 6


def as_tree(values: list[Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for one in values:
        inner = tree
        for step in one.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[one.path[-1]] = one.value
    return tree
