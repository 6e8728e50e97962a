"""Messages and words as people may see them: no badge number and no key in clear (rule 52). Pure.

A badge becomes `#` and eight hex digits of a keyed hash: the same badge is the same word on a controller, and nobody
without its key can try all numbers. Keys and passwords become `•••`. All else of a message stays byte for byte.

What tells a badge or a key is the name it stands under, in any case and spelling of JSON: `idTag`, `idToken`, a member
whose sibling says `"key": "AuthorizationKey"`, a variable named `BasicAuthPassword`. What no name tells is judged by
where it stands: free text loses long hex numbers, data of vendors that is no JSON is masked whole, and so are signed
meter values, which hold the badge. Text that cannot be parsed is cut, and keeps its structure alone.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from pointsman_schema.badgelist import fold_badge

from pointsman_agent.jsonspans import Node, NotJson, read

KEY_BYTES: Final = 32
LONGEST_PARSED: Final = 128 * 1024  # characters; a local list of a thousand badges has 100 KiB
LONGEST_EXCERPT: Final = 200  # characters of a text that cannot be parsed, or is longer than that
MASK: Final = "•••"

_HASH_DIGITS: Final = 8
_DESCRIPTION: Final = 3  # its position in a CALLERROR (OCPP-J 1.6 section 4.2.3)
_DEEPEST_TEXT_IN_TEXT: Final = 3

_BADGES: Final = frozenset(
    {"idtag", "parentidtag", "idtoken", "groupidtoken", "additionalidtoken", "masterpassgroupid"}
    | {"badge", "rfid", "rfidtag", "emaid", "customeridentifier", "uid", "taguid", "carduid", "cardid", "cardnumber"}
    | {"tokenreader"}  # the component of OCPP 2.x whose events say what was held to it
)
_BADGES_IN_WORDS: Final = _BADGES | {"tag"}
_NO_BADGES: Final = frozenset({"type", "status"})
"""Members of an object that stands for a badge, which say something about it."""

_SECRETS: Final = re.compile(r"passw(?:or)?d|passphrase|secret|authorizationkey|privatekey|apikey|accesstoken|\bsimpin")
_NAMES: Final = frozenset({"key", "name", "variable", "component"})
_VALUES: Final = frozenset({"value", "attributevalue", "actualvalue"})
_WHOLE: Final = frozenset({"signedmeterdata"})
_FREE: Final = frozenset({"info", "techinfo", "vendorerrorcode", "additionalinfo"})
_VENDOR: Final = "data"  # of DataTransfer, and of NotifyCustomerInformation
_VPN: Final = ("vpn", "key")  # VPNType.key of SetNetworkProfile

_TELLTALE: Final = re.compile(
    r"\b(?P<name>id_?tag|id_?token|badge|rfid|tag|(?:authorization|basicauth)?_?(?:password|key)|secret|pin|bearer|basic)\b"
    r"(?P<between>\W{1,4}(?:is\W{1,2})?)(?P<value>(?!is\W{1,2}•)\w(?:[\w.:@-]*\w)?)"
    r"|#?\b[0-9A-Fa-f]{8,}\b"
    r"|\b(?:[0-9A-Fa-f]{2}(?P<parted>[ :-]))(?:[0-9A-Fa-f]{2}(?P=parted)){2,8}[0-9A-Fa-f]{2}\b",
    re.IGNORECASE,
)
"""In words: what a name announces, and hexadecimal numbers as long as the shortest badge, also in pairs. What is a
redactor's own word already stays that word."""

_OUR_WORD: Final = re.compile(rf"#[0-9a-f]{{{_HASH_DIGITS}}}$")
"""What this module writes for a badge."""

_USER_IN_URL: Final = re.compile(r"(\w://)(?:[^/\s@\"]+|[^/\s@:\"]+:[^\s@\"]+)@")
_QUERY_OF_URL: Final = re.compile(r"([?&][^=&\s\"]*(?:token|key|sig|secret|passw)[^=&\s\"]*=)[^&#\s\"]*", re.IGNORECASE)

_HEAD: Final = re.compile(r'[\ufeff \t\r\n]*\[\s*([0-9]{1,3})\s*,\s*"[^"]*"\s*(?:,\s*"([A-Za-z]+)")?')
_WORD: Final = re.compile(r'[^\s\[\]{}:,"]+')
_IS_KEY: Final = re.compile(r'"\s*:')

Edit = tuple[int, int, str]


class _Under(Enum):
    """What the names above a value say of it."""

    NOTHING = auto()
    BADGE = auto()
    SECRET = auto()
    NAMED_BADGE = auto()
    """Somewhere in here, a `value` is a badge."""
    NAMED_SECRET = auto()
    WORDS = auto()
    """Free text, whatever it is called."""


class Redactor:
    """Redacts with a controller's own `key` (32 random bytes)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def badge(self, number: str) -> str:
        """Return the word that stands for a badge; ASCII case does not matter."""
        digest = hmac.digest(self._key, fold_badge(number.strip()).encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "#" + digest.hex()[:_HASH_DIGITS]

    def message(self, text: str) -> str:
        """Return an OCPP-J message without badges and keys; all else stays as it came."""
        if len(text) > LONGEST_PARSED:  # half a second's work: more than a look is worth
            return _masked(text)
        return self._text(text, 0) or _masked(text)

    def words(self, text: str) -> str:
        """Return free text, such as the reason of a Close frame, without what looks like a badge or a key."""
        text = _USER_IN_URL.sub(rf"\1{MASK}@", _QUERY_OF_URL.sub(rf"\1{MASK}", text))
        return _TELLTALE.sub(self._told, text)

    def _told(self, found: re.Match[str]) -> str:
        if _OUR_WORD.search(found[0]) is not None:
            return found[0]
        if found["name"] is None:
            number = found[0].removeprefix("#")
            return self.badge(number if found["parted"] is None else number.replace(found["parted"], ""))
        is_badge = _folded(found["name"]) in _BADGES_IN_WORDS
        return found["name"] + found["between"] + (self.badge(found["value"]) if is_badge else MASK)

    def _text(self, text: str, level: int) -> str | None:
        """Return JSON text redacted; None when it is none, or text in text in text."""
        if level >= _DEEPEST_TEXT_IN_TEXT:
            return None
        try:
            root = read(text)
        except NotJson:
            return None
        if level == 0:
            return _edited(text, self._edits_of_message(text, root))
        return _edited(text, self._edits(text, root, "", _Under.NOTHING, level))

    def _edits_of_message(self, text: str, root: Node) -> Iterator[Edit]:
        """Errors (types 4 and 5) speak in words, from their description on."""
        items = root.items or []
        is_error = bool(items) and text[items[0].start : items[0].end] in ("4", "5")
        if not items:
            yield from self._edits(text, root, "", _Under.NOTHING, 0)
        for position, item in enumerate(items):
            under = _Under.WORDS if is_error and position >= _DESCRIPTION else _Under.NOTHING
            if position > 1 or item.string is None:
                yield from self._edits(text, item, "", under, 0)

    def _edits(self, text: str, node: Node, name: str, under: _Under, level: int) -> Iterator[Edit]:
        if node.items is not None:
            for item in node.items:
                yield from self._edits(text, item, name, under, level)
        elif node.members is not None:
            yield from self._edits_of_object(text, node, name, under, level)
        else:
            raw = text[node.start : node.end]
            redacted = self._scalar(raw if node.string is None else node.string, name, under, node, level)
            if redacted is not None and raw not in ("null", "true", "false"):
                yield node.start, node.end, json.dumps(redacted, ensure_ascii=False)

    def _edits_of_object(self, text: str, node: Node, name: str, under: _Under, level: int) -> Iterator[Edit]:
        members = [(_folded(key), value) for key, value in node.members or []]
        inside = _named_by(members) or under
        for key, value in members:
            yield from self._edits(text, value, key or name, _under(key, name, inside), level)

    def _scalar(self, value: str, name: str, under: _Under, node: Node, level: int) -> str | None:
        """Return what a number, word or string becomes; None: it stays."""
        is_value = name in _VALUES
        if under is _Under.SECRET or name in _WHOLE or (under is _Under.NAMED_SECRET and is_value):
            return MASK
        if under is _Under.BADGE or (under is _Under.NAMED_BADGE and is_value):
            return self.badge(value)
        if node.string is None:
            return None
        redacted = self.words(value) if under is _Under.WORDS else self._string(value, name, level)
        return None if redacted == value else redacted

    def _string(self, value: str, name: str, level: int) -> str:
        if value.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
            return self._text(value, level + 1) or MASK
        if name == _VENDOR and value:
            return MASK
        if name in _FREE:
            return self.words(value)
        return _USER_IN_URL.sub(rf"\1{MASK}@", _QUERY_OF_URL.sub(rf"\1{MASK}", value))


def _under(key: str, parent: str, inside: _Under) -> _Under:
    """What is said of the member `key` of an object that stands under `parent`."""
    if inside is _Under.SECRET or _SECRETS.search(key) or (parent, key) == _VPN:
        return _Under.SECRET
    if key in _BADGES:
        return _Under.BADGE
    if inside is _Under.BADGE:
        return _Under.NOTHING if key in _NO_BADGES else _Under.BADGE
    return inside


def _named_by(members: list[tuple[str, Node]]) -> _Under | None:
    """What the member that names a setting or variable says of its siblings."""
    found: _Under | None = None
    for key, node in members:
        if key == "format" and node.string == "SignedData":
            return _Under.NAMED_SECRET
        if key not in _NAMES:
            continue
        name = _folded(_name_in(node) or "")
        if _SECRETS.search(name):
            return _Under.NAMED_SECRET
        if name in _BADGES:
            found = _Under.NAMED_BADGE
    return found


def _name_in(node: Node) -> str | None:
    """The name itself, or that of a 2.x variable: `{"name": …}`."""
    if node.string is not None:
        return node.string
    return next((value.string for key, value in node.members or [] if _folded(key) == "name"), None)


def _folded(name: str) -> str:
    return fold_badge(name).replace("_", "").replace("-", "")


def _edited(text: str, edits: Iterator[Edit]) -> str:
    parts, done = [], 0
    for start, end, replacement in edits:
        parts += [text[done:start], replacement]
        done = end
    return "".join([*parts, text[done:]])


def _masked(text: str) -> str:
    """The beginning of a text that is no JSON: its punctuation, its keys, type and action."""
    excerpt = text[:LONGEST_EXCERPT]
    head = _HEAD.match(excerpt)
    kept = set() if head is None else {head.start(1), head.start(2)}

    def shown(word: re.Match[str]) -> str:
        is_key = word[0].isascii() and word[0].isalpha() and _IS_KEY.match(excerpt, word.end())
        return word[0] if is_key or word.start() in kept else "•"

    return _WORD.sub(shown, excerpt) + ("…" if len(text) > LONGEST_EXCERPT else "")
