"""Sentence parts that a plan's reports share: numbers with their nouns and verbs, places, fates, owners."""

from collections.abc import Sequence
from typing import Final

from pointsman_compiler.plan.fates import Fate
from pointsman_compiler.plan.fates import Kind as FateKind

FATES: Final[dict[FateKind, str]] = {
    "moves": "drop and move",
    "leaves": "leave",
    "reconnects": "drop",
    "may reconnect": "may drop",
    "joins": "join",
}
"""What becomes of stations, the gravest first."""


def counted(number: int, noun: str) -> str:
    """Return `number` with `noun`, in the plural where it is not one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verb(number: int, verb: str) -> str:
    """Return `verb` as it goes with `number`."""
    return f"{verb}s" if number == 1 else verb


def is_or_are(number: int) -> str:
    """Return the verb to be, as it goes with `number`."""
    return "is" if number == 1 else "are"


def do_or_does(number: int) -> str:
    """Return the verb to do, as it goes with `number`."""
    return "does" if number == 1 else "do"


def listed(parts: Sequence[str]) -> str:
    """Return `parts` as a list in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def where_of(file: str | None, line: int | None, side: str) -> str:
    """Return a place in words; nothing for what is built in."""
    if file is None:
        return ""
    return f"{file}{f':{line}' if line is not None else ''}{' (before)' if side == 'before' else ''}"


def owner_of(fate: Fate) -> str:
    """Return whose the stations are then, and whose they were where that is somebody else."""
    if fate.kind == "leaves":
        return f"{fate.before} → nobody"
    if fate.site is not None:
        return f"{fate.before} ({fate.site}) → {fate.after}"
    if fate.before is None or fate.before == fate.after:
        return f"{fate.after}"
    return f"{fate.before} → {fate.after}"
