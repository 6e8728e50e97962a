"""The corpus: every folder of `cases/` is a sites folder with what the compiler says of it.

`expected.txt` holds every problem; for a case named `compiles-…` `compiled.json` holds each site's configuration. To
add one, add a folder with `sites/`, run `REGENERATE=1 pytest tests/compiler/test_cases.py` and read what was written.
What is too large for a repository is grown: see `pointsman_compiler.catalogue.corpus`.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from pointsman_compiler.build import CheckResult, check
from pointsman_compiler.catalogue.corpus import case_tree
from pointsman_compiler.problems import Problem
from support.recorded import recorded

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if (path / "sites").is_dir())
AT = datetime(2026, 11, 22, tzinfo=UTC)
COMPILES = "compiles-"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_gives_the_expected_problems(case: Path) -> None:
    result = check(case_tree(case), AT)

    assert written(result) == recorded(case / "expected.txt", written(result))


@pytest.mark.parametrize("case", [case for case in CASES if case.name.startswith(COMPILES)], ids=lambda case: case.name)
def test_case_compiles_to_the_expected_configuration(case: Path) -> None:
    result = check(case_tree(case), AT)

    configs = {site.site: msgspec.to_builtins(site.config) for site in result.resolved}
    compiled = json.dumps(configs, indent=2, sort_keys=True) + "\n"
    assert result.errors == 0
    assert compiled == recorded(case / "compiled.json", compiled)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_problem_names_a_place_a_remedy_and_a_stable_code(case: Path) -> None:
    for problem in check(case_tree(case), AT).problems:
        assert problem.message
        assert problem.help
        assert problem.code.startswith("PM")
        assert problem.place.line >= 1
        assert os.path.lexists(case / "sites" / problem.place.file)


def test_the_corpus_has_a_case_for_every_code_of_the_rules() -> None:
    package = Path(__file__).parents[2] / "compiler" / "pointsman_compiler"
    sources = [package / name for name in ("urls.py", "templates.py", "certificates.py", "attachments.py", "badges.py")]
    text = "".join(path.read_text() for path in [*sources, *(package / "rules").glob("*.py")])
    expected = "".join((case / "expected.txt").read_text() for case in CASES)

    codes = {f"PM{part[:3]}" for part in text.split('"PM')[1:]}
    assert len(codes) > 40
    assert {code for code in codes if code not in expected} == set()


def written(result: CheckResult) -> str:
    return "\n".join(map(paragraph, result.problems)) or "no problems\n"


def paragraph(problem: Problem) -> str:
    place = problem.place
    spot = f"{place.file}:{place.line}:{place.column}-{place.end_line}:{place.end_column}"
    lines = [
        f"{spot} {problem.severity} {problem.code} {problem.path}",
        f"  {problem.message}",
        f"  help: {problem.help}",
    ]
    lines += [f"  {one.place.file}:{one.place.line}:{one.place.column} {one.message}" for one in problem.related]
    return "\n".join(lines) + "\n"
