"""Documents against the JSON Schemas.

jsonschema-rs decides, where it is installed: most documents are right, and it is two hundred times faster. jsonschema
explains (`shape_breaches`), and is imported only for that; where jsonschema-rs is missing it decides as well. Two
things no schema can say are demanded here: a whole number has no fraction in its writing either (30.0 is an `integer`
to JSON Schema), and no text holds a control character (`$` of a Python pattern admits a line break).
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any, Final, Literal

from pointsman_schema.schemas import load_schema

from pointsman_compiler.document import Document, Path
from pointsman_compiler.problems import SHOWN_AT_MOST, Problem, sort_problems, until_too_many
from pointsman_compiler.shape_findings import Finding, findings_of, prune

Kind = Literal["site", "fleet", "rollout"]

FINDINGS_AT_MOST: Final = 2 * SHOWN_AT_MOST
"""Of several at one place only one is shown."""


def find_shape_problems(document: Document, kind: Kind) -> list[Problem]:
    """Return where `document` is not of the shape of `kind`, sorted: one problem for each mistake, codes PM2xx."""
    is_plain = _is_plain(document.data)
    if is_plain and is_of_shape(document.data, kind):
        return []
    from pointsman_compiler.shape_breaches import breaches_of

    found = [] if is_plain else [_control_finding(path) for path, text in _texts(document.data) if _has_control(text)]
    findings = (finding for breach in breaches_of(kind, document.data) for finding in findings_of(breach))
    found += islice(findings, FINDINGS_AT_MOST)
    return list(until_too_many(sort_problems(_problem(document, finding) for finding in prune(found))))


def is_of_shape(data: Any, kind: Kind) -> bool:
    """Return whether the schema of `kind` admits `data`, in the judgement of the fastest validator at hand.

    To jsonschema-rs 30.0 is a whole number; data that holds no float is judged alike by both.
    """
    return _validator(kind)(data)


@cache
def _validator(kind: Kind) -> Callable[[Any], bool]:
    try:
        import jsonschema_rs  # late: it has no wheel on some machines
    except ImportError:
        from pointsman_compiler.shape_breaches import validator_of

        return validator_of(kind).is_valid
    return jsonschema_rs.Draft202012Validator(load_schema(kind)).is_valid


def _problem(document: Document, finding: Finding) -> Problem:
    return document.problem(finding.code, finding.message, finding.help, finding.path, part=finding.part)


def _is_plain(data: Any) -> bool:
    """Whether the schema alone can judge `data`: it holds no float, and no text or key with a control character."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if not value.isprintable() and _has_control(value):
                return False
        elif isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float):
            return False
    return True


def _texts(data: Any) -> Iterator[tuple[Path, str]]:
    """Yield texts and keys with their paths, without recursion."""
    waiting: list[tuple[Path, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            yield from (((*path, key), key) for key in value)
            waiting += (((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting += (((*path, position), item) for position, item in enumerate(value))
        elif isinstance(value, str):
            yield path, value


def _has_control(text: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in text)


def _control_finding(path: Path) -> Finding:
    help = "write the text in one line; for a long one use >- and indented lines"
    return Finding(0, "PM211", path, "value", "a line break or a tab stands in this text", help)
