"""Values that a schema of ours admits, drawn by hypothesis from the schema itself: for the keywords that we use."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from pointsman_schema.schemas import Kind, load_schema

Schema = Mapping[str, Any]
NAMES = {
    "[a-z0-9-]": st.sampled_from(["acme", "volt", "a", "9-9"]),
    "[A-Za-z0-9._-]": st.sampled_from(["staff", "Visitors.2", "a_b"]),
    "[A-Za-z_]": st.sampled_from(["region", "_x9"]),
    "[!-": st.sampled_from(["LYO-01", "LYO-02", "a b"]),
}
"""Names by the class of characters that their pattern begins with."""


def an_instance(kind: Kind) -> st.SearchStrategy[Any]:
    """Return a strategy for whole files of `kind`."""
    schema = load_schema(kind)
    if kind == "site":
        modes = [(mode, schema["$defs"][f"{mode}Site"]) for mode in ("local", "unique", "multiple")]
        return st.one_of([_map(site, schema["$defs"], {"supervision": mode}) for mode, site in modes])
    return _map(schema, schema["$defs"], {})


def _any(schema: Schema, defs: Schema) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _any(defs[schema["$ref"].removeprefix("#/$defs/")], defs)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "if" in schema and "type" not in schema:
        return _choice(schema, defs)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_one(kind, schema, defs) for kind in kinds])


def _one(kind: str, schema: Schema, defs: Schema) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 9))
        case "string":
            return st.sampled_from(schema["examples"])
        case "array":
            items = _any(schema["items"], defs)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=2, unique_by=repr)
        case _:
            return _map(schema, defs, {})


def _choice(schema: Schema, defs: Schema) -> st.SearchStrategy[Any]:
    """Either side of an if/else that tells a text from a structure, or one kind of map from another."""
    if schema["if"].get("type") == "string":
        return _any(schema["then"] | {"type": "string"}, defs) | _any(schema["else"], defs)
    return _any(schema["then"], defs) | _any(schema["else"], defs)


def _map(schema: Schema, defs: Schema, fixed: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return _named(schema, defs)
    admitted = {name: value for name, value in schema["properties"].items() if "not" not in value}
    drawn = {name: st.just(fixed[name]) if name in fixed else _any(value, defs) for name, value in admitted.items()}
    required = {name: drawn[name] for name in (*schema.get("required", ()), *fixed)}
    optional = {name: value for name, value in drawn.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda data: _consistent(schema, data))


def _named(schema: Schema, defs: Schema) -> st.SearchStrategy[Any]:
    pattern = (
        schema["propertyNames"]["pattern"].removeprefix("^").removeprefix("(?!local$)").removeprefix(r"(?!\.\.?$)")
    )
    names = next(strategy for start, strategy in NAMES.items() if pattern.startswith(start))
    most = schema.get("maxProperties", 2)
    return st.dictionaries(
        names, _any(schema["additionalProperties"], defs), min_size=schema.get("minProperties", 0), max_size=most
    )


def _consistent(schema: Schema, data: dict[str, Any]) -> dict[str, Any]:
    """Applies what the schema says by if/then/else about keys that exclude or demand each other."""
    properties = schema["properties"]
    if "secretPerStation" in properties:
        one = {"secret": "a"} if "secret" in data else {"secretPerStation": "a-{station}"}
        data = {name: value for name, value in data.items() if name == "format"} | one
    if "operator" in properties and "if" in schema and data["operator"] != "local":
        data = {name: value for name, value in data.items() if name not in ("authentication", "stationKeys")}
    if "authentication" in data and "groups" in data and "if" in schema:
        data = {name: value for name, value in data.items() if name != "authentication"}
    return data
