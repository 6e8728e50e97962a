"""The published schemas: fresh, documented on every property, the same in both dialects of regular expressions."""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, get_args

import jsonschema
import pytest
from pointsman_schema.authoring.__main__ import schema_files
from pointsman_schema.schemas import Kind, load_schema, schema_text
from pointsman_schema.timezones import zone_names

KINDS: tuple[Kind, ...] = get_args(Kind)


def subschemas(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield at, schema
        for key, value in schema.items():
            if key not in ("examples", "default", "enum", "const"):
                yield from subschemas(value, f"{at}/{key}")
    elif isinstance(schema, list):
        for position, value in enumerate(schema):
            yield from subschemas(value, f"{at}/{position}")


def properties(kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    for at, schema in subschemas(load_schema(kind)):
        if at.endswith("/properties"):
            yield from ((f"{at}/{name}", value) for name, value in schema.items())


def with_references(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return {**root["$defs"][name], **schema} if name else schema


@pytest.mark.parametrize("name", [f"{kind}.v1.schema.json" for kind in KINDS])
def test_the_published_file_is_what_is_written_now(name: str) -> None:
    published = (resources.files("pointsman_schema") / name).read_text(encoding="utf-8")

    assert published == schema_files()[name], "run: python -m pointsman_schema.authoring"


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_a_schema_of_2020_12(kind: Kind) -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema(kind))

    assert schema_text(kind).endswith("}\n")


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_has_a_title_and_a_description(kind: Kind) -> None:
    walked = [(at, schema) for at, schema in properties(kind) if not at.count("/if/")]
    bare = [at for at, schema in walked if not (schema.get("title") and schema.get("description"))]

    assert len(walked) > 20
    assert bare == []


@pytest.mark.parametrize("kind", ["site", "fleet", "rollout"])
def test_every_property_that_may_be_set_has_examples_that_its_schema_admits(kind: Kind) -> None:
    root = load_schema(kind)
    for at, schema in properties(kind):
        # A condition shows nothing, a forbidden key has no example, a closed map shows those of its keys.
        if "/if/" in at or "not" in schema or schema.get("additionalProperties") is False:
            continue
        assert schema.get("examples"), at
        validator = jsonschema.Draft202012Validator({**schema, "$defs": root.get("$defs", {})})
        for example in schema["examples"]:
            assert list(validator.iter_errors(example)) == [], f"{at}: {example}"


@pytest.mark.parametrize("kind", ["site", "fleet", "rollout"])
def test_defaults_are_admitted(kind: Kind) -> None:
    for _, schema in properties(kind):
        if "default" in schema:
            jsonschema.Draft202012Validator(schema).validate(schema["default"])


@pytest.mark.parametrize("kind", ["site", "fleet", "rollout"])
def test_every_map_is_closed_or_names_what_its_values_are(kind: Kind) -> None:
    maps = [
        (at, one) for at, one in subschemas(load_schema(kind)) if "object" in str(one.get("type")) and "/if" not in at
    ]

    assert maps
    assert [at for at, schema in maps if "additionalProperties" not in schema] == []


@pytest.mark.parametrize("kind", ["site", "fleet", "rollout"])
def test_patterns_mean_the_same_in_ecma_and_in_python(kind: Kind) -> None:
    """Anchored at both ends, and without classes that depend on Unicode or escapes that only one side knows."""
    patterns = {
        schema["pattern"] for _, schema in subschemas(load_schema(kind)) if isinstance(schema.get("pattern"), str)
    }

    assert patterns
    for pattern in patterns:
        re.compile(pattern)
        assert pattern.startswith("^"), pattern
        assert pattern.endswith("$"), pattern
        assert not re.search(r"\\[dwsbDWSBAZz]|\(\?P|\(\?<|\(\?i", pattern), pattern


@pytest.mark.parametrize("kind", ["site", "fleet", "rollout"])
def test_neither_one_of_nor_unevaluated_properties_spoils_an_error(kind: Kind) -> None:
    keywords = {key for _, schema in subschemas(load_schema(kind)) for key in schema}

    assert not keywords & {"oneOf", "anyOf", "unevaluatedProperties"}


def test_the_zones_of_the_schema_are_those_of_the_pinned_data() -> None:
    assert load_schema("site")["$defs"]["zone"]["enum"] == list(zone_names())


def test_site_and_fleet_share_their_definitions() -> None:
    site, fleet = load_schema("site")["$defs"], load_schema("fleet")["$defs"]

    assert fleet
    assert {name: site[name] for name in fleet} == fleet


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:8080/ocpp",
        "wss://csms.acme.example",
        "WSS://csms.acme.example/ocpp/{station}/ws?tenant=7",
        "wss://csms.acme.example/ocpp/{{ site }}",
        "wss://{{ vars['host'] }}:443/{{ {'a': 1}['a'] }}",
        "{{ vars.url }}/ocpp/{station}",
        "wss://[2001:db8::1]:443/a%20b",
        "wss://bücher.example/ocpp",
    ],
)
def test_the_url_pattern_admits(url: str) -> None:
    pattern = load_schema("site")["$defs"]["supervision"]["properties"]["url"]["pattern"]

    assert re.search(pattern, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://csms.acme.example",
        "wss://",
        "wss:///ocpp",
        "wss://user:secret@csms.acme.example/",
        "wss://csms.acme.example/a b",
        "wss://csms.acme.example/#part",
        "wss://csms.acme.example/100%",
        "wss://csms.acme.example/{identity}",
        "wss://{station}.acme.example/",
        "wss://csms.acme.example/{{ site }",
        " wss://csms.acme.example",
    ],
)
def test_the_url_pattern_refuses(url: str) -> None:
    pattern = load_schema("site")["$defs"]["supervision"]["properties"]["url"]["pattern"]

    assert not re.search(pattern, url)
