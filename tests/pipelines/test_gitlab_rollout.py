"""The rollout in GitLab's pipeline that `pointsman init` lays down: which jobs there are when, and what they do."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.command import pointsman
from support.repositories import a_repository, commit, git
from support.workflows import Runner, holds, load

STARTER = Path(__file__).parents[2] / "compiler" / "pointsman_compiler" / "starter"
PIPELINE = load(STARTER / "gitlab-ci.yml")
INSTALLS = ("pip install", "apt-get")
KEYWORDS = ("workflow", "default")
BECAUSE = {"BECAUSE": "calls from Lyon"}
FREEZE = 'freezes: [{because: season, firstDay: "2000-01-01", lastDay: "2999-12-31"}]\n'


def job(name: str) -> dict[str, Any]:
    """Return a job with what it extends."""
    own = PIPELINE[name]
    return {**PIPELINE["default"], **PIPELINE.get(own.get("extends"), {}), **own}


def jobs_of(source: str, *, branch: str = "main", fetch: str = "rsync") -> dict[str, str]:
    """Return the jobs of a pipeline that `source` started, and when they run."""
    of_request = source == "merge_request_event"
    values: dict[str, str | bool] = {
        "$CI_PIPELINE_SOURCE": source,
        "$CI_COMMIT_BRANCH": "" if of_request else branch,
        "$CI_DEFAULT_BRANCH": "main",
        "$POINTSMAN_FETCH": fetch,
        "$POINTSMAN_COMMENT_TOKEN": "",
    }
    found = {}
    for name in PIPELINE:
        if name in KEYWORDS or name.startswith("."):
            continue
        rule = next((rule for rule in PIPELINE[name]["rules"] if holds(rule["if"], values)), None)
        if rule is not None:
            found[name] = rule.get("when", "on_success")
    return found


def test_each_pipeline_has_the_jobs_that_it_is_for() -> None:
    by_hand = {"halt": "manual", "resume": "manual"}
    of_merge = {"check": "on_success", "compile": "on_success"}

    of_schedule = dict.fromkeys(["promote", "brake", "refresh"], "on_success")

    assert jobs_of("schedule") == {**of_schedule, **by_hand}
    assert jobs_of("push") == {**of_merge, "publish": "on_success", **by_hand}
    assert jobs_of("web") == jobs_of("push")
    assert jobs_of("merge_request_event") == {"check": "on_success", "plan": "on_success"}
    assert jobs_of("schedule", fetch="") == {}
    assert jobs_of("push", fetch="") == of_merge
    assert jobs_of("schedule", branch="mine") == jobs_of("push", branch="mine") == {}


def test_no_two_jobs_sign_at_one_time() -> None:
    with_keys = {name for name in PIPELINE if "$KEYS" in str(PIPELINE[name].get("script"))}

    assert with_keys == {"publish", "promote", "brake", "refresh", "halt", "resume"}
    assert {job(name)["resource_group"] for name in with_keys} == {"rollout"}


def test_what_lets_sites_move_is_approved_and_a_halt_waits_for_nothing_but_its_turn() -> None:
    approved = {name for name in PIPELINE if "environment" in PIPELINE[name]}

    assert approved == {"promote", "resume"}
    assert "environment" not in PIPELINE[".rollout"]
    for name in ("halt", "resume"):
        assert job(name)["needs"] == []
        assert all(rule["allow_failure"] == "true" for rule in job(name)["rules"]), "no pipeline waits for it"


def test_the_next_commit_cancels_no_halt_that_waits() -> None:
    values: dict[str, str | bool] = {"$CI_COMMIT_BRANCH": "main", "$CI_DEFAULT_BRANCH": "main"}
    rules = PIPELINE["workflow"]["rules"]
    first = next(rule for rule in rules if holds(rule["if"], values))

    assert first["auto_cancel"] == {"on_new_commit": "none"}
    assert rules[-1] == {"when": "always"}, "all other pipelines are made as before"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository that `pointsman init` made, the rollout of it, and the variables of the project."""
    folder = tmp_path / "repository"
    pointsman("init", folder)
    a_repository(folder)
    done = pointsman("rollout", "init", "sites", "--repository", "../served", "--keys", "../keys", cwd=folder)
    assert done.returncode == 0, done.stderr
    pointsman("keygen", tmp_path / "release")
    commit(folder, {}, "The start")
    git(folder, "remote", "add", "origin", str(folder))
    (tmp_path / "scratch").mkdir()
    variables = {role.upper(): (tmp_path / "keys" / f"{role}.key") for role in ("targets", "snapshot", "timestamp")}
    variables["POINTSMAN_KEY"] = tmp_path / "release.key"
    environment = {
        "HOME": str(tmp_path),
        "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_SHA": git(folder, "rev-parse", "HEAD"),
        "GITLAB_USER_LOGIN": "ana",
        "POINTSMAN_FETCH": "cp -r ../served repository",
        "POINTSMAN_PUBLISH_COMMAND": "xargs -I{} cp {} ../../served/{}",
        **{name: file.read_text() for name, file in variables.items()},
    }
    return Runner(folder, tmp_path / "scratch", {}, environment)


def run_job(runner: Runner, name: str, **variables: str) -> tuple[int, str]:
    """Run a job on a machine with nothing but the checkout; return its exit code and what it says."""
    shutil.rmtree(runner.folder / "repository", ignore_errors=True)
    found = job(name)
    # GitLab runs the first two in one shell, and the last in one of its own, whatever became of the first.
    scripts = [*found["before_script"], *found["script"]], found.get("after_script", [])
    done = [
        runner.run(
            {"run": "\n".join(line for line in script if not line.startswith(INSTALLS))},
            **{**found.get("variables", {}), **variables},
        )
        for script in scripts
    ]
    return done[0].returncode, f"{done[0].stderr}{done[1].stdout}"


def done(runner: Runner, name: str, **variables: str) -> str:
    """Run a job that has to end well; return what it says."""
    code, said = run_job(runner, name, **variables)
    assert code == 0, said
    return said


def test_a_rollout_is_published_halted_resumed_promoted_and_refreshed(runner: Runner) -> None:
    timestamp = runner.folder.parent / "served" / "metadata" / "timestamp.json"

    done(runner, "compile")
    assert "0 of 3 sites have been offered it" in done(runner, "publish")
    assert "halted by ana" in done(runner, "halt")
    code, said = run_job(runner, "promote")
    assert code == 1
    assert "0 of 3 sites have been offered it" in said
    done(runner, "resume")
    done(runner, "halt", **BECAUSE)
    assert "calls from Lyon" in run_job(runner, "promote")[1]
    done(runner, "resume")
    assert "0 of 3 sites have been offered it" in done(runner, "brake")
    assert "3 of 3 sites have been offered it" in done(runner, "promote")
    before = timestamp.read_bytes()
    done(runner, "refresh")
    assert timestamp.read_bytes() != before


def test_a_promotion_that_was_approved_late_goes_by_the_rules_of_now(runner: Runner) -> None:
    done(runner, "compile")
    done(runner, "publish")
    asked_for = git(runner.folder, "rev-parse", "HEAD")
    rules = (runner.folder / "sites" / "rollout.yaml").read_text()
    commit(runner.folder, {"sites/rollout.yaml": f"{rules}\n{FREEZE}"}, "A freeze")
    git(runner.folder, "switch", "-q", "--detach", asked_for)

    said = done(runner, "promote")

    assert "0 of 3 sites have been offered it" in said


def test_without_a_command_that_sends_a_halt_fails_by_its_name(runner: Runner) -> None:
    done(runner, "compile")
    done(runner, "publish")
    del runner.environment["POINTSMAN_PUBLISH_COMMAND"]

    code, said = run_job(runner, "halt")

    assert code != 0
    assert "POINTSMAN_PUBLISH_COMMAND: there is no such variable here" in said


def test_a_site_that_is_removed_from_git_is_removed_from_the_rollout(runner: Runner) -> None:
    done(runner, "compile")
    done(runner, "publish")
    shutil.rmtree(runner.folder / "bundles")
    (runner.folder / "sites" / "nl" / "utrecht-kantoor.yaml").unlink()
    commit(runner.folder, {}, "Utrecht is no more")
    done(runner, "compile")

    said = done(runner, "publish")

    assert "0 of 2 sites have been offered it" in said
