"""Problems as GitLab's code quality report (an artifact `codequality`), which a merge request shows at its lines.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from pointsman_compiler.problems import Problem, sort_problems
from pointsman_compiler.report.paths import below, with_fingerprints

_SEVERITY: Final = {"error": "critical", "warning": "minor"}


def render_gitlab(problems: Iterable[Problem], *, root: str = "") -> str:
    """Return a list with an object for each problem, by file, line, column and code; ends with a line break.

    `root` is the sites folder relative to the repository. A fingerprint does not depend on line numbers.
    """
    found = with_fingerprints(sort_problems(problems), root)
    return json.dumps([_entry(problem, name, root) for problem, name in found], indent=2, ensure_ascii=False) + "\n"


def _entry(problem: Problem, fingerprint: str, root: str) -> dict[str, Any]:
    place = problem.place
    return {
        "description": f"{problem.message}; help: {problem.help}",
        "check_name": problem.code,
        "fingerprint": fingerprint,
        "severity": _SEVERITY[problem.severity],
        "location": {"path": below(root, place.file), "lines": {"begin": place.line, "end": place.end_line}},
    }
