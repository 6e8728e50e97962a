"""Documents against the JSON Schemas (with `shape_findings` the only jsonschema).

jsonschema-rs decides, where it is installed: most documents are right, and it is two hundred times faster. jsonschema
explains. Two things no schema can say are demanded here: a whole number has no fraction in its writing either (30.0 is
an `integer` to JSON Schema), and no text holds a control character (`$` of a Python pattern admits a line break).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, Final, Literal

import jsonschema
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from pointsman_schema.schemas import load_schema

from pointsman_compiler.document import Document, Path
from pointsman_compiler.problems import Problem, sort_problems
from pointsman_compiler.shape_findings import Breach, Finding, findings_of, prune

HAS_FAST_VALIDATOR: Final = find_spec("jsonschema_rs") is not None
"""It has no wheel on some machines; there jsonschema decides as well."""

Kind = Literal["site", "fleet"]


def find_shape_problems(document: Document, kind: Kind) -> list[Problem]:
    """Return where `document` is not of the shape of `kind`, sorted: one problem for each mistake, codes PM2xx."""
    has_float, found = _survey(document.data)
    if found or has_float or not is_of_shape(document.data, kind):
        breaches = _breaches(document.data, kind)
        found = prune([*found, *(finding for breach in breaches for finding in findings_of(breach))])
    return sort_problems(_problem(document, finding) for finding in found)


def is_of_shape(data: Any, kind: Kind) -> bool:
    """Return whether the schema of `kind` admits `data`, in the judgement of the fastest validator at hand."""
    if HAS_FAST_VALIDATOR:
        return _fast_validator(kind)(data)
    return _explainer(kind).is_valid(data)


def _problem(document: Document, finding: Finding) -> Problem:
    return document.problem(finding.code, finding.message, finding.help, finding.path, part=finding.part)


def _breaches(data: Any, kind: Kind) -> Iterator[Breach]:
    for error in _explainer(kind).iter_errors(data):
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        is_name = "propertyNames" in error.schema_path
        yield Breach(
            str(error.validator), error.validator_value, schema, error.instance, tuple(error.absolute_path), is_name
        )


def _survey(data: Any) -> tuple[bool, list[Finding]]:
    """Return whether a float is in `data`, and the texts with control characters."""
    has_float = False
    found: list[Finding] = []
    for path, value in _leaves(data):
        if isinstance(value, float):
            has_float = True
        elif isinstance(value, str) and not value.isprintable() and _control_in(value):
            found.append(_control_finding(path))
    return has_float, found


def _leaves(data: Any) -> Iterator[tuple[Path, Any]]:
    """Yield keys and scalars with their paths, without recursion."""
    waiting: list[tuple[Path, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            yield from (((*path, key), key) for key in value)
            waiting += (((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting += (((*path, position), item) for position, item in enumerate(value))
        else:
            yield path, value


def _control_in(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _control_finding(path: Path) -> Finding:
    help = "write the text in one line; for a long one use >- and indented lines"
    return Finding(0, "PM211", path, "value", "a line break or a tab stands in this text", help)


@cache
def _fast_validator(kind: Kind) -> Callable[[Any], bool]:
    import jsonschema_rs  # late: it may be missing

    return jsonschema_rs.Draft202012Validator(load_schema(kind)).is_valid


@cache
def _explainer(kind: Kind) -> Validator:
    draft = jsonschema.Draft202012Validator
    whole = draft.TYPE_CHECKER.redefine("integer", _is_whole)
    strict: type[Validator] = extend(draft, type_checker=whole)  # type: ignore[no-untyped-call]  # the stubs have no types
    return strict(load_schema(kind))


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
