"""CPU time from the text of a site to its signed bundle, against reading and judging the same text with usual tools."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_compiler.build import check
from pointsman_compiler.emit import emit, make_bundle
from pointsman_compiler.sources import SourceTree
from pointsman_schema.schemas import schema_text

from benchmarks.report import Figure, Round

SITES: Final = 40
STATIONS: Final = 20
ROUNDS: Final = 3
_AT: Final = datetime(2026, 11, 22, tzinfo=UTC)


def measure(folder: Path) -> Figure:
    """Return the figure; `folder` is empty and ours for the time."""
    key = Ed25519PrivateKey.generate()
    validator = jsonschema.Draft202012Validator(json.loads(schema_text("site")))
    _compile(_written(folder / "warm-up"), key)
    _load_and_validate(folder / "warm-up", validator)
    rounds = [_round(folder / f"round-{number}", key, validator) for number in range(ROUNDS)]
    name = f"compile, CPU a site of {STATIONS} stations, all rules, signed"
    return Figure(name, "ms", "PyYAML's CSafeLoader and jsonschema, no rules, no bundle", rounds)


def _round(folder: Path, key: Ed25519PrivateKey, validator: Any) -> Round:
    """Each round has files of its own, so that no cache knows them."""
    _written(folder)
    return Round(
        _cpu_ms(lambda: _compile(folder, key)) / SITES,
        _cpu_ms(lambda: _load_and_validate(folder, validator)) / SITES,
    )


def _cpu_ms(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def _compile(folder: Path, key: Ed25519PrivateKey) -> None:
    tree = SourceTree(folder)
    result = check(tree, _AT)
    if len(result.resolved) != SITES:
        raise SystemExit(f"the sites of the benchmark have problems: {result.problems}")
    for site in result.resolved:
        emit(make_bundle(site, tree, sequence=1, revision=None), [key])


def _load_and_validate(folder: Path, validator: Any) -> None:
    for path in sorted(folder.glob("*.yaml")):
        validator.validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))


def _written(folder: Path) -> Path:
    """Write the sites of a round: three groups, two operators, a badge a station."""
    folder.mkdir()
    for number in range(SITES):
        name = f"{folder.name}-{number:03}"
        (folder / f"{name}.yaml").write_text(_site(name))
    return folder


def _site(name: str) -> str:
    stations = [f"{name.upper()}-{number:02}" for number in range(STATIONS)]
    third = STATIONS // 3
    lines = [
        "version: 1",
        f"site: {name}",
        f"title: The car park of {name}",
        "labels: {region: ara}",
        "timeZone: Europe/Paris",
        "supervision: multiple",
        "supervisions:",
        f"  acme: {{url: wss://csms.acme.example/ocpp/{name}, messageTimeout: 20, forwardSecurityEvents: true}}",
        "  volt: {url: 'wss://ocpp.volt.example/{station}', protocols: [ocpp2.0.1, ocpp1.6]}",
        "groups:",
        f"  visitors: {{operator: acme, stations: [{', '.join(stations[:third])}]}}",
        f"  partners: {{operator: volt, stations: [{', '.join(stations[third : 2 * third])}]}}",
        "  staff:",
        "    operator: local",
        f"    stations: [{', '.join(stations[2 * third :])}]",
        "    authentication: {online: known, offline: known, concurrent: refuse}",
        "badges:",
        *(f"  - {{badge: '04{number:012X}', groups: [staff], authorized: true}}" for number in range(STATIONS)),
        "stations:",
        *(f"  {station}: {{protocols: [ocpp2.0.1, ocpp1.6], pingInterval: 30}}" for station in stations),
    ]
    return "\n".join(lines) + "\n"
