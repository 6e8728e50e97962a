"""Data against a JSON Schema → every breach of it (the only jsonschema).

It takes 70 ms to import and 4 ms for a site of 20 stations, so it is asked only where something is wrong, or where
nothing faster is installed.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pointsman_schema.schemas import Kind, load_schema

from pointsman_compiler.shape_findings import Breach


@cache
def validator_of(kind: Kind) -> Validator:
    """Return jsonschema's validator of the schema of `kind`, for which 30.0 is no whole number."""
    draft = jsonschema.Draft202012Validator
    whole = draft.TYPE_CHECKER.redefine("integer", _is_whole)
    strict: type[Validator] = extend(draft, {"additionalProperties": _additional}, type_checker=whole)  # type: ignore[no-untyped-call]  # the stubs have no types
    return strict(load_schema(kind))


def breaches_of(kind: Kind, data: Any) -> Iterator[Breach]:
    """Yield every keyword of the schema of `kind` that `data` breaks, the same way each time."""
    for error in validator_of(kind).iter_errors(data):
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        is_name = "propertyNames" in error.schema_path
        path = tuple(error.absolute_path)
        yield Breach(str(error.validator), error.validator_value, schema, error.instance, path, is_name, kind)


def _additional(validator: Any, demand: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """`additionalProperties` (JSON Schema core, 10.3.2.3) in the order of the data: jsonschema goes through a set."""
    if not isinstance(demand, Mapping) or "patternProperties" in schema:
        yield from _ANY_ORDER(validator, demand, instance, schema)
    elif isinstance(instance, Mapping):
        for name in instance:
            if name not in schema.get("properties", {}):
                yield from validator.descend(instance[name], demand, path=name)


_ANY_ORDER: Any = jsonschema.Draft202012Validator.VALIDATORS["additionalProperties"]


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
