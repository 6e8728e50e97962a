"""A breach of the schema → what a person should do: one entry of `_EXPLAIN` a keyword.

The words come from the schema where it has some: `errorMessage` and `patternErrorMessage` say what is demanded,
`description` what the key is for. Values of keys that may hold a secret are never repeated.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from pointsman_compiler.document import Part, Path

LISTED_AT_MOST: Final = 12
"""Longer enumerations (time zones) are not written out."""

_SECRET_KEYS: Final = frozenset({"password", "stationPassword", "secret", "secretPerStation", "key"})
_KINDS: Final = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A keyword of the schema that a value breaks; `is_name` where the value is a key itself."""

    keyword: str
    demand: Any
    schema: Mapping[str, Any]
    instance: Any
    path: Path
    is_name: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem without its place. Of several at one path the one with the lowest rank tells most."""

    rank: int
    code: str
    path: Path
    part: Part
    message: str
    help: str
    meant: str = ""
    """For an unknown key: the key that was probably meant, which is then not reported as missing."""


def findings_of(breach: Breach) -> Iterator[Finding]:
    """Yield what `breach` means, a finding a mistake."""
    if breach.is_name:
        yield _bad_name(breach, breach.path)
    else:
        yield from _EXPLAIN.get(breach.keyword, _other)(breach, breach.path)


def prune(findings: Iterable[Finding]) -> list[Finding]:
    """Return the one that tells most for each path, without missing keys that are there but misspelt."""
    best: dict[tuple[Path, Part], Finding] = {}
    for finding in sorted(findings, key=lambda finding: (finding.rank, finding.code, finding.message)):
        best.setdefault((finding.path, finding.part), finding)
    meant = {(*finding.path[:-1], finding.meant) for finding in best.values() if finding.meant}
    return [finding for finding in best.values() if finding.code != "PM202" or finding.path not in meant]


def _type(breach: Breach, path: Path) -> Iterator[Finding]:
    message = f"{_label(path)} is {_shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
    yield Finding(1, "PM201", path, "value", message, _type_help(breach))


def _required(breach: Breach, path: Path) -> Iterator[Finding]:
    told = breach.schema.get("errorMessage")
    for name in breach.demand:
        if name not in breach.instance:
            message = told or f"{_label(path)} has no `{name}`"
            yield Finding(1, "PM202", (*path, name), "value", message, _required_help(breach.schema, name))


def _unknown(breach: Breach, path: Path) -> Iterator[Finding]:
    known = [name for name, schema in breach.schema["properties"].items() if "not" not in schema]
    for name in breach.instance:
        if name not in breach.schema["properties"]:
            meant = _nearest(name, known)
            possible = breach.schema.get("errorMessage", f"possible here are {', '.join(known)}")
            help = f"did you mean `{meant}`?" if meant else possible
            message = f"`{_cut(name)}` is no key of {_label(path)}"
            yield Finding(0, "PM203", (*path, name), "key", message, help, meant)


def _enum(breach: Breach, path: Path) -> Iterator[Finding]:
    values = [str(value) for value in breach.demand if value is not None]
    meant = _nearest(str(breach.instance), values)
    told = breach.schema.get("errorMessage")
    message = told or f"{_label(path)} is {_shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
    help = f"did you mean {meant}?" if meant and not told else _purpose(breach.schema)
    yield Finding(2, "PM204", path, "value", message, help)


def _range(breach: Breach, path: Path) -> Iterator[Finding]:
    message = f"{_label(path)} is {_shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
    yield Finding(3, "PM205", path, "value", message, _purpose(breach.schema))


def _pattern(breach: Breach, path: Path) -> Iterator[Finding]:
    demanded = breach.schema.get("patternErrorMessage", f"it must match {breach.demand}")
    message = f"{_label(path)} is {_shown(breach.instance, path)}, but {demanded}"
    yield Finding(4, "PM206", path, "value", message, _purpose(breach.schema))


def _length(breach: Breach, path: Path) -> Iterator[Finding]:
    count = len(breach.instance)
    if breach.keyword == "maxLength":
        message = f"{_label(path)} has {count} characters, but {breach.demand} is the most"
    else:
        message = f"{_label(path)} is empty"
    yield Finding(4, "PM206", path, "value", message, _purpose(breach.schema))


def _bad_name(breach: Breach, path: Path) -> Finding:
    demanded = breach.schema.get("patternErrorMessage", "it does not fit")
    message = f"`{_cut(str(breach.instance))}` cannot be a name in {_label(path)}: {demanded}"
    return Finding(1, "PM207", (*path, breach.instance), "key", message, "choose another name")


def _forbidden(breach: Breach, path: Path) -> Iterator[Finding]:
    message = breach.schema.get("errorMessage", f"{_label(path)} may not be here")
    yield Finding(0, "PM208", path, "key", message, f"delete {_label(path)}")


def _count(breach: Breach, path: Path) -> Iterator[Finding]:
    told = breach.schema.get("errorMessage")
    wanted = "at least" if breach.keyword.startswith("min") else "at most"
    message = told or f"{_label(path)} has {len(breach.instance)} entries, but {wanted} {breach.demand} is needed"
    yield Finding(3, "PM209", path, "key", message, _purpose(breach.schema))


def _repeated(breach: Breach, path: Path) -> Iterator[Finding]:
    for position, item in enumerate(breach.instance):
        if item in breach.instance[:position]:
            message = f"{_shown(item, path)} stands twice in {_label(path)}"
            yield Finding(5, "PM210", (*path, position), "value", message, "delete one of the two")


def _other(breach: Breach, path: Path) -> Iterator[Finding]:
    yield Finding(9, "PM200", path, "value", f"{_label(path)} does not fit its schema", _purpose(breach.schema))


_EXPLAIN: Final[dict[str, Callable[[Breach, Path], Iterator[Finding]]]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _unknown,
    "enum": _enum,
    "minimum": _range,
    "maximum": _range,
    "pattern": _pattern,
    "minLength": _length,
    "maxLength": _length,
    "not": _forbidden,
    "minProperties": _count,
    "maxProperties": _count,
    "minItems": _count,
    "uniqueItems": _repeated,
}


def _label(path: Path) -> str:
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of {_label(path[:-1])}"
    return f"`{_cut(path[-1])}`"


def _shown(value: Any, path: Path) -> str:
    match value:
        case dict():
            return "a map" if value else "an empty map"
        case list():
            return "a list" if value else "an empty list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _ if path and path[-1] in _SECRET_KEYS:
            return "a text" if isinstance(value, str) else "a number"
        case str():
            return f'"{_cut(value)}"'
        case _:
            return str(value)


def _expected(schema: Mapping[str, Any]) -> str:
    if "errorMessage" in schema and "type" in schema and "enum" not in schema:
        return f"{_KINDS[_kind(schema)]}"
    if "enum" in schema:
        values = [str(value) for value in schema["enum"] if value is not None]
        return "a name of the list" if len(values) > LISTED_AT_MOST else _one_of(values)
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return _KINDS[_kind(schema)]


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return str(kinds[0])


def _type_help(breach: Breach) -> str:
    kind, value = _kind(breach.schema), breach.instance
    if value is None and kind == "object":
        return "write {} where nothing is to be set"
    if kind == "string" and isinstance(value, bool | int | float):
        return f'write it in quotes: "{_written(value)}"'
    if kind in ("integer", "boolean") and isinstance(value, str) and _is_unquotable(kind, value):
        return f"write it without quotes: {value}"
    if "errorMessage" in breach.schema:
        return str(breach.schema["errorMessage"])
    return _purpose(breach.schema)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_unquotable(kind: str, value: str) -> bool:
    return value in ("true", "false") if kind == "boolean" else re.fullmatch("-?[0-9]{1,9}", value) is not None


def _required_help(schema: Mapping[str, Any], name: str) -> str:
    wanted = schema.get("properties", {}).get(name, {})
    described = f": {wanted['description']}" if "description" in wanted else ""
    return f"add `{name}`{described}"


def _purpose(schema: Mapping[str, Any]) -> str:
    """What the key is for, and an example."""
    described = str(schema.get("description", "compare with the documentation of the site format"))
    examples = schema.get("examples", [])
    if not examples or isinstance(examples[0], dict | list):
        return described
    return f"{described} For example: {_written(examples[0])}"


def _one_of(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is when case, - and _ do not count, or the closest one, or nothing."""
    flat = {_flat(other): other for other in sorted(known)}
    found = get_close_matches(_flat(name), flat, n=1, cutoff=0.7)
    return flat[found[0]] if found else ""


def _flat(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")[:100]


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
