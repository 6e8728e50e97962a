"""Problems as SARIF 2.1.0 (OASIS), which code scanning services read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from pointsman_compiler.catalogue import CATALOGUE
from pointsman_compiler.problems import Place, Problem, sort_problems
from pointsman_compiler.report.paths import below, with_fingerprints

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/cs01/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT: Final = "pointsman/v1"


def render_sarif(problems: Iterable[Problem], version: str, *, root: str = "") -> str:
    """Return one run of pointsman `version` with a result for each problem; ends with a line break.

    `root` is the sites folder relative to the repository. Rules are listed for the codes that occur.
    """
    ordered = sort_problems(problems)
    codes = sorted({problem.code for problem in ordered})
    results = [_result(problem, name, codes, root) for problem, name in with_fingerprints(ordered, root)]
    driver = {"name": "pointsman", "version": version, "rules": [_rule(code) for code in codes]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, Any]:
    entry = CATALOGUE[code]
    return {
        "id": code,
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": entry.cause},
        "help": {"text": entry.remedy},
    }


def _result(problem: Problem, fingerprint: str, codes: list[str], root: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": problem.severity,
        "message": {"text": f"{problem.message}\nhelp: {problem.help}"},
        "locations": [_location(problem.place, root)],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }
    # Equal places would break `uniqueItems`; the ids make each a location of its own (section 3.28.2).
    related = [
        {"id": number, **_location(one.place, root), "message": {"text": one.message}}
        for number, one in enumerate(problem.related, 1)
    ]
    return result | ({"relatedLocations": related} if related else {})


def _location(place: Place, root: str) -> dict[str, Any]:
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }
    artifact = {"uri": quote(below(root, place.file))}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}
