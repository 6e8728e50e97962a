"""The comment of a plan: one for a request, replaced and never doubled, on both forges; and its labels."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forges import TOKEN, Forge, a_forge

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".github" / "actions" / "comment" / "comment.py"
STARTER = ROOT / "compiler" / "pointsman_compiler" / "starter" / "comment.py"
MARKED = "### A verdict <!-- pointsman-plan -->\n"
WITHIN_S = 30.0


@pytest.fixture
def forge() -> Iterator[Forge]:
    with a_forge() as served:
        yield served


@pytest.fixture(params=["GitHub", "GitLab"])
def environment(request: pytest.FixtureRequest, forge: Forge) -> dict[str, str]:
    if request.param == "GitHub":
        return {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r", "NUMBER": "12", "TOKEN": TOKEN}
    return {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": forge.url,
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "12",
        "TOKEN": TOKEN,
    }


def comment(
    folder: Path, environment: dict[str, str], text: str = MARKED, *risks: str
) -> "subprocess.CompletedProcess[str]":
    (folder / "plan.md").write_text(text)
    (folder / "plan.json").write_text(json.dumps({"risks": risks}))
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, folder],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_the_first_plan_is_a_new_comment_and_the_next_ones_replace_it(
    tmp_path: Path, forge: Forge, environment: dict[str, str]
) -> None:
    for number in range(150):
        forge.add(f"comment {number}", is_bot=number % 2 == 0)

    first = comment(tmp_path, environment, f"{MARKED}one", "risk/reconnect")
    second = comment(tmp_path, environment, f"{MARKED}two", "risk/none")

    assert (first.returncode, second.returncode, first.stderr, second.stderr) == (0, 0, "", "")
    assert len(forge.comments) == 151
    assert forge.comments[-1]["body"] == f"{MARKED}two"
    assert sorted(forge.labels) == ["bug", "risk/none"]


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path, forge: Forge, environment: dict[str, str]) -> None:
    comment(tmp_path, environment, MARKED, "risk/none")
    forge.writes.clear()

    comment(tmp_path, environment, MARKED, "risk/none")

    assert forge.writes == []


def test_a_marker_that_somebody_else_wrote_is_not_ours(
    tmp_path: Path, forge: Forge, environment: dict[str, str]
) -> None:
    forge.add(MARKED, is_bot=False)
    forge.add(f"a bot that quotes\n{MARKED}", is_bot=True)

    comment(tmp_path, environment)

    assert [one["body"] for one in forge.comments][:2] == [MARKED, f"a bot that quotes\n{MARKED}"]
    assert len(forge.comments) == 3


def test_a_token_that_may_not_is_told_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    done = comment(tmp_path, {**environment, "TOKEN": "another"})

    assert done.returncode == 1
    assert done.stderr == "comment.py: the forge says: HTTP Error 401: Unauthorized\n"


def test_what_init_lays_down_is_the_same_script() -> None:
    assert STARTER.read_bytes() == SCRIPT.read_bytes()
