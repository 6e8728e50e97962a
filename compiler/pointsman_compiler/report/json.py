"""Problems as JSON: `check --format json`, whose keys are a contract."""

import json
from collections.abc import Iterable
from typing import Any

from pointsman_compiler.problems import Problem, sort_problems


def render_json(problems: Iterable[Problem], sites: int) -> str:
    """Return one object: the problems by file, line, column and code, and how many sites, errors and warnings."""
    ordered = sort_problems(problems)
    errors = sum(problem.severity == "error" for problem in ordered)
    report = {
        "problems": [_plain(problem) for problem in ordered],
        "sites": sites,
        "errors": errors,
        "warnings": len(ordered) - errors,
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _plain(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.message,
        "help": problem.help,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
        "path": problem.path,
    }
