"""A fleet of any size, the same every time: `python -m benchmarks.fleet DIR --sites 10000 --stations 20`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SITES_A_FOLDER: Final = 100
BADGES: Final = 10
"""Badges that a site writes itself; long lists are files."""

FLEET_FILE: Final = """\
version: 1
defaults:
  listeners:
    lan: {port: 9000, securityProfile: 1}
  stationPassword: {secretPerStation: "station-{station}"}
  authentication: {online: known, offline: known}
supervisions:
  acme:
    url: wss://csms.acme.example/ocpp/{{ site }}
    messageTimeout: 20
    password: {secretPerStation: "acme-{station}"}
  volt:
    url: wss://ocpp.volt.example/{station}
    protocols: [ocpp2.0.1, ocpp1.6]
policy: {requireTls: true}
"""


def write_fleet(root: Path, sites: int, stations: int) -> None:
    """Write `sites` sites of `stations` stations each below `root`, a hundred a folder, and their fleet.yaml."""
    for number in range(sites):
        folder = root / f"region-{number // SITES_A_FOLDER:03}"
        if number % SITES_A_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{site_name(number)}.yaml").write_text(site_text(number, stations))
    (root / "fleet.yaml").write_text(FLEET_FILE)


def site_name(number: int) -> str:
    """Return the id of a site."""
    return f"site-{number:05}"


def site_text(number: int, stations: int) -> str:
    """Return a site's file; of five, three are `multiple`, one is `unique` and one `local`."""
    names = [f"S{number:05}-{station:03}" for station in range(stations)]
    head = [
        "version: 1",
        f"site: {site_name(number)}",
        f"title: Car park {number}",
        f"labels: {{region: r{number // SITES_A_FOLDER}}}",
        "timeZone: Europe/Paris",
    ]
    body = {3: _unique, 4: _local}.get(number % 5, _multiple)(number, names)
    stations_part = ["stations:", *(f"  {name}: {{protocols: [ocpp2.0.1, ocpp1.6]}}" for name in names)]
    return "\n".join([*head, *body, *stations_part]) + "\n"


def _multiple(number: int, names: list[str]) -> Iterator[str]:
    third = len(names) // 3
    yield "supervision: multiple"
    yield "supervisions:"
    yield "  acme: {forwardSecurityEvents: true}"
    yield "  volt: {}"
    yield "groups:"
    yield f"  visitors: {{operator: acme, stations: [{', '.join(names[:third])}]}}"
    yield f"  partners: {{operator: volt, stations: [{', '.join(names[third : 2 * third])}]}}"
    yield "  staff:"
    yield "    operator: local"
    yield f"    stations: [{', '.join(names[2 * third :])}]"
    yield "    authentication: {concurrent: refuse}"
    yield from _badges(number, ", groups: [staff]")


def _unique(number: int, names: list[str]) -> Iterator[str]:
    yield "supervision: unique"
    yield "supervisions: {acme: {}}"


def _local(number: int, names: list[str]) -> Iterator[str]:
    yield "supervision: local"
    yield from _badges(number, "")


def _badges(number: int, groups: str) -> Iterator[str]:
    yield "badges:"
    for badge in range(BADGES):
        yield f'  - {{badge: "04{number:06X}{badge:04X}", authorized: true{groups}}}'


def main() -> None:
    """Write a fleet where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--stations", type=int, default=20)
    chosen = parser.parse_args()
    write_fleet(chosen.folder, chosen.sites, chosen.stations)


if __name__ == "__main__":
    main()
