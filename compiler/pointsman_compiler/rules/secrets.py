"""Rules on secrets: only references, whose names fit every station that they stand for."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pointsman_compiler.document import Document, Path
from pointsman_compiler.grouping import Grouping
from pointsman_compiler.layers import CHOICES, LayeredSite, strings_below
from pointsman_compiler.problems import Problem
from pointsman_compiler.secrecy import KEY_MATERIAL, PEM_MARK, is_telling_key
from pointsman_compiler.urls import STATION
from pointsman_compiler.wording import listing

CLEAR_SECRET: Final = "PM360"
SECRET_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
SECRET_TEMPLATE: Final = re.compile(r"(?:[A-Za-z0-9._-]|\{station\}){1,63}")
REFERENCES: Final = ("secret", "secretPerStation")

_CHOICE_KEYS: Final = frozenset({"password", "stationPassword"})
_HELP: Final = (
    "remove it here and from git's history, change it where it is in use, put it into a secret file on the controller "
    "and refer to that by name: `{secret: <name>}`"
)


def find_clear_secrets(document: Document) -> Iterator[Problem]:
    """Yield a problem for everything in `document` that looks like key material or a password, and for odd names."""
    if _is_harmless(document.data):
        return
    for path, message in _clear(document.data, ()):
        yield document.problem(CLEAR_SECRET, message, _HELP, path)
    for path, text in strings_below(document.data):
        if path and path[-1] in REFERENCES and PEM_MARK not in text and not KEY_MATERIAL.fullmatch(text):
            yield from _odd_name(document, path, text)


def find_secret_problems(site: LayeredSite, grouping: Grouping) -> Iterator[Problem]:
    """Yield a problem for each secret name with `{station}` in it that some station's identity does not fit."""
    own = (name for name in site.map_at(("stations",)) if "password" not in site.map_at(("stations", name)))
    yield from _fit(site, ("stationPassword", "secretPerStation"), own)
    for name in site.map_at(("supervisions",)):
        stations = stations_of_supervision(site, grouping, name)
        yield from _fit(site, ("supervisions", name, "password", "secretPerStation"), stations)


def stations_of_supervision(site: LayeredSite, grouping: Grouping, name: str) -> Sequence[str]:
    """Return the stations whose operator is the supervision `name`."""
    if site.at(("supervision",)) == "unique":
        return list(site.map_at(("stations",)))
    return grouping.stations_of_operator.get(name, [])


def secret_for(template: str, station: str) -> str | None:
    """Return the name of `station`'s secret, or None where its identity does not fit into one."""
    name = template.replace(STATION, station)
    return name if SECRET_NAME.fullmatch(name) else None


def _is_harmless(data: Any) -> bool:
    """Whether nothing in `data` has to do with secrets, as in most sites: told without places, it costs a quarter."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if PEM_MARK in value:
                return False
        elif isinstance(value, dict):
            for key, item in value.items():
                if (isinstance(item, str) or key in _CHOICE_KEYS) and _has_to_do_with_secrets(key):
                    return False
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return True


@lru_cache(maxsize=4096)
def _has_to_do_with_secrets(key: str) -> bool:
    return key in REFERENCES or key in _CHOICE_KEYS or key == "key" or is_telling_key(key)


def _clear(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str() if PEM_MARK in value:
            yield path, "key material or a certificate stands here in clear; Pointsman takes files and references only"
        case dict():
            for key, item in value.items():
                message = _clear_at(str(key), item, path)
                if message is None:
                    yield from _clear(item, (*path, key))
                else:
                    yield (*path, key), message
        case list():
            for index, item in enumerate(value):
                yield from _clear(item, (*path, index))


def _clear_at(key: str, value: Any, path: Path) -> str | None:
    """What is wrong with `value` under `key`, as far as the key tells."""
    if key in _CHOICE_KEYS and isinstance(value, Mapping):
        odd = [name for name, item in value.items() if name not in (*REFERENCES, "format") and isinstance(item, str)]
        return f"`{key}` holds a secret in clear (`{odd[0]}`); only a reference may stand here" if odd else None
    if not isinstance(value, str) or PEM_MARK in value:
        return None
    if key in REFERENCES:
        return "this looks like the secret itself, not its name" if KEY_MATERIAL.fullmatch(value) else None
    if key in _CHOICE_KEYS and value == "none":
        return None
    if (key == "key" and path and path[-1] in CHOICES) or is_telling_key(key):
        return f"`{key}` holds a secret in clear; only a reference may stand here"
    return None


def _odd_name(document: Document, path: Path, text: str) -> Iterator[Problem]:
    is_template = path[-1] == "secretPerStation"
    if is_template and SECRET_TEMPLATE.fullmatch(text) and STATION not in text:
        yield document.problem(
            "PM363",
            "`secretPerStation` names the same secret for every station: it holds no {station}",
            "put {station} into the name, or write `secret` if one secret for all is meant",
            path,
        )
    elif not (SECRET_TEMPLATE if is_template else SECRET_NAME).fullmatch(text):
        yield document.problem(
            "PM361",
            "this is no name of a secret" + (", it may be the secret itself" if STATION not in text else ""),
            "write the name of a file in the controller's secrets folder: letters, digits, `.`, `_` and `-`, at most 63"
            + ("; {station} may stand in `secretPerStation` only" if STATION in text else ""),
            path,
        )


def _fit(site: LayeredSite, path: Path, stations: Iterable[str]) -> Iterator[Problem]:
    template = site.text_at(path)
    if template is None or not SECRET_TEMPLATE.fullmatch(template):
        return
    unfit = [station for station in stations if secret_for(template, station) is None]
    if unfit:
        yield site.problem(
            "PM362",
            f"with {listing(unfit)} in the place of {{station}} this is no name of a secret",
            "give these stations a password of their own (`password: {secret: <name>}`), or rename them: a secret's "
            "name has letters, digits, `.`, `_` and `-`, at most 63",
            path,
            related=(site.related("this station", ("stations", unfit[0]), "key"),),
        )
