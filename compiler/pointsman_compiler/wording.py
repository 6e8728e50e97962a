"""Sentence parts that several rules share: lists of names, and what was probably meant."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

MOST_COMPARED: Final = 200
"""Names that are compared letter by letter; a comparison costs some 10 µs, and a file may hold as many wrong names."""


def nearest(name: str, known: Collection[str], *, most: int = MOST_COMPARED) -> str:
    """Return `; did you mean …?` with the known name next to `name`, or nothing.

    Of more than `most` names only those of the same length and first letter, or nearly so, are compared.
    """
    if len(known) > most:
        first = name[:1].casefold()
        near = (each for each in known if each[:1].casefold() == first and abs(len(each) - len(name)) <= 1)
        known = list(islice(near, MOST_COMPARED // 10))
    found = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{found[0]}`?" if found else ""


def listing(names: Iterable[str], limit: int = 8) -> str:
    """Return `names` as a sentence part, sorted, cut after `limit`."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:limit])
    return f"{shown} and {len(ordered) - limit} more" if len(ordered) > limit else shown
