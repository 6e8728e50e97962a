"""Every step of the plan workflow, run on a scratch repository with two branches, as a pull request would be."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.forges import TOKEN, Forge, a_forge
from support.repositories import a_repository, commit, git
from support.workflows import Runner, is_run, load, steps

ROOT = Path(__file__).parents[2]
WORKFLOW = load(ROOT / ".github" / "workflows" / "plan.yml")
COPIED = ("Makefile", "pyproject.toml", "uv.lock", "sites", ".github")
MOVE = ("stations: [LYO-03, LYO-04, LYO-05]", "stations: [LYO-03, LYO-04]"), ("[LYO-06,", "[LYO-05, LYO-06,")
LYON = "sites/fr/lyon-part-dieu.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with `main` and a branch, and the merge of the two checked out, as for a pull request."""
    made = a_repository(tmp_path / "repository")
    for name in COPIED:
        source = ROOT / name
        shutil.copytree(source, made / name) if source.is_dir() else shutil.copy(source, made / name)
    for name in ("schema", "compiler", "agent", "simulator"):
        (made / name).mkdir()
        shutil.copy(ROOT / name / "pyproject.toml", made / name)
    commit(made, {".gitignore": ".venv/\n"}, "The fleet")
    return made


def pull_request(repository: Path, files: Mapping[str, str], message: str = "A change") -> None:
    """Commit `files` on a branch, move `main` on meanwhile, and check out the merge."""
    git(repository, "switch", "-qc", "change")
    commit(repository, files, message)
    git(repository, "switch", "-q", "main")
    commit(repository, {"README.md": "something else\n"}, "Meanwhile")
    git(repository, "switch", "-q", "--detach")
    git(repository, "merge", "-q", "--no-ff", "--no-edit", "change")
    # What `make setup` would install is installed in this very environment.
    (repository / ".venv").mkdir()
    (repository / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (repository / ".venv" / ".synced").touch()


def moved(repository: Path) -> dict[str, str]:
    """The site of Lyon, in which a station gets another operator."""
    text = (repository / LYON).read_text()
    for old, new in MOVE:
        assert old in text
        text = text.replace(old, new)
    return {LYON: text}


def run_job(name: str, runner: Runner) -> dict[str, int]:
    """Run the steps of a job that run something, after a failure those that want to; returns exit codes by name."""
    codes: dict[str, int] = {}
    for step in steps(WORKFLOW["jobs"][name]):
        if not is_run(step, has_failed=any(codes.values())):
            continue
        if "run" in step:
            codes[step["name"]] = runner.run(step).returncode
        elif step["uses"].startswith("./"):
            folder = ROOT / step["uses"]
            runner.environment["GITHUB_ACTION_PATH"] = str(folder)
            results = runner.action(load(folder / "action.yml"), step.get("with", {}))
            codes[step["name"]] = max(done.returncode for done in results)
    return codes


@pytest.fixture
def runner(repository: Path, tmp_path: Path) -> Runner:
    scratch = tmp_path / "runner"
    scratch.mkdir()
    expressions = {"github.token": TOKEN, "github.event.pull_request.number": "12"}
    return Runner(repository, scratch, expressions, {"HOME": str(tmp_path)})


@pytest.fixture
def forge() -> Iterator[Forge]:
    with a_forge() as served:
        yield served


def test_a_pull_request_gets_a_summary_files_and_one_comment(
    repository: Path, runner: Runner, forge: Forge, capfd: pytest.CaptureFixture[str]
) -> None:
    pull_request(repository, moved(repository))

    assert run_job("plan", runner) == {"Install": 0, "Check": 0, "Plan": 0}

    assert runner.summary.startswith("### 1 of 3 sites changes. 1 station drops and comes back to another operator.")
    assert runner.outputs == {"risks": "risk/reconnect risk/authority-move risk/security-downgrade"}
    plan = json.loads((repository / "plan" / "plan.json").read_text())
    assert plan["sites"][1]["moves"] == [{"station": "LYO-05", "from": "acme", "to": "volt"}]
    assert (repository / "plan" / "plan.html").read_text().startswith("<!DOCTYPE html>")

    runner.environment |= {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r"}
    assert run_job("comment", runner) == {"Comment": 0}
    assert [comment["body"] for comment in forge.comments] == [(repository / "plan" / "plan.md").read_text()]
    assert forge.labels == ["bug", "risk/reconnect", "risk/authority-move", "risk/security-downgrade"]
    ran = [step["run"] for name in ("plan", "comment") for step in every_run_step(name)]
    assert sorted(set(runner.ran)) == sorted(ran)


def every_run_step(name: str) -> Iterator[dict[str, Any]]:
    """The steps of a job that run something, those of our own actions too."""
    for step in steps(WORKFLOW["jobs"][name]):
        if "run" in step:
            yield step
        elif step["uses"].startswith("./"):
            yield from load(ROOT / step["uses"] / "action.yml")["runs"]["steps"]


def test_what_the_policy_wants_fails_the_job_and_is_told_all_the_same(repository: Path, runner: Runner) -> None:
    fleet = (repository / "sites" / "fleet.yaml").read_text()
    policy = fleet.replace("requireTls: true", "requireTls: true\n  acknowledge: [risk/authority-move]\n  #")
    commit(repository, {"sites/fleet.yaml": policy}, "A policy")
    pull_request(repository, moved(repository))

    assert run_job("plan", runner)["Plan"] == 1

    assert "The policy wants `Acknowledge: risk/authority-move`" in runner.summary
    assert runner.outputs == {"risks": "risk/reconnect risk/authority-move risk/security-downgrade"}


def test_a_trailer_in_the_branch_is_found_behind_the_merge(repository: Path, runner: Runner) -> None:
    fleet = (repository / "sites" / "fleet.yaml").read_text()
    policy = fleet.replace("requireTls: true", "requireTls: true\n  acknowledge: [risk/authority-move]\n  #")
    commit(repository, {"sites/fleet.yaml": policy}, "A policy")
    pull_request(repository, moved(repository), "Move LYO-05\n\nAcknowledge: risk/authority-move")

    assert run_job("plan", runner)["Plan"] == 0


def test_files_that_are_wrong_fail_the_check_and_take_the_place_of_the_comment_before(
    repository: Path, runner: Runner, forge: Forge
) -> None:
    forge.add("### An older push <!-- pointsman-plan -->\n", is_bot=True)
    forge.labels = ["bug", "risk/none"]
    runner.environment |= {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r"}
    pull_request(repository, {LYON: (repository / LYON).read_text().replace("timeZone:", "timezone:")})

    assert run_job("plan", runner) == {"Install": 0, "Check": 1, "Plan": 1}
    assert run_job("comment", runner) == {"Comment": 0}

    assert runner.outputs == {"risks": ""}
    assert runner.summary.startswith("### 1 site does not compile after this change.")
    assert [comment["body"] for comment in forge.comments] == [runner.summary]
    assert forge.labels == ["bug"]


def test_where_no_plan_could_be_made_the_comment_says_so(repository: Path, runner: Runner, forge: Forge) -> None:
    forge.add("### An older push <!-- pointsman-plan -->\n", is_bot=True)
    forge.labels = ["bug", "risk/none"]
    runner.environment |= {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r"}
    assert run_job("comment", runner) == {"Comment": 0}

    assert forge.comments[0]["body"].startswith("### No plan could be made of the last push.")
    assert forge.labels == ["bug"]
