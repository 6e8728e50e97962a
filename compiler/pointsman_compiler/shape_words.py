"""The parts of sentences in which a breach of a schema is told: what stands there, what is expected, what it is for.

The words come from the schema where it has some (`description`, `examples`). What looks like a secret is never
repeated.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pointsman_compiler.document import Path
from pointsman_compiler.secrecy import is_telling_key, masked

Schema = Mapping[str, Any]

LISTED_AT_MOST: Final = 12
"""Longer enumerations (time zones) are not written out."""
LONGEST_SHOWN: Final = 60
"""Characters of a text that are repeated in a message."""

_SECRET_KEYS: Final = frozenset({"secret", "secretPerStation", "key"})
_KINDS: Final = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
}
_PLAIN: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@-]*(?: [A-Za-z0-9_./-]+)*")
_CAPITAL: Final = re.compile(r"(?:^|(?<=\. ))([A-Z])(?=[a-z]*(?:[ ,;:']|$))")


def label(path: Path) -> str:
    """Return how a message calls what stands at `path`: its key, its number in a list, or the file."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of {label(path[:-1])}"
    return f"`{cut(path[-1])}`"


def shown(value: Any, path: Path) -> str:
    """Return how a message repeats `value`, which stands at `path`; of secrets only the kind."""
    match value:
        case dict():
            return "a map" if value else "an empty map"
        case list():
            return "a list" if value else "an empty list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _ if any(isinstance(step, str) and (step in _SECRET_KEYS or is_telling_key(step)) for step in path[-2:]):
            return "a text" if isinstance(value, str) else "a number"
        case str():
            return f'"{cut(masked(value))}"'
        case _:
            return str(value)


def expected(schema: Schema) -> str:
    """Return what `schema` takes, for `but ... is expected`."""
    if "enum" in schema:
        values = [str(value) for value in schema["enum"] if value is not None]
        return "a name of the list" if len(values) > LISTED_AT_MOST else one_of(values)
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return one_of([_KINDS[kind] for kind in kinds if kind != "null"])


def kind_of(schema: Schema) -> str:
    """Return the schema's type; the first one where null is taken as well."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return str(kinds[0])


def purpose(schema: Schema) -> str:
    """Return what to write, for example, and what it is for."""
    meaning = f": {prose(schema['description'])}" if "description" in schema else ""
    if examples := schema.get("examples"):
        return f"write {flow(examples[0])}, for example{meaning}"
    return f"write {expected(schema)}{meaning}" if "type" in schema else f"compare with the site format{meaning}"


def prose(description: str) -> str:
    """Return a description, which is made of sentences, as a part of one."""
    return _CAPITAL.sub(lambda match: match[1].lower(), description.rstrip(".")).replace(". ", "; ")


def flow(value: Any) -> str:
    """Return `value` as a person writes it into YAML, in one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str() if not _PLAIN.fullmatch(value):
            return json.dumps(value, ensure_ascii=False)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def one_of(values: list[str]) -> str:
    """Return `a, b or c`."""
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def cut(text: str) -> str:
    """Return `text` as far as a message repeats it."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
