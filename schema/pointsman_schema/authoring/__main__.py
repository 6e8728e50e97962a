"""`python -m pointsman_schema.authoring`: write the published schemas into this package."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pointsman_schema.authoring.fleet import fleet_schema
from pointsman_schema.authoring.rollout import rollout_schema
from pointsman_schema.authoring.site import site_schema
from pointsman_schema.bundle import bundle_schema

FOLDER = Path(__file__).parent.parent


def schema_files() -> Mapping[str, str]:
    """Return the text of every published schema by file name."""
    schemas = {"site": site_schema(), "fleet": fleet_schema(), "rollout": rollout_schema()}
    schemas["bundle"] = bundle_schema()
    return {f"{kind}.v1.schema.json": _written(schema) for kind, schema in schemas.items()}


def _written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in schema_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
