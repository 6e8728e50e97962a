"""A breach of the schema → what a person should do: one entry of `_EXPLAIN` a keyword.

The words come from the schema where it has some: `errorMessage` and `patternErrorMessage` say what is demanded,
`description` what the key is for. Values of keys that may hold a secret are never repeated.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pointsman_compiler.document import Part, Path
from pointsman_compiler.shape_names import CLOSE, NEXT_TO, all_keys, meant_by, sections_with
from pointsman_compiler.shape_words import (
    LISTED_AT_MOST,
    cut,
    expected,
    flow,
    kind_of,
    label,
    one_of,
    prose,
    purpose,
    shown,
)

SUGGESTED_AT_MOST: Final = 100
"""Unknown keys of one map whose meaning is searched; nobody misspells more."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A keyword of the schema that a value breaks; `is_name` where the value is a key itself.

    `kind` is that of the whole file: site or fleet.
    """

    keyword: str
    demand: Any
    schema: Mapping[str, Any]
    instance: Any
    path: Path
    is_name: bool
    kind: str


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
        yield from EXPLAINED[breach.keyword](breach, breach.path)


def prune(findings: Iterable[Finding]) -> list[Finding]:
    """Return the one that tells most for each path, without missing keys that are there but misspelt."""
    best: dict[tuple[Path, Part], Finding] = {}
    for finding in sorted(findings, key=lambda finding: (finding.rank, finding.code, finding.message)):
        best.setdefault((finding.path, finding.part), finding)
    meant = {(*finding.path[:-1], finding.meant) for finding in best.values() if finding.meant}
    return [finding for finding in best.values() if finding.code != "PM202" or finding.path not in meant]


def _type(breach: Breach, path: Path) -> Iterator[Finding]:
    if path and path[-1] in breach.schema.get("properties", {}):
        yield _name_left_out(breach, path)
    else:
        message = f"{label(path)} is {shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
        yield Finding(1, "PM201", path, "value", message, _type_help(breach))


def _name_left_out(breach: Breach, path: Path) -> Finding:
    """`supervisions: {url: …}`: a key of the inner map stands where the name of one belongs."""
    what = prose(str(breach.schema["title"]))
    message = f"{label(path)} is a key of a {what}, but stands where the name of a {what} is expected"
    help = f"indent it one level deeper, below the name of the {what} that it belongs to"
    return Finding(0, "PM201", path, "key", message, help)


def _required(breach: Breach, path: Path) -> Iterator[Finding]:
    told = breach.schema.get("errorMessage")
    for name in breach.demand:
        if name not in breach.instance:
            message = told or f"{label(path)} has no `{name}`"
            yield Finding(1, "PM202", (*path, name), "value", message, _required_help(breach.schema, name))


def _unknown(breach: Breach, path: Path) -> Iterator[Finding]:
    known = tuple(name for name, schema in breach.schema["properties"].items() if "not" not in schema)
    unknown = [name for name in breach.instance if name not in breach.schema["properties"]]
    for number, name in enumerate(unknown):
        meant, help = _remedy_for(name, known, breach.kind) if number < SUGGESTED_AT_MOST else ("", _possible(known))
        message = f"`{cut(name)}` is no key of {label(path)}"
        yield Finding(0, "PM203", (*path, name), "key", message, help, meant)


@lru_cache(maxsize=1024)  # a program's mistake stands in a thousand places
def _remedy_for(name: str, known: tuple[str, ...], kind: str) -> tuple[str, str]:
    """The key that was meant in this section, if any, and what to do."""
    sections = sections_with(name, kind, known)
    if meant := meant_by(name, known, NEXT_TO if sections else CLOSE):
        return meant, f"did you mean `{meant}`?"
    if sections:
        return "", f"move it to where it belongs: {one_of(sections)}"
    if (elsewhere := meant_by(name, all_keys(), NEXT_TO)) and (sections := sections_with(elsewhere, kind, known)):
        return "", f"did you mean `{elsewhere}`? It belongs to {one_of(sections)}"
    return "", _possible(known)


def _possible(known: Iterable[str]) -> str:
    return f"delete it; possible here: {', '.join(known)}"


def _enum(breach: Breach, path: Path) -> Iterator[Finding]:
    told = breach.schema.get("errorMessage")
    message = told or f"{label(path)} is {shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
    help = purpose(breach.schema) if told else _word_help(breach)
    yield Finding(2, "PM204", path, "value", message, help)


def _word_help(breach: Breach) -> str:
    values = [str(value) for value in breach.schema["enum"] if value is not None]
    if meant := meant_by(str(breach.instance), values):
        return f"did you mean {meant}?"
    if len(values) > LISTED_AT_MOST:
        return purpose(breach.schema)
    return f"write {one_of(values)}; {prose(breach.schema['description'])}"


def _range(breach: Breach, path: Path) -> Iterator[Finding]:
    message = f"{label(path)} is {shown(breach.instance, path)}, but {_expected(breach.schema)} is expected"
    yield Finding(3, "PM205", path, "value", message, purpose(breach.schema))


def _pattern(breach: Breach, path: Path) -> Iterator[Finding]:
    demanded = breach.schema["patternErrorMessage"]
    message = f"{label(path)} is {shown(breach.instance, path)}, but {demanded}"
    yield Finding(4, "PM206", path, "value", message, purpose(breach.schema))


def _length(breach: Breach, path: Path) -> Iterator[Finding]:
    count = len(breach.instance)
    if breach.keyword == "maxLength":
        message = f"{label(path)} has {count} characters, but {breach.demand} is the most"
    else:
        message = f"{label(path)} is empty"
    yield Finding(4, "PM206", path, "value", message, purpose(breach.schema))


def _bad_name(breach: Breach, path: Path) -> Finding:
    demanded = breach.schema["patternErrorMessage"]
    message = f"`{cut(str(breach.instance))}` cannot be a name in {label(path)}: {demanded}"
    return Finding(1, "PM207", (*path, breach.instance), "key", message, "choose another name")


def _forbidden(breach: Breach, path: Path) -> Iterator[Finding]:
    yield Finding(0, "PM208", path, "key", str(breach.schema["errorMessage"]), f"delete {label(path)}")


def _count(breach: Breach, path: Path) -> Iterator[Finding]:
    told = breach.schema.get("errorMessage")
    wanted = "at least" if breach.keyword.startswith("min") else "at most"
    message = told or f"{label(path)} has {len(breach.instance)} entries, but {wanted} {breach.demand} is needed"
    yield Finding(3, "PM209", path, "key", message, purpose(breach.schema))


def _repeated(breach: Breach, path: Path) -> Iterator[Finding]:
    for position, item in enumerate(breach.instance):
        if item in breach.instance[:position]:
            message = f"{shown(item, path)} stands twice in {label(path)}"
            yield Finding(5, "PM210", (*path, position), "value", message, "delete one of the two")


EXPLAINED: Final[Mapping[str, Callable[[Breach, Path], Iterator[Finding]]]] = {
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
"""Every keyword of the schemas that can be broken; a test holds it against them."""


def _expected(schema: Mapping[str, Any]) -> str:
    """What is expected; of a choice that the schema tells in its own words only the kind."""
    if "errorMessage" in schema and "type" in schema and "enum" not in schema:
        return expected({"type": schema["type"]})
    return expected(schema)


def _type_help(breach: Breach) -> str:
    kind, value = kind_of(breach.schema), breach.instance
    if not breach.path:
        return "begin with `version: 1`, and write one `key: value` a line"
    if value is None and kind == "object":
        return "write {} where nothing is to be set"
    if kind == "string" and isinstance(value, bool | int | float):
        return _word_help(breach) if "enum" in breach.schema else f'write it in quotes: "{flow(value)}"'
    if kind in ("integer", "boolean") and isinstance(value, str) and _is_unquotable(kind, value):
        return f"write it without quotes: {value}"
    if kind == "array" and isinstance(value, str) and shown(value, breach.path) == f'"{value}"':
        return f"write it as a list: {flow([value])}"
    return purpose(breach.schema)


def _is_unquotable(kind: str, value: str) -> bool:
    return value in ("true", "false") if kind == "boolean" else re.fullmatch("-?[0-9]{1,9}", value) is not None


def _required_help(schema: Mapping[str, Any], name: str) -> str:
    wanted = schema.get("properties", {}).get(name, {})
    if "description" not in wanted:
        return f"add `{name}`"
    return f"add `{name}: {flow(wanted['examples'][0])}`, for example: {prose(wanted['description'])}"
