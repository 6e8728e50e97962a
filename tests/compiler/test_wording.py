"""What people are told: in one style, without a word of JSON Schema's or Python's, all at once and in order."""

import copy
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pointsman_compiler.build import check
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.problems import Problem, sort_problems
from pointsman_compiler.resolve import (
    ACTIVATION_DEFAULTS,
    AUTHENTICATION_DEFAULTS,
    JOURNAL_DEFAULTS,
    LISTENER_DEFAULTS,
    STATION_DEFAULTS,
    SUPERVISION_DEFAULTS,
)
from pointsman_compiler.shape import Kind, find_shape_problems
from pointsman_compiler.shape_breaches import breaches_of
from pointsman_compiler.shape_findings import EXPLAINED
from pointsman_compiler.shape_names import SAME_KEYS, SECTIONS
from pointsman_compiler.sources import SourceTree
from pointsman_schema.schemas import load_schema

CASES = sorted((Path(__file__).parent / "cases").iterdir())
AT = datetime(2026, 11, 22, tzinfo=UTC)

SITE = """\
version: 1
site: lyon
title: Lyon
labels: {region: ara}
timeZone: Europe/Paris
supervision: multiple
supervisions:
  acme:
    url: wss://csms.acme.example/ocpp
    pingInterval: 30
    forwardSecurityEvents: true
    trust: [root.pem]
    clientCertificate: {chain: client.pem, key: {secret: key}}
    password: {secretPerStation: "acme-{station}", format: text}
    protocols: [ocpp2.0.1, ocpp1.6]
    proxy: {url: "http://proxy:3128", password: {secret: proxy}}
    condemn: any
  volt: {}
groups:
  visitors: {operator: acme, stations: [A]}
  staff: {operator: local, stations: all, authentication: {online: any}, stationKeys: {ConnectionTimeOut: "60"}}
badges:
  - {file: a.csv}
  - {secret: more}
  - {badge: A1, groups: [staff], type: ISO14443, authorized: true, until: 2027-01-31, comment: Desk}
stationPassword: {secret: all}
stations:
  A: {protocols: [ocpp1.6], pingInterval: 0, certificateName: SN, password: {secret: a, format: hex}}
  B: {assumeProtocol: ocpp1.6, password: none}
listeners:
  lan: {address: 0.0.0.0, port: 9000, securityProfile: 1, minimumTls: "1.2", legacyCiphers: false}
activation: {spread: 30, probation: 120, drainLimit: 3600}
journal: {keepDays: 400}
vars: {region: ara}
"""
FLEET = """\
version: 1
defaults: {authentication: {online: any}, journal: {keepDays: 9}}
supervisions: {acme: {url: "wss://csms.acme.example/ocpp", messageTimeout: 20}}
policy: {requireTls: true, badges: any}
"""
SCALARS: list[Any] = [None, True, -1, 99999, 1.5, "", "unique", "a b\x7f", "x" * 3000]
WRONG: list[Any] = [*SCALARS, [], ["A", "A"], [7], {}, {"x y": 1}, {"": {}}]
RAW = re.compile(
    r"additionalProperties|propertyNames|uniqueItems|min(?:Items|Length|Properties)|max(?:Items|Length|Properties)"
    r"|\$ref|\$defs|#/|\benum\b|\bconst\b|\bschema\b|\bregex|\bpattern\b|(?<!\[)\binstance\b|\bboolean\b|\barray\b|\bobject\b"
    r"|is not of type|does not match|not valid under|required property|\(\?|\^\[|\]\$|NoneType|Traceback"
    r"|\bNone\b|\bTrue\b|\bFalse\b|\bdict\b|\bstr\b|<class|Error\b"
)
"""Words of JSON Schema, of regular expressions and of Python."""

STRUCTURE = {
    *["title", "description", "examples", "default", "errorMessage", "patternErrorMessage", "doNotSuggest"],
    *["properties", "propertyNames", "items", "if", "then", "else", "const", "$ref", "$defs", "$schema", "$id"],
}
"""Keywords that nothing can break: words for people, what holds other schemas, and conditions."""
KINDS: tuple[Kind, ...] = ("site", "fleet")


def everything(kind: Kind) -> Any:
    found = read_document("a.yaml", (SITE if kind == "site" else FLEET).encode())
    assert isinstance(found, Document), found
    assert find_shape_problems(found, kind) == []
    return found.data


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*path, step)
        yield from paths_in(item, (*path, step))


def variants(data: Any) -> Iterator[Any]:
    """`data` with one value replaced by each wrong one, with one key taken away, or one added."""
    yield from WRONG
    for *way, step in paths_in(data):
        for value in [*WRONG, "gone", "added"]:
            changed = copy.deepcopy(data)
            parent = changed
            for name in way:
                parent = parent[name]
            if value == "gone":
                del parent[step]
            elif value != "added":
                parent[step] = value
            elif isinstance(parent, dict):
                parent["someKey"] = 1
            yield changed


def test_a_breach_of_any_keyword_is_told_without_a_raw_word() -> None:
    broken: set[str] = set()
    for kind in KINDS:
        for data in variants(everything(kind)):
            broken |= {breach.keyword for breach in breaches_of(kind, data) if not breach.is_name}
            for problem in find_shape_problems(Document("a.yaml", "a: 1", data), kind):
                assert_is_well_told(problem)

    assert broken == set(EXPLAINED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_problem_of_the_corpus_is_told_in_one_style_and_in_order(case: Path) -> None:
    problems = list(check(SourceTree(case / "sites"), AT).problems)

    for problem in problems:
        assert_is_well_told(problem)
    assert problems == sort_problems(problems)


def assert_is_well_told(problem: Problem) -> None:
    """Messages and helps begin small (names, `…` and numbers as they are), end without a full stop, and are plain."""
    for text in (problem.message, problem.help):
        assert not RAW.search(text), text
        assert not text.endswith("."), text
        assert "  " not in text, text
        assert text.isprintable(), text
    assert re.match(r"[a-z`{]", problem.help), problem.help


def test_every_keyword_of_the_schemas_that_can_be_broken_is_explained() -> None:
    used = keywords_of(load_schema("site")) | keywords_of(load_schema("fleet"))

    assert used - STRUCTURE == set(EXPLAINED)


def keywords_of(schema: Any) -> set[str]:
    found = set(schema)
    for key in ("items", "if", "then", "else", "additionalProperties", "propertyNames"):
        found |= keywords_of(schema[key]) if isinstance(schema.get(key), dict) else set()
    for key in ("properties", "$defs"):
        for inner in schema.get(key, {}).values():
            found |= keywords_of(inner)
    return found


def test_every_section_of_the_schemas_has_a_name_for_people() -> None:
    definitions = load_schema("site")["$defs"]
    with_keys = {name for name, schema in definitions.items() if "properties" in schema}

    assert with_keys == {*SECTIONS, *SAME_KEYS}
    for name, other in SAME_KEYS.items():
        assert set(definitions[name]["properties"]) <= set(definitions[other]["properties"])


def test_the_defaults_that_the_schema_tells_are_those_that_are_resolved() -> None:
    definitions = load_schema("site")["$defs"]
    resolved = {
        "supervision": SUPERVISION_DEFAULTS,
        "groupAuthentication": AUTHENTICATION_DEFAULTS,
        "station": STATION_DEFAULTS,
        "listener": LISTENER_DEFAULTS,
        "activation": ACTIVATION_DEFAULTS,
        "journal": JOURNAL_DEFAULTS,
    }
    for name, built_in in resolved.items():
        properties = definitions[name]["properties"]
        told = {key: schema["default"] for key, schema in properties.items() if "default" in schema}
        assert told == {key: built_in[key] for key in told}, name
        assert told, name
