"""Resolving: every value of a configuration has an origin, and the layers lie in their order."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pointsman_compiler.build import check
from pointsman_compiler.layers import Origin
from pointsman_compiler.resolve import ResolvedSite
from pointsman_compiler.sources import SourceTree
from support.trees import lay_out

AT = datetime(2026, 11, 22, tzinfo=UTC)

FLEET = """\
version: 1
defaults:
  listeners:
    lan: {port: 9000, securityProfile: 1}
  stationPassword: {secretPerStation: "station-{station}"}
  authentication: {online: any}
supervisions:
  acme:
    url: wss://csms.acme.example/{{ site }}
    messageTimeout: 20
"""
SITE = """\
version: 1
site: one
timeZone: Europe/Paris
supervision: multiple
supervisions:
  acme: {pingInterval: 5}
groups:
  visitors: {operator: acme, stations: [CP-1]}
  staff: {operator: local, stations: each, authentication: {offline: any}}
badges:
  - file: staff.csv
  - {badge: 04FF, groups: [staff]}
stations:
  CP-1: {}
  CP-2: {password: {secret: cp2}}
listeners:
  lan: {port: 9100}
"""


@pytest.fixture
def site(tmp_path: Path) -> ResolvedSite:
    files = {"fleet.yaml": FLEET, "fr/one.yaml": SITE, "fr/staff.csv": "badge,groups\n04AA,staff\n\n04AB,staff\n"}
    (resolved,) = check(lay_out(tmp_path, files), AT).resolved
    return resolved


@pytest.mark.parametrize(
    ("path", "layer", "spot"),
    [
        (("timeZone",), "site", "fr/one.yaml:3"),
        (("mode",), "site", "fr/one.yaml:4"),
        (("title",), "built-in", None),
        (("supervisions", "acme", "pingInterval"), "site", "fr/one.yaml:6"),
        (("supervisions", "acme", "messageTimeout"), "catalogue", "fleet.yaml:10"),
        (("supervisions", "acme", "url"), "catalogue", "fleet.yaml:9"),
        (("supervisions", "acme", "connectTimeout"), "built-in", None),
        (("groups", "visitors", "operator"), "site", "fr/one.yaml:8"),
        (("groups", "staff/CP-2", "authentication", "online"), "fleet default", "fleet.yaml:6"),
        (("groups", "staff/CP-2", "authentication", "offline"), "site", "fr/one.yaml:9"),
        (("groups", "staff/CP-2", "authentication", "concurrent"), "built-in", None),
        (("stations", "CP-1", "operator"), "site", "fr/one.yaml:8"),
        (("stations", "CP-1", "group"), "site", "fr/one.yaml:8"),
        (("stations", "CP-1", "password", "secret"), "fleet default", "fleet.yaml:5"),
        (("stations", "CP-2", "password", "secret"), "site", "fr/one.yaml:15"),
        (("stations", "CP-2", "pingInterval"), "built-in", None),
        (("badges", "04ab", "authorized"), "site", "fr/staff.csv:4"),
        (("badges", "04ff", "groups"), "site", "fr/one.yaml:12"),
        (("listeners", "lan", "port"), "site", "fr/one.yaml:17"),
        (("listeners", "lan", "securityProfile"), "fleet default", "fleet.yaml:4"),
        (("activation", "spread"), "built-in", None),
    ],
)
def test_a_value_knows_where_it_was_written(
    site: ResolvedSite, path: tuple[str, ...], layer: str, spot: str | None
) -> None:
    origin = site.origin(path)

    assert (origin.layer, spot_of(origin)) == (layer, spot)


def spot_of(origin: Origin) -> str | None:
    place = origin.place
    return f"{place.file}:{place.line}" if place else None


@pytest.mark.parametrize("folder", ["sites", "tests/compiler/cases/compiles-layers/sites"])
def test_every_value_has_an_origin(folder: str) -> None:
    for site in check(SourceTree(Path(__file__).parents[2] / folder), AT).resolved:
        for path in leaves(msgspec.to_builtins(site.config)):
            origin = site.origin(path)
            assert origin.layer == "built-in" or origin.place is not None, path


def leaves(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        return [path for key, item in value.items() for path in leaves(item, (*above, key))]
    return [above]


def test_what_a_group_lists_and_where_its_badges_count(site: ResolvedSite) -> None:
    config = site.config

    assert config.stations["CP-1"].operator == "acme"
    assert config.stations["CP-2"].group == "staff/CP-2"
    assert config.badges["04aa"].groups == ["staff/CP-2"]
    assert config.supervisions["acme"].url == "wss://csms.acme.example/one"


def test_a_local_site_without_groups_has_one_of_all_stations(tmp_path: Path) -> None:
    text = "version: 1\nsite: one\ntimeZone: UTC\nsupervision: local\nauthentication: {online: any}\n"
    files = {"one.yaml": text + 'badges: [{badge: "04AA"}]\nstations: {CP-1: {}, CP-2: {}}\n'}

    (site,) = check(lay_out(tmp_path, files), AT).resolved

    assert list(site.config.groups) == ["all"]
    assert site.config.badges["04aa"].groups == ["all"]
    assert {station.group for station in site.config.stations.values()} == {"all"}
    assert site.config.listeners["lan"].port == 9000


def test_inputs_are_all_files_that_went_in(site: ResolvedSite) -> None:
    assert site.inputs == ("fleet.yaml", "fr/one.yaml", "fr/staff.csv")
