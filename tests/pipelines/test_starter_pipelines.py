"""The pipelines that `pointsman init` lays down, run on a repository that it made; what they install is here."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.command import pointsman
from support.forges import TOKEN, a_forge
from support.repositories import a_repository, commit, git
from support.workflows import Runner, filled, holds, is_run, load, steps

LYON = "sites/fr/lyon-part-dieu.yaml"
INSTALLS = ("pip install", "apt-get")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """The merge of a change is checked out; `main` has gone on meanwhile."""
    folder = tmp_path / "repository"
    pointsman("init", folder)
    a_repository(folder)
    commit(folder, {}, "The start")
    git(folder, "switch", "-qc", "change")
    text = (folder / LYON).read_text()
    commit(folder, {LYON: text.replace("LYO-04, LYO-05]", "LYO-04]").replace("[LYO-06,", "[LYO-05, LYO-06,")})
    git(folder, "switch", "-q", "main")
    commit(folder, {"notes.md": "meanwhile\n"})
    git(folder, "merge", "-q", "--no-ff", "--no-edit", "change")
    (tmp_path / "runner").mkdir()
    expressions = {"github.token": TOKEN, "github.event.pull_request.number": "12", "secrets.POINTSMAN_KEY": "unused"}
    return Runner(folder, tmp_path / "runner", expressions, {"HOME": str(tmp_path)})


def run_all(runner: Runner, job: Any) -> None:
    for step in steps(job):
        if "run" in step and not step["run"].startswith(INSTALLS):
            done = runner.run(step)
            assert done.returncode == 0, done.stderr


def test_on_github_a_pull_request_is_checked_planned_and_commented(runner: Runner) -> None:
    jobs = load(runner.folder / ".github" / "workflows" / "sites.yml")["jobs"]

    with a_forge() as forge:
        runner.environment |= {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r"}
        run_all(runner, jobs["plan"])
        run_all(runner, jobs["comment"])

        assert forge.comments[0]["body"].startswith("### 1 of 3 sites changes. 1 station drops")
        assert forge.labels == ["bug", "risk/reconnect", "risk/authority-move", "risk/security-downgrade"]
    assert runner.summary.startswith("### 1 of 3 sites changes.")


def test_on_github_what_does_not_compile_takes_the_place_of_the_comment_before(runner: Runner) -> None:
    jobs = load(runner.folder / ".github" / "workflows" / "sites.yml")["jobs"]
    text = (runner.folder / LYON).read_text()
    commit(runner.folder, {LYON: text.replace("timeZone:", "timezone:")}, "A mistake")

    codes: list[int] = []
    for step in steps(jobs["plan"]):
        if "run" in step and not step["run"].startswith(INSTALLS) and is_run(step, has_failed=any(codes)):
            codes.append(runner.run(step).returncode)
    with a_forge() as forge:
        forge.add("### An older push <!-- pointsman-plan -->\n", is_bot=True)
        runner.environment |= {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "o/r"}
        run_all(runner, jobs["comment"])

        assert forge.comments[0]["body"].startswith("### 1 site does not compile after this change.")
        assert forge.labels == ["bug"]
    assert codes == [1, 1, 0]


def test_on_github_what_is_merged_is_compiled_and_signed(runner: Runner, tmp_path: Path) -> None:
    pointsman("keygen", tmp_path / "release")
    runner.expressions = {"secrets.POINTSMAN_KEY": (tmp_path / "release.key").read_text()}

    run_all(runner, load(runner.folder / ".github" / "workflows" / "sites.yml")["jobs"]["compile"])

    assert len(list((runner.folder / "bundles").iterdir())) == 3
    bundle = runner.folder / "bundles" / "lyon-part-dieu.bundle"
    assert pointsman("verify", bundle, "--trust", tmp_path / "release.pub").returncode == 0


def test_on_github_what_is_signed_becomes_a_release_that_is_published(runner: Runner, tmp_path: Path) -> None:
    jobs = load(runner.folder / ".github" / "workflows" / "sites.yml")["jobs"]
    rollout = load(runner.folder / ".github" / "workflows" / "rollout.yml")
    pointsman("keygen", tmp_path / "release")
    runner.expressions = {**runner.expressions, "secrets.POINTSMAN_KEY": (tmp_path / "release.key").read_text()}
    (tmp_path / "gh").write_text('#!/bin/bash\necho "$*" >>../done\n')
    (tmp_path / "gh").chmod(0o755)
    runner.path.append(str(tmp_path))
    runner.environment |= {"GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": git(runner.folder, "rev-parse", "HEAD")}

    run_all(runner, jobs["compile"])
    outputs = {
        f"needs.compile.outputs.{name}": filled(text, {"steps.compile.outputs.sequence": runner.outputs[name]})
        for name, text in jobs["compile"]["outputs"].items()
    }
    runner.expressions = {**runner.expressions, **outputs}
    run_all(runner, jobs["release"])
    run_all(runner, jobs["publish"])

    released, started = (tmp_path / "done").read_text().splitlines()
    bundle = runner.folder / "bundles" / "lyon-part-dieu.bundle"
    sequence = json.loads(pointsman("show", bundle, "--json").stdout)["sequence"]
    assert released.startswith(f"release create bundles-{sequence} bundles.tar.gz fleet.lock.json --repo")
    with tarfile.open(runner.folder / "bundles.tar.gz") as packed:
        names = {Path(name).name for name in packed.getnames() if name != "."}
        (member,) = (member for member in packed if member.name.endswith("lyon-part-dieu.bundle"))
        content = packed.extractfile(member)
        assert content is not None
        assert content.read() == bundle.read_bytes()
    assert names == {path.name for path in (runner.folder / "bundles").iterdir()}
    assert started == "workflow run rollout.yml --repo o/r --ref main --field command=publish"
    assert "publish" in rollout["on"]["workflow_dispatch"]["inputs"]["command"]["options"]
    assert (jobs["release"]["needs"], jobs["publish"]["needs"]) == ("compile", "release")
    assert not holds(jobs["release"]["if"], {"vars.POINTSMAN_ROLLOUT": ""})


def test_on_gitlab_a_merge_request_is_checked_planned_and_commented(runner: Runner) -> None:
    pipeline = load(runner.folder / ".gitlab-ci.yml")
    git(runner.folder, "remote", "add", "origin", str(runner.folder))

    with a_forge() as forge:
        runner.environment |= {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": forge.url,
            "CI_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_IID": "12",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(runner.folder, "merge-base", "HEAD^1", "HEAD^2"),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "POINTSMAN_COMMENT_TOKEN": TOKEN,
        }
        for name in ("check", "plan", "comment"):
            done = runner.run({"run": "\n".join(pipeline[name]["script"])})
            assert done.returncode == 0, done.stderr

        assert forge.comments[0]["body"].startswith("### 1 of 3 sites changes. 1 station drops")
        assert forge.labels == ["bug", "risk/authority-move", "risk/reconnect", "risk/security-downgrade"]
    assert json.loads((runner.folder / "code-quality.json").read_text()) == []
