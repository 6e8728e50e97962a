"""Sentence parts that several rules share: lists of names, and what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the known name next to `name`, or nothing."""
    found = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{found[0]}`?" if found else ""


def listing(names: Iterable[str], limit: int = 8) -> str:
    """Return `names` as a sentence part, sorted, cut after `limit`."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:limit])
    return f"{shown} and {len(ordered) - limit} more" if len(ordered) > limit else shown
