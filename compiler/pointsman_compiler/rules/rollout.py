"""Rules over rollout.yaml: every site is in one ring, pins and freezes name what there is, times can be."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from fnmatch import fnmatchcase
from typing import Any, Final

from pointsman_compiler.document import Document, read_document
from pointsman_compiler.problems import Place, Problem
from pointsman_compiler.shape import find_shape_problems
from pointsman_compiler.shares import is_in_share
from pointsman_compiler.sources import ROLLOUT_FILE, SourceError, SourceTree
from pointsman_compiler.wording import nearest

SELECTORS: Final = ("sites", "labels", "share")
_ALL_DAYS: Final = 7


def read_rollout(tree: SourceTree, sites: Collection[str]) -> Document | list[Problem]:
    """Return the rollout's file, or what is wrong with it; of `sites`, all that there are, it may name some.

    Warnings do not keep it from being returned.
    """
    document = _read(tree)
    if isinstance(document, list):
        return document
    problems = find_document_problems(document, sites)
    return problems if any(problem.severity == "error" for problem in problems) else document


def find_rollout_problems(tree: SourceTree, sites: Collection[str]) -> list[Problem]:
    """Return what is wrong with the rollout's file of `tree`; nothing where there is none."""
    if tree.rollout_file() is None:
        return []
    document = _read(tree)
    return document if isinstance(document, list) else find_document_problems(document, sites)


def find_document_problems(document: Document, sites: Collection[str]) -> list[Problem]:
    """Return what is wrong with `document`; rules judge only what has the right shape."""
    return find_shape_problems(document, "rollout") or [
        *_ring_problems(document, sites),
        *_empty_rings(document, sites),
        *_freeze_problems(document),
        *_pin_problems(document, sites),
    ]


def _read(tree: SourceTree) -> Document | list[Problem]:
    try:
        raw = tree.read(ROLLOUT_FILE)
    except SourceError as error:
        return [Problem("PM590", "error", error.message, error.help, Place(ROLLOUT_FILE, 1, 1, 1, 1), "")]
    return read_document(ROLLOUT_FILE, raw)


def _ring_problems(document: Document, sites: Collection[str]) -> Iterator[Problem]:
    rings = document.data["rings"]
    seen: set[str] = set()
    for number, ring in enumerate(rings):
        path = ("rings", number)
        is_last, selects = number == len(rings) - 1, any(key in ring for key in SELECTORS)
        if is_last and selects:
            help = "add a ring behind it with only a name and how it goes"
            yield document.problem("PM601", "the last ring does not take all the rest", help, (*path, "name"))
        if not is_last and not selects:
            help = "say which with `sites`, `labels` or `share`, or make it the last"
            message = f"the ring {ring['name']} takes all sites, so that none is left for those behind it"
            yield document.problem("PM601", message, help, (*path, "name"))
        if ring["name"] in seen:
            message = f"there are two rings {ring['name']}"
            yield document.problem("PM602", message, "give each a name of its own", (*path, "name"))
        seen.add(ring["name"])
        for place, pattern in enumerate(ring.get("sites", ())):
            if not any(fnmatchcase(site, pattern) for site in sites):
                message = f"no site's id fits {pattern}"
                help = f"correct it, or remove it{nearest(pattern, sites)}"
                yield document.problem("PM606", message, help, (*path, "sites", place), severity="warning")


def _empty_rings(document: Document, sites: Collection[str]) -> Iterator[Problem]:
    """Rings before the last that take none of `sites`; labels, which are not known here, are believed to fit."""
    left = set(sites)
    for number, ring in enumerate(document.data["rings"][:-1]):
        patterns, share = ring.get("sites", ("*",)), ring.get("share")
        fitting = {site for site in sites if any(fnmatchcase(site, pattern) for pattern in patterns)}
        found = {site for site in fitting & left if share is None or is_in_share(ring["name"], site, share)}
        if fitting and not found and any(key in ring for key in SELECTORS):
            remedy = "name others" if share is None else "raise `share`, or name some with `sites`"
            message = f"the ring {ring['name']} takes no site: nothing proves itself there before the others move"
            path = ("rings", number, "name" if share is None else "share")
            yield document.problem("PM607", message, f"{remedy}, or remove the ring", path, severity="warning")
        if "labels" not in ring:
            left -= found


def _freeze_problems(document: Document) -> Iterator[Problem]:
    rings = {ring["name"] for ring in document.data["rings"]}
    for number, freeze in enumerate(document.data.get("freezes", ())):
        path = ("freezes", number)
        for place, ring in enumerate(freeze.get("rings", ())):
            if ring not in rings:
                help = f"name a ring of this file{nearest(ring, rings)}"
                yield document.problem("PM603", f"there is no ring {ring}", help, (*path, "rings", place))
        for first, last in (("firstDay", "lastDay"), ("from", "to")):
            if (first in freeze) != (last in freeze):
                there, missing = (first, last) if first in freeze else (last, first)
                message = f"`{there}` stands here without `{missing}`"
                yield document.problem("PM604", message, f"give `{missing}` as well", (*path, there), part="key")
        yield from _period_problems(document, path, freeze)
        if not {"firstDay", "from"} & set(freeze) and len(freeze.get("days", range(_ALL_DAYS))) == _ALL_DAYS:
            help = "say when it holds, or halt the rollout: `pointsman rollout halt`"
            yield document.problem("PM605", "this freeze has no end", help, (*path, "because"))
        if "from" in freeze and freeze.get("from") == freeze.get("to"):
            message = "the hours end when they begin"
            yield document.problem("PM604", message, "for whole days leave out `from` and `to`", (*path, "to"))


def _period_problems(document: Document, path: tuple[str, int], freeze: Mapping[str, Any]) -> Iterator[Problem]:
    days = {key: _day(freeze[key]) for key in ("firstDay", "lastDay") if key in freeze}
    for key, day in days.items():
        if day is None:
            message = f"{freeze[key]} is in no calendar"
            yield document.problem("PM604", message, "correct the day", (*path, key))
    first, last = days.get("firstDay"), days.get("lastDay")
    if first is not None and last is not None and last < first:
        message = f"the period ends on {last}, before it begins on {first}"
        yield document.problem("PM604", message, "correct one of the days", (*path, "lastDay"))


def _pin_problems(document: Document, sites: Collection[str]) -> Iterator[Problem]:
    for site, pin in document.data.get("pins", {}).items():
        path = ("pins", site)
        if site not in sites:
            help = f"correct it, or remove the pin{nearest(site, sites)}"
            yield document.problem("PM603", f"there is no site {site}", help, path, part="key")
        if _day(pin["until"]) is None:
            message = f"{pin['until']} is in no calendar"
            yield document.problem("PM604", message, "correct the day", (*path, "until"))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
