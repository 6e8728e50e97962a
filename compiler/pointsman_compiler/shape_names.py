"""A key or word that a schema does not know → what its author probably meant, and where a key belongs.

Which section has which keys is read from the schemas; only what a person calls the sections stands here.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from pointsman_schema.schemas import load_schema

CLOSE: Final = 0.7
"""How alike two names are (difflib's ratio) for one to be a slip of the other."""
NEXT_TO: Final = 0.85
"""The same for one letter in a longer name."""
SECTIONS_AT_MOST: Final = 3
_SHORTEST_PART: Final = 3
"""Letters of a word that, found within one single name, is enough to mean it: `1.6` for `ocpp1.6`."""

SECTIONS: Final = {
    "anySite": "the top of a site's file",
    "supervision": "a supervision (below its name under `supervisions`)",
    "station": "a station (below its identity under `stations`)",
    "group": "a group (below its name under `groups`)",
    "groupAuthentication": "`authentication`",
    "badgeEntry": "an entry of `badges`",
    "badgeFile": "an entry of `badges`",
    "badgeSecret": "an entry of `badges`",
    "listener": "a listener (below its name under `listeners`)",
    "activation": "`activation`",
    "journal": "`journal`",
    "proxy": "the `proxy` of a supervision",
    "clientCertificate": "the `clientCertificate` of a supervision",
    "listenerCertificate": "the `certificate` of a listener",
    "supervisionPassword": "a `password`",
    "ownPassword": "a `password`",
    "stationPassword": "`stationPassword`",
}
"""What a person calls the definitions of the site's schema that hold keys, in the order in which they are named."""
SAME_KEYS: Final = {
    "localSite": "anySite",
    "uniqueSite": "anySite",
    "multipleSite": "anySite",
    "localGroup": "group",
    "authentication": "groupAuthentication",
}
"""Definitions that have no keys but those of another one."""

# Words of the field, or of other products, that people write for ours; the first that the section has is meant.
_OTHER_WORDS: Final = {
    "mode": ("supervision",),
    "tz": ("timeZone",),
    "zone": ("timeZone",),
    "id": ("site", "badge"),
    "name": ("title",),
    "description": ("title", "comment"),
    "uri": ("url",),
    "endpoint": ("url",),
    "host": ("url",),
    "timeout": ("messageTimeout",),
    "ping": ("pingInterval",),
    "heartbeat": ("pingInterval",),
    "heartbeatinterval": ("pingInterval",),
    "websocketpinginterval": ("pingInterval",),
    "keepalive": ("pingInterval",),
    "ca": ("trust", "stationTrust"),
    "roots": ("trust", "stationTrust"),
    "supervision": ("operator",),
    "cpo": ("operator", "supervisions"),
    "csms": ("supervisions", "operator"),
    "backend": ("operator", "supervisions"),
    "chargers": ("stations",),
    "chargepoints": ("stations",),
    "chargingstations": ("stations",),
    "cards": ("badges",),
    "tags": ("badges",),
    "idtag": ("badge",),
    "idtoken": ("badge",),
    "rfid": ("badge",),
    "uid": ("badge",),
    "expires": ("until",),
    "expiry": ("until",),
    "expirydate": ("until",),
    "validuntil": ("until",),
    "accepted": ("authorized",),
    "allowed": ("authorized",),
    "enabled": ("authorized",),
    "auth": ("authentication",),
    "ocpp": ("protocols",),
    "subprotocols": ("protocols",),
    "profile": ("securityProfile",),
    "tls": ("minimumTls",),
    "configuration": ("stationKeys",),
    "keys": ("stationKeys",),
}


def meant_by(name: str, known: Iterable[str], alike: float = CLOSE) -> str:
    """Return the one of `known` that `name` probably means, or nothing; case, - and _ do not count."""
    flat = {_flat(other): other for other in sorted(known)}
    word = _flat(name)
    if found := get_close_matches(word, flat, n=1, cutoff=alike):
        return flat[found[0]]
    other_words = [other for other in _OTHER_WORDS.get(word, ()) if other in flat.values()]
    parts = [other for short, other in flat.items() if len(word) >= _SHORTEST_PART and word in short]
    return other_words[0] if other_words else parts[0] if len(parts) == 1 and alike <= CLOSE else ""


def sections_with(key: str, kind: str, here: Iterable[str]) -> list[str]:
    """Return what people call the sections that have `key`, those of the file's own `kind` (site, fleet) first.

    The section whose keys are `here` is left out. rollout.yaml shares no keys with the others.
    """
    if kind == "rollout":
        return []
    own, other = (_site_sections(), _fleet_sections()) if kind == "site" else (_fleet_sections(), _site_sections())
    found = [name for name, keys in own if key in keys] or [name for name, keys in other if key in keys]
    this = {name for name, keys in (*own, *other) if keys == frozenset(here)}
    return [name for name in dict.fromkeys(found) if name not in this][:SECTIONS_AT_MOST]


def all_keys() -> list[str]:
    """Return every key that some section of a site's or the fleet's file has, sorted."""
    return sorted({key for _, keys in (*_site_sections(), *_fleet_sections()) for key in keys})


@cache
def _site_sections() -> tuple[tuple[str, frozenset[str]], ...]:
    definitions = load_schema("site")["$defs"]
    return tuple((called, _keys(definitions[name])) for name, called in SECTIONS.items())


@cache
def _fleet_sections() -> tuple[tuple[str, frozenset[str]], ...]:
    fleet = load_schema("fleet")
    shared = tuple((SECTIONS[name], _keys(fleet["$defs"][name])) for name in SECTIONS if name in fleet["$defs"])
    own = [("the top of fleet.yaml", _keys(fleet))]
    own += [(f"`{name}` of fleet.yaml", _keys(fleet["properties"][name])) for name in ("defaults", "policy")]
    return (*own, *shared)


def _keys(schema: dict[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in schema["properties"].items() if "not" not in value)


def _flat(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")[:100]
