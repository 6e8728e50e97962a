"""A compiled value in few words: certificates by their names, secrets hidden, long texts cut. Marks nothing up."""

import json
from functools import lru_cache
from typing import Any, Final

from pointsman_schema.canonical import digest_of

from pointsman_compiler.certificates import CertificateFault, read_certificates
from pointsman_compiler.plan.differences import Path
from pointsman_compiler.plan.fleetfacts import timer_at
from pointsman_compiler.secrecy import PEM_MARK, masked

LONGEST: Final = 160
"""Characters of a value that is shown; the JSON has it whole."""
_CUT: Final = "…"


def shown(value: Any, path: Path) -> str:
    """Return what the value at `path` is, in one line of at most LONGEST characters."""
    return cut(_said(value, path), LONGEST)


def shown_pair(before: Any, after: Any, path: Path) -> tuple[str, str]:
    """Return what the value was and is; where that looks the same, though it is not, it says so."""
    earlier, later = shown(before, path), shown(after, path)
    if earlier == later and before != after:
        return earlier, f"{later} (differs in what is not shown)"
    return earlier, later


def cut(text: str, most: int) -> str:
    """Return `text`, or as much of it as has `most` characters with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + _CUT


def without_secrets(value: Any) -> Any:
    """Return plain data with everything hidden in its texts that looks like a secret; certificates are none."""
    match value:
        case str():
            return value if PEM_MARK in value else masked(value)
        case dict():
            return {key: without_secrets(item) for key, item in value.items()}
        case list():
            return [without_secrets(item) for item in value]
    return value


def _said(value: Any, path: Path) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value} s" if timer_at(path) is not None else str(value)
        case str() if PEM_MARK in value:
            return _certificates(value)
        case str():
            return masked(value)
        case list():
            return ", ".join(_said(item, path) for item in value) or "none"
        case dict():
            said = ((key, item) for key, item in value.items() if item is not None and item not in ([], {}))
            return ", ".join(f"{key}: {_said(item, (*path, key))}" for key, item in said) or "nothing"
    return json.dumps(value)


@lru_cache(maxsize=1024)
def _certificates(pem: str) -> str:
    """Which certificates they are: a name alone says little, since a new one mostly has the old one's."""
    try:
        subjects = [certificate.subject for certificate in read_certificates(pem.encode())]
    except CertificateFault:
        subjects = []
    return f"{' + '.join(subjects) or 'certificates'} ({digest_of(pem.encode())[:19]})"
