"""An unquoted scalar → the value that it means in every YAML, or why it has none.

Read as the JSON schema of YAML 1.2 (section 10.2), text that resembles nothing else is a string. What YAML 1.1
(https://yaml.org/type/) or the core schema of 1.2 would take for a boolean, a number, a date or null is refused.
"""

import re
from dataclasses import dataclass
from typing import Final

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an unquoted scalar is not taken."""

    code: str
    message: str
    help: str


# Above it an integer does not survive JSON readers that keep doubles (RFC 8259 section 6).
LARGEST_INTEGER: Final = 2**53 - 1
_WORDS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,99})\.[0-9]{1,99}\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

# One group a kind, so that `lastgroup` names what it would become.
_AMBIGUOUS = re.compile(
    r"""(?:
      (?P<boolean>   (?i:y|n|yes|no|on|off|true|false) )
    | (?P<null>      ~ | (?i:null) )
    | (?P<octal>     [-+]?0o?[0-7_]+ )
    | (?P<base>      [-+]?0(?i:x[0-9a-f_]+|b[01_]+) )
    | (?P<sixty>     [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)? )
    | (?P<exponent>  [-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+ )
    | (?P<number>    [-+]?[0-9][0-9_]*(?:\.[0-9_]*)? | [-+]?\.[0-9][0-9_]* )
    | (?P<special>   [-+]?\.(?i:inf|nan) )
    | (?P<date>      [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt\ ].*)? )
    | (?P<value>     = )
    )\Z""",
    re.VERBOSE,
)
_NOTHING: Final = 'indent the lines below that belong to it, or write {} for "nothing set", "" for an empty text'
_WOULD_BE = {
    "boolean": "a truth value",
    "null": "nothing (null)",
    "octal": "an octal number",
    "base": "a hexadecimal or binary number",
    "sixty": "a number to the base 60",
    "exponent": "a number with an exponent",
    "number": "a number",
    "special": "infinity or not-a-number",
    "date": "a date",
    "value": "a special key",
}


def plain_value(text: str, *, is_date_allowed: bool = False, shown: str | None = None) -> Scalar | Refusal:
    """Return what the unquoted scalar `text` means; a bare date is its own text where it is allowed.

    A refusal repeats the text, or `shown` in its place.
    """
    if text in _WORDS:
        return _WORDS[text]
    if not text:
        return Refusal("PM119", "there is no value here", _NOTHING)
    if _INTEGER.match(text):
        return _integer(text, shown or shortened(text))
    if _FLOAT.match(text):
        return float(text)
    if is_date_allowed and _DATE.match(text):
        return text
    if ambiguous := _AMBIGUOUS.match(text):
        return _ambiguous(shown or shortened(text), ambiguous.lastgroup or "")
    return text


def _integer(text: str, shown: str) -> int | Refusal:
    # The length first: Python refuses to read integers of more than 4300 digits.
    if len(text) <= 17 and abs(value := int(text)) <= LARGEST_INTEGER:
        return value
    return Refusal(
        "PM118",
        f"the number {shown} is too large to be one",
        f'if it is an identifier, write it in quotes: "{shown}"',
    )


def _ambiguous(shown: str, kind: str) -> Refusal:
    if kind == "date":
        return Refusal(
            "PM120",
            f"the unquoted date {shown} is read as a text by some and as a date by others",
            f'write it in quotes: "{shown}" (only `until` takes a bare date, as YYYY-MM-DD)',
        )
    help = f'for this very text, write it in quotes: "{shown}"'
    if kind == "boolean":
        help += "; for a truth value, write true or false"
    elif kind == "null":
        help += "; to remove an inherited key, write null"
    elif kind not in ("value", "special"):
        help += "; for a number, write plain decimal digits"
    return Refusal("PM112", f"the unquoted {shown} would be read by some YAML readers as {_WOULD_BE[kind]}", help)


def shortened(text: str, at_most: int = 40) -> str:
    """Return `text`, its tail replaced by … where it is longer than `at_most` characters."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"
