"""CPU time from the text of a site to its signed bundle, against reading and judging the same text with usual tools."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_compiler.crew import run
from pointsman_compiler.emit import emit, make_bundle
from pointsman_compiler.judging import Judge
from pointsman_compiler.sources import SourceTree
from pointsman_schema.schemas import load_schema

from benchmarks.fleet import FLEET_FILE, site_name, site_text
from benchmarks.report import Figure, Round

SITES: Final = {20: 100, 500: 5}
"""Sites a round, by their stations: about as much work for each size."""
ROUNDS: Final = 5
_AT: Final = datetime(2026, 11, 22, tzinfo=UTC)

Texts = Mapping[str, bytes]


def measure(folder: Path, stations: int = 20) -> Figure:
    """Return the figure of sites of 20 or 500 stations; `folder` is empty and ours for the time."""
    (folder / "fleet.yaml").write_text(FLEET_FILE)
    key = Ed25519PrivateKey.generate()
    validator = jsonschema.Draft202012Validator(load_schema("site"))
    _compile(folder, _texts(0, stations), key)
    _load_and_validate(_texts(0, stations), validator)
    rounds = [_round(folder, number, stations, key, validator) for number in range(1, ROUNDS + 1)]
    name = f"compile, CPU a site of {stations} stations, all rules, signed"
    return Figure(name, "ms", "PyYAML's CSafeLoader and jsonschema, no rules, no bundle", rounds)


def _round(folder: Path, number: int, stations: int, key: Ed25519PrivateKey, validator: Any) -> Round:
    """Each round has sites of its own, so that no cache knows them."""
    texts = _texts(number, stations)
    return Round(
        _cpu_ms(lambda: _compile(folder, texts, key)) / len(texts),
        _cpu_ms(lambda: _load_and_validate(texts, validator)) / len(texts),
    )


def _texts(number: int, stations: int) -> Texts:
    numbers = range(number * SITES[stations], (number + 1) * SITES[stations])
    return {f"{site_name(each)}.yaml": site_text(each, stations).encode() for each in numbers}


def _cpu_ms(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


@dataclass(frozen=True, slots=True)
class _Way:
    """The way of each site in a run over a fleet, but for the disk: judged, made, signed and dropped."""

    folder: Path
    texts: Texts
    key: Ed25519PrivateKey

    def begin(self) -> Callable[[str], bytes]:
        tree = SourceTree(self.folder, self.texts)
        judge = Judge(tree, _AT)

        def signed(file: str) -> bytes:
            judged = judge.judge(file)
            if judged.resolved is None:
                raise SystemExit(f"the sites of the benchmark have problems: {judged.report.problems}")
            envelope = emit(make_bundle(judged.resolved, tree, sequence=1, revision=None), [self.key])
            tree.forget(file)
            return envelope

        return signed


def _compile(folder: Path, texts: Texts, key: Ed25519PrivateKey) -> None:
    for envelope in run(_Way(folder, texts, key), list(texts), jobs=1):
        assert envelope


def _load_and_validate(texts: Texts, validator: Any) -> None:
    for text in texts.values():
        validator.validate(yaml.load(text, Loader=yaml.CSafeLoader))
