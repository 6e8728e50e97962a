"""Problems as workflow commands of GitHub Actions: annotations at the lines of a pull request.

::error file=sites/lyon.yaml,line=4,endLine=4,col=9,endColumn=11,title=PM205::message%0Ahelp: remedy

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pointsman_compiler.problems import Problem, sort_problems
from pointsman_compiler.report.paths import below

_DATA: Final = {ord(character): f"%{ord(character):02X}" for character in "%\r\n"}
_PROPERTY: Final = {ord(character): f"%{ord(character):02X}" for character in "%\r\n:,"}


def render_github(problems: Iterable[Problem], *, root: str = "") -> str:
    """Return a line for each problem, by file, line, column and code; nothing for none.

    `root` is the sites folder relative to the repository, so that GitHub finds the files.
    """
    return "".join(f"{_command(problem, root)}\n" for problem in sort_problems(problems))


def _command(problem: Problem, root: str) -> str:
    place = problem.place
    properties = {
        "file": below(root, place.file),
        "line": str(place.line),
        "endLine": str(place.end_line),
        "col": str(place.column),
        "endColumn": str(place.end_column),
        "title": problem.code,
    }
    if place.end_line != place.line:  # GitHub takes columns within one line only
        del properties["col"], properties["endColumn"]
    return workflow_command(problem.severity, properties, _text(problem, root))


def workflow_command(name: str, properties: Mapping[str, str], message: str) -> str:
    """Return one command, escaped as GitHub wants it."""
    written = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in properties.items())
    return f"::{name} {written}::{message.translate(_DATA)}"


def _text(problem: Problem, root: str) -> str:
    related = (f"{below(root, one.place.file)}:{one.place.line}: {one.message}" for one in problem.related)
    return "\n".join([problem.message, *related, f"help: {problem.help}"])
