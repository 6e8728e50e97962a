"""Every step of the rollout workflow, run on a real repository of a rollout, with a forge that has one release."""

from pathlib import Path

import pytest
from support.command import pointsman
from support.repositories import a_repository, commit
from support.workflows import Runner, load, steps

ROOT = Path(__file__).parents[2]
JOB = load(ROOT / ".github" / "workflows" / "rollout.yml")["jobs"]["rollout"]
SITE = "version: 1\nsite: {site}\ntimeZone: Europe/Paris\nsupervision: local\nstations:\n  CP-1: {{}}\n"
RULES = "version: 1\nrings:\n  - {name: lab, sites: [lab], soak: 0}\n  - {name: rest}\nspread: 0\n"
GH = """\
#!/bin/bash
case "$1 $2" in
"release list") echo bundles-7 ;;
"release download") mkdir -p bundles; cp ../released/*.bundle bundles/ ;;
"api repos/o/r/commits/bundles-7") echo 0123456789abcdef ;;
*) echo "no such thing: $*" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A checkout, the repository that is fetched, a release, and the secrets of the environment."""
    files = {f"sites/{site}.yaml": SITE.format(site=site) for site in ("lab", "lyon")}
    folder = a_repository(tmp_path / "checkout")
    commit(folder, {**files, "sites/rollout.yaml": RULES}, "The fleet")
    for arguments in (
        ["compile", "sites", "--out", "../released"],
        ["rollout", "init", "sites", "--repository", "../served", "--keys", "../keys"],
    ):
        done = pointsman(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    expressions = {
        "secrets.POINTSMAN_FETCH": "cp -r ../served repository",
        "secrets.POINTSMAN_PUBLISH_COMMAND": "xargs -I{} cp {} ../../served/{}",
        "secrets.POINTSMAN_CLEAN_COMMAND": "cd ../../served && cat > ../obsolete && xargs rm < ../obsolete",
        "secrets.POINTSMAN_HEALTH": "",
        "secrets.POINTSMAN_FETCH_KEY": "",
        "secrets.POINTSMAN_HEALTH_TOKEN": "",
        "github.token": "token",
        "inputs.command": "halt",
        "inputs.because": "calls from Lyon",
    }
    for role in ("targets", "snapshot", "timestamp"):
        expressions[f"secrets.POINTSMAN_{role.upper()}_KEY"] = (tmp_path / "keys" / f"{role}.key").read_text()
    environment = {"HOME": str(tmp_path), "GITHUB_REPOSITORY": "o/r"}
    found = Runner(folder, tmp_path / "scratch", expressions, environment, [str(tmp_path / "bin")])
    found.environment |= {name: found.value(text) for name, text in JOB["env"].items()}
    return found


def test_a_release_is_published_promoted_refreshed_and_halted(runner: Runner) -> None:
    by_name = {step["name"]: step for step in steps(JOB) if "run" in step and step["name"] != "Install"}

    for name, step in by_name.items():
        done = runner.run(step)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    assert list(by_name) == [
        "Fetch the repository",
        "Publish what was released",
        "Promote",
        "Refresh",
        "Clean",
        "Halt or resume",
        "Say where it is",
    ]
    assert "(0123456789ab): 2 of 2 sites have been offered it" in runner.summary
    assert "calls from Lyon" in runner.summary
    served = runner.folder.parent / "served"
    assert (served / "metadata" / "timestamp.json").read_bytes() == (
        runner.folder / "repository" / "metadata" / "timestamp.json"
    ).read_bytes()
    assert len(list((served / "targets").glob("*.bundle"))) == 2


def test_without_a_command_that_fetches_nothing_is_done(runner: Runner) -> None:
    runner.expressions = {**runner.expressions, "secrets.POINTSMAN_FETCH": ""}
    (step,) = (step for step in steps(JOB) if step.get("name") == "Fetch the repository")

    done = runner.run(step)

    assert done.returncode == 0, done.stderr
    assert "there is no secret POINTSMAN_FETCH" in runner.summary
    assert all("steps.fetched.outputs.there" in each["if"] for each in steps(JOB)[2:])
