"""What looks like a secret in a person's text, and how it is hidden wherever that text is shown again. Pure.

Reports are read by many and kept for long: a password that stands in a file by mistake must not stand in a
pipeline's log as well. What is hidden here is rather too much than too little.
"""

import re
from typing import Final

MASK: Final = "•••"
PEM_MARK: Final = "-----BEGIN"
KEY_MATERIAL: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){16,}")
"""32 hex digits or more: the form of OCPP 1.6 authorization keys (16 bytes and more), not of a name."""

_PASSWORD: Final = (
    r"(?:pass(?:w\w{0,20}|phrase|code)?|pwd|kennwort|token"
    r"|(?:api|private|auth|authorization|access|signing|encryption)[-_]?key)"
)
_TELLING_KEY: Final = re.compile(
    r"(?:^|.*[^a-z])(?:pass(?:w\w{0,20}|phrase|code)?|pwd|kennwort|secret|token|(?:api|private|auth)[-_]?key)$",
    re.IGNORECASE,
)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REFERENCE: Final = r"\{\s*(?:[\"']?(?:secret|secretPerStation|format)[\"']?\s*:\s*[^,\s]{1,90}\s*,?\s*)+\}"

# Each hides what its group `secret` holds. The bounds keep every search linear in the line.
_HIDDEN: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{PEM_MARK}(?P<secret>.*)",
        r"(?<![0-9A-Za-z])(?P<secret>(?:[0-9a-f]{2}){16,})(?![0-9A-Za-z])",
        r"//(?P<secret>[^/?#\s]{1,300})@",
        r"[?&;][^=&;\s]{0,50}(?:pass|pwd|secret|token|key|auth|credential|signature)[^=&;\s]{0,50}="
        r"(?P<secret>[^&;#\s\"']{1,300})",
        # A key such as `stationPassword`, and whatever stands behind it but a reference to a secret.
        rf"{_PASSWORD}[\"']?\s{{0,9}}:\s{{1,20}}(?!{_REFERENCE}|none\b|[|>][-+0-9]{{0,2}}\s*$)"
        r"(?P<secret>\"(?:[^\"\\]|\\.){0,500}\"?|'[^']{0,500}'?|\{[^}]{0,500}\}?|\[[^\]]{0,500}\]?|[^\s,}#][^,}#]{0,500})",
    )
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


def is_telling_key(key: str) -> bool:
    """Return whether `key` says of itself that its value is secret, such as `apiKey` or `station-password`."""
    return _TELLING_KEY.match(_CAMEL.sub("-", key)) is not None


def secret_spans(line: str) -> list[tuple[int, int]]:
    """Return where in `line` something stands that looks like a secret, as offsets; stretches may overlap."""
    spans = [match.span("secret") for pattern in _HIDDEN for match in pattern.finditer(line)]
    spans += [match.span() for match in _BASE64.finditer(line) if _is_mixed(match[0])]
    return [span for span in spans if span[0] < span[1]]


def masked(text: str) -> str:
    """Return `text` with MASK in the place of everything that looks like a secret."""
    shown, done = "", 0
    for start, end in sorted(secret_spans(text)):
        if end > done:
            shown += text[done:start] + MASK if start >= done else ""
            done = end
    return shown + text[done:]


def _is_mixed(text: str) -> bool:
    """Base64 of random bytes has digits, capitals and small letters; a path or a word has not."""
    return all(any(test(character) for character in text) for test in (str.isdigit, str.isupper, str.islower))
