"""The published JSON Schemas, as they lie in this package."""

import json
from importlib import resources
from typing import Any, Literal

Kind = Literal["site", "fleet", "rollout", "bundle"]


def load_schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a site's file, of fleet.yaml, of rollout.yaml or of a bundle's payload."""
    schema: dict[str, Any] = json.loads(schema_text(kind))
    return schema


def schema_text(kind: Kind) -> str:
    """Return the text of that schema's file."""
    return (resources.files("pointsman_schema") / f"{kind}.v1.schema.json").read_text(encoding="utf-8")
