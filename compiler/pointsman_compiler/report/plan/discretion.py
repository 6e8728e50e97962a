"""Problems without badge numbers: plans stand in pull requests and in the logs of pipelines, which many read. Pure.

A number can stand wherever badges do: as a value, as a key where a value should be, in a row of a list, in a line that
is no YAML. So what is said there is the code's title, and the path ends where badges begin.
"""

import re
from dataclasses import replace
from typing import Final

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.problems import Problem
from pointsman_compiler.secrecy import MASK

BADGES: Final = "badges"
_YAML_CODES: Final = "PM1"
_YAML_FILES: Final = (".yaml", ".yml")
_LIKE_A_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{8,}(?![0-9A-Za-z])")
"""The number of a card, 4 bytes or more in hexadecimal: a badge that is indented wrongly is some other key."""


def discreet(problem: Problem) -> Problem:
    """Return `problem` without the number of any badge in its texts and in its path; its places are what they were."""
    steps = problem.path.split("/")
    path = "/".join(steps[: steps.index(BADGES) + 1]) if BADGES in steps else problem.path
    if BADGES in steps or problem.code.startswith(_YAML_CODES) or not problem.place.file.endswith(_YAML_FILES):
        title = CATALOGUE[problem.code].title
        help = "`pointsman check` shows the line; `--show-badges` shows it here"
        return replace(problem, message=title, help=help, path=_masked(path), related=())
    return replace(
        problem,
        message=_masked(problem.message),
        help=_masked(problem.help),
        path=_masked(path),
        related=tuple(replace(one, message=_masked(one.message)) for one in problem.related),
    )


def _masked(text: str) -> str:
    return _LIKE_A_NUMBER.sub(MASK, text)
