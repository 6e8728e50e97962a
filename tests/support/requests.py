"""The least valid payload of any OCPP message, out of its schema."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pointsman_simulator.schemas import FOLDER_OF_PROTOCOL

Schema = dict[str, Any]


def least_request(protocol: str, action: str) -> dict[str, Any]:
    """Return a payload with the required fields alone; enumerations by their first word, texts short, numbers small."""
    schema = _schema(protocol, action)
    payload = _value(schema, schema)
    assert isinstance(payload, dict)
    return payload


@cache
def _schema(protocol: str, action: str) -> Schema:
    spec = find_spec("ocpp")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / FOLDER_OF_PROTOCOL[protocol] / "schemas"
    files = {path.stem: path for path in folder.glob("*.json")}
    path = files.get(f"{action}Request") or files[action]
    schema: Schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return schema


def _value(schema: Schema, root: Schema) -> Any:
    if "$ref" in schema:
        return _value(root["definitions"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type", "object"):
        case "object":
            required = schema.get("required", [])
            return {name: _value(schema["properties"][name], root) for name in required}
        case "array":
            return [_value(schema["items"], root) for _ in range(schema.get("minItems", 1))]
        case "string":
            return "2026-11-22T12:00:00Z" if schema.get("format") == "date-time" else "x"
        case "boolean":
            return True
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
    raise AssertionError(schema)
