"""Problems: what is wrong in a person's file, where it stands and what to do about it.

A problem is a value: the parts of the compiler yield problems, `report/` renders them. Codes are stable, `PM` and three
digits, and name a topic: 1xx YAML, 2xx shape, 3xx rules over one site, 4xx rules over the fleet, 5xx files, 6xx the
rollout.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stretch of a file, in lines and columns that count from 1; the end is the column after the last character.

    `file` is relative to the root, with `/`.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that helps to understand a problem, such as `first written here`."""

    message: str
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong (`message`), where (`place`, and `path` as a JSON pointer) and what to do (`help`)."""

    code: str
    severity: Severity
    message: str
    help: str
    place: Place
    path: str
    related: tuple[Related, ...] = ()


SHOWN_AT_MOST: Final = 1000
"""Errors, and warnings, of one topic in one file that are shown: more are one mistake, by a program or on purpose."""


def until_too_many(problems: Iterable[Problem], most: int = SHOWN_AT_MOST) -> Iterator[Problem]:
    """Yield `most` of the errors in `problems` and as many warnings, and a note in the place of the next one.

    Behind too many errors nothing is looked for any more; behind too many warnings, errors are.
    """
    seen: dict[Severity, int] = {"error": 0, "warning": 0}
    for problem in problems:
        seen[problem.severity] += 1
        if seen[problem.severity] <= most:
            yield problem
        elif seen[problem.severity] == most + 1:
            yield more_follow(problem, most)
            if problem.severity == "error":
                return


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return `problems` by file, line, column and code; what is equal in these stands by path and message."""
    return sorted(problems, key=_order)


def more_follow(first: Problem, shown: int) -> Problem:
    """Return the note in the place of `first`, which is one more than is shown."""
    return Problem(
        "PM199",
        first.severity,
        f"from here on there are more {first.severity}s than the {shown} of a topic that are shown",
        "mend those first, then check again",
        first.place,
        first.path,
    )


def _order(problem: Problem) -> tuple[str, int, int, str, str, str]:
    place = problem.place
    return place.file, place.line, place.column, problem.code, problem.path, problem.message
