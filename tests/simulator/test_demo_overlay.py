"""The overlay puts loopback in place of hosts, and leaves everything else of the fleet as written."""

import json
from pathlib import Path
from typing import Any

import pytest
from pointsman_simulator.demo.overlay import (
    OverlayError,
    choose_site,
    copy_fleet,
    find_sites,
    lay_over,
    supervision_names,
)

FLEET = """\
version: 1
defaults: {listeners: {old: {port: 9443, securityProfile: 3}}, stationPassword: {secretPerStation: "s-{station}"}}
supervisions:
  acme:
    url: wss://csms.acme.example/ocpp/{{ site }}?x=1
    proxy: {url: "http://proxy:3128"}
    clientCertificate: {chain: c.pem, key: {secret: k}}
    messageTimeout: 20
"""
SITE = """\
version: 1
site: here
supervision: multiple
supervisions: {acme: {}, volt: {url: "ws://volt.example:8080/{station}/x", pingInterval: 7}}
listeners: {lan: {port: 9000, securityProfile: 1}}
"""
OTHER = "{version: 1, site: a-local-one, supervision: local}\n"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    root = tmp_path / "sites"
    (root / "fr").mkdir(parents=True)
    (root / "fleet.yaml").write_text(FLEET)
    (root / "fr" / "here.yaml").write_text(SITE)
    (root / "a-local-one.yaml").write_text(OTHER)
    (root / "_not-a-site.yaml").write_text("- 1\n")
    return root


def laid_over(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    site = choose_site(find_sites(root), "here")
    lay_over(root, site, ports={"acme": 1001, "volt": 1002}, listener_port=1003, root_pem=b"PEM")
    return json.loads((root / "fleet.yaml").read_text()), json.loads((root / "fr" / "here.yaml").read_text())


def test_sites_are_found_with_their_modes(fleet: Path) -> None:
    assert [(each.site, each.file, each.mode) for each in find_sites(fleet)] == [
        ("a-local-one", "a-local-one.yaml", "local"),
        ("here", "fr/here.yaml", "multiple"),
    ]


def test_the_first_site_of_mode_multiple_is_played_unless_one_is_named(fleet: Path) -> None:
    sites = find_sites(fleet)

    assert choose_site(sites, None).site == "here"
    assert choose_site(sites, "a-local-one").site == "a-local-one"
    with pytest.raises(OverlayError, match="a-local-one, here"):
        choose_site(sites, "nowhere")


def test_hosts_become_loopback_and_paths_stay(fleet: Path) -> None:
    catalogue, site = laid_over(fleet)

    assert catalogue["supervisions"]["acme"]["url"] == "wss://127.0.0.1:1001/ocpp/{{ site }}?x=1"
    assert site["supervisions"]["volt"]["url"] == "wss://127.0.0.1:1002/{station}/x"
    assert site["supervisions"]["acme"] == {}


def test_what_the_demo_cannot_play_is_taken_out_and_all_else_stays(fleet: Path) -> None:
    catalogue, site = laid_over(fleet)

    acme = catalogue["supervisions"]["acme"]
    assert not {"proxy", "clientCertificate"} & set(acme)
    assert acme["messageTimeout"] == 20
    assert site["supervisions"]["volt"]["pingInterval"] == 7
    assert catalogue["defaults"] == {"stationPassword": {"secretPerStation": "s-{station}"}}


def test_the_root_certificate_is_named_relative_to_the_file_that_names_it(fleet: Path) -> None:
    catalogue, site = laid_over(fleet)

    assert catalogue["supervisions"]["acme"]["trust"] == ["certificates/pointsman-sim-demo.pem"]
    assert site["supervisions"]["volt"]["trust"] == ["../certificates/pointsman-sim-demo.pem"]
    assert (fleet / "certificates" / "pointsman-sim-demo.pem").read_bytes() == b"PEM"


def test_the_listener_is_one_on_loopback_with_a_port_that_is_a_number(fleet: Path) -> None:
    _, site = laid_over(fleet)

    assert site["listeners"] == {"demo": {"address": "127.0.0.1", "port": 1003, "securityProfile": 0}}


def test_the_supervisions_of_catalogue_and_site_are_named_once(fleet: Path) -> None:
    assert supervision_names(fleet, choose_site(find_sites(fleet), "here")) == ["acme", "volt"]


def test_a_folder_without_sites_or_no_folder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match="--sites DIR"):
        find_sites(tmp_path)
    with pytest.raises(OverlayError, match="--sites DIR"):
        copy_fleet(tmp_path / "none", tmp_path / "copy")


def test_a_file_that_is_no_yaml_is_an_error_that_names_it(fleet: Path) -> None:
    (fleet / "fr" / "here.yaml").write_text("a: &b 1\n")

    with pytest.raises(OverlayError, match=r"fr/here\.yaml"):
        find_sites(fleet)
