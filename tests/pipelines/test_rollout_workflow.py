"""The rollout workflow, run by run, on a real repository of a rollout, with a forge that has one release.

What `pointsman init` lays down of it is written by `REGENERATE=1 pytest tests/pipelines/test_rollout_workflow.py`.
"""

import os
import shutil
from pathlib import Path

import pytest
from support.command import pointsman
from support.repositories import a_repository, commit
from support.workflows import Runner, filled, holds, is_run, load, steps

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
COUNTER = ROOT / "compiler" / "pointsman_compiler" / "starter" / "github-rollout.yml"
INSTALLATION = """\
        run: |
          make setup
          echo "$PWD/.venv/bin" >>"$GITHUB_PATH"
"""
WORKFLOW = load(WORKFLOWS / "rollout.yml")
APPROVE, JOB, PROMOTION = (WORKFLOW["jobs"][name] for name in ("approve", "rollout", "promotion"))
(SCHEDULE,) = (schedule["cron"] for schedule in WORKFLOW["on"]["schedule"])
COMMANDS = WORKFLOW["on"]["workflow_dispatch"]["inputs"]["command"]["options"]
SITE = "version: 1\nsite: {site}\ntimeZone: Europe/Paris\nsupervision: local\nstations:\n  CP-1: {{}}\n"
RULES = "version: 1\nrings:\n  - {name: lab, sites: [lab], soak: 0}\n  - {name: rest}\nspread: 0\n"
GH = """\
#!/bin/bash
case "$1 $2" in
"release list") [[ ! -d ../released ]] || echo bundles-7 ;;
"release create")
    mkdir -p ../released
    for word in "${@:4}"; do [[ $word != --* ]] || break; cp "$word" ../released/; done
    (($(ls ../released | wc -l) <= 1000)) || { echo "HTTP 422: file_count limited to 1000" >&2; exit 1; } ;;
"release download") cp "../released/$7" . ;;
"api repos/o/r/commits/bundles-7") echo 0123456789abcdef ;;
"run list") cat ../waiting ;;
"workflow run") printf '%s\\n' "$@" >../started ;;
*) echo "no such thing: $*" >&2; exit 1 ;;
esac
"""
FETCH, PUBLISH, BRAKE, PROMOTE = "Fetch the repository", "Publish what was released", "Brake", "Promote"
REFRESH, CLEAN, COUNT, HALT_OR_RESUME = "Refresh", "Clean", "Count what may move", "Halt or resume"
SAY = "Say where it is"


def started(by: str, run: int = 1, branch: str = "main") -> dict[str, str | bool]:
    """Return what the names in expressions are in a run that is started `by` a schedule, or with a command by hand."""
    is_by_hand = by in COMMANDS
    return {
        "github.workflow": WORKFLOW["name"],
        "github.run_id": str(run),
        "github.ref": f"refs/heads/{branch}",
        "github.event.schedule": "" if is_by_hand else by,
        "inputs.command": by if is_by_hand else "",
        "inputs.because": "calls from Lyon" if is_by_hand else "",
        "vars.POINTSMAN_ROLLOUT": "yes",
        "cancelled()": False,
        "failure()": False,
    }


def group(run: dict[str, str | bool]) -> str:
    """Return the group of a whole run: one of a group runs or waits, and one waits behind it."""
    return filled(WORKFLOW["concurrency"]["group"], run)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A checkout, the repository that is fetched, a release, and the secrets of the environment."""
    files = {f"sites/{site}.yaml": SITE.format(site=site) for site in ("lab", "lyon")}
    folder = a_repository(tmp_path / "checkout")
    commit(folder, {**files, "sites/rollout.yaml": RULES}, "The fleet")
    for arguments in (
        ["compile", "sites", "--out", "bundles"],
        ["rollout", "init", "sites", "--repository", "../served", "--keys", "../keys"],
    ):
        done = pointsman(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(GH)
    (tmp_path / "bin" / "gh").chmod(0o755)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "waiting").write_text("0")
    expressions = {
        "secrets.POINTSMAN_FETCH": "cp -r ../served repository",
        "secrets.POINTSMAN_PUBLISH_COMMAND": "xargs -I{} cp {} ../../served/{}",
        "secrets.POINTSMAN_CLEAN_COMMAND": "cd ../../served && cat > ../obsolete && xargs rm < ../obsolete",
        "secrets.POINTSMAN_HEALTH": "",
        "secrets.POINTSMAN_FETCH_KEY": "",
        "secrets.POINTSMAN_HEALTH_TOKEN": "",
        "github.token": "token",
    }
    for role in ("targets", "snapshot", "timestamp"):
        expressions[f"secrets.POINTSMAN_{role.upper()}_KEY"] = (tmp_path / "keys" / f"{role}.key").read_text()
    environment = {"HOME": str(tmp_path), "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "0123456789abcdef"}
    made = Runner(folder, tmp_path / "scratch", expressions, environment, [str(tmp_path / "bin")])
    release(made, OURS)
    return made


OURS = ("bundles.yml", "publish", "sign", "bundles.lock.json")
THEIRS = ("github-workflow.yml", "release", "compile", "fleet.lock.json")
"""Workflow, job that makes a release, job that it needs, and the lock file."""


def release(runner: Runner, workflow: tuple[str, str, str, str]) -> None:
    """Make a release of what is compiled, in place of another."""
    file, name, needed, lock = workflow
    shutil.rmtree(runner.folder.parent / "released", ignore_errors=True)
    (runner.folder / lock).write_text("{}")
    runner.expressions = {**runner.expressions, f"needs.{needed}.outputs.sequence": "7"}
    job = load((WORKFLOWS if workflow is OURS else COUNTER.parent) / file)["jobs"][name]
    (step,) = (step for step in steps(job) if "run" in step)
    done = runner.run(step)
    assert done.returncode == 0, done.stderr


def run_job(runner: Runner, by: str) -> dict[str, int]:
    """Run the job that has the keys, on a machine with nothing but the checkout; return exit codes by step."""
    for made in ("repository", "bundles"):
        shutil.rmtree(runner.folder / made, ignore_errors=True)
    (runner.folder / "bundles.tar.gz").unlink(missing_ok=True)
    for file in runner.scratch.iterdir():
        file.unlink()
    runner.expressions = {**runner.expressions, **started(by)}
    environment = {name: runner.value(text) for name, text in JOB["env"].items()}
    codes: dict[str, int] = {}
    for step in steps(JOB):
        if "run" not in step or step["name"] == "Install":
            continue
        names = {
            **runner.expressions,
            "env.COMMAND": environment["COMMAND"],
            "steps.fetched.outcome": "success" if codes.get(FETCH) == 0 else "failure",
        }
        if is_run(step, has_failed=any(codes.values())) and ("if" not in step or holds(step["if"], names)):
            codes[step["name"]] = runner.run(step, **environment).returncode
    return codes


def test_each_run_does_what_it_was_started_for(runner: Runner) -> None:
    served, lies_there = runner.folder.parent / "served", runner.folder / "repository"

    assert run_job(runner, "publish") == {FETCH: 0, PUBLISH: 0, SAY: 0}
    assert "(0123456789ab): 0 of 2 sites have been offered it" in runner.summary
    assert run_job(runner, "halt") == {FETCH: 0, HALT_OR_RESUME: 0, SAY: 0}
    assert "calls from Lyon" in runner.summary
    # Past a halt nothing moves, and what is refreshed is refreshed all the same.
    assert run_job(runner, SCHEDULE) == {FETCH: 0, PUBLISH: 0, BRAKE: 1, REFRESH: 0, SAY: 0}
    assert run_job(runner, "promote") == {FETCH: 0, PUBLISH: 0, PROMOTE: 1, SAY: 0}
    assert "0 of 2 sites have been offered it" in runner.summary
    assert run_job(runner, "refresh") == {FETCH: 0, REFRESH: 0, CLEAN: 0, SAY: 0}
    assert run_job(runner, "resume") == {FETCH: 0, HALT_OR_RESUME: 0, SAY: 0}
    assert run_job(runner, SCHEDULE) == {FETCH: 0, PUBLISH: 0, BRAKE: 0, REFRESH: 0, CLEAN: 0, COUNT: 0, SAY: 0}
    assert "0 of 2 sites have been offered it" in runner.summary
    assert start_promotion(runner) == {"--repo": "o/r", "--ref": "main", "--field": "command=promote"}
    assert run_job(runner, "promote") == {FETCH: 0, PUBLISH: 0, PROMOTE: 0, SAY: 0}
    assert "2 of 2 sites have been offered it" in runner.summary

    newest = [(folder / "metadata" / "timestamp.json").read_bytes() for folder in (served, lies_there)]
    assert newest[0] == newest[1]
    assert len(list((served / "targets").glob("*.bundle"))) == 2


@pytest.mark.parametrize(("is_released", "waiting"), [(False, 0), (True, 1)])
def test_no_promotion_is_started_for_nothing_or_beside_one_that_waits(
    runner: Runner, is_released: bool, waiting: int
) -> None:
    (runner.folder.parent / "waiting").write_text(str(waiting))
    if not is_released:
        shutil.rmtree(runner.folder.parent / "released")

    assert run_job(runner, SCHEDULE) == {FETCH: 0, PUBLISH: 0, BRAKE: 0, REFRESH: 0, CLEAN: 0, COUNT: 0, SAY: 0}
    assert start_promotion(runner) == {}


def test_without_a_command_that_fetches_nothing_is_done(runner: Runner) -> None:
    runner.expressions = {**runner.expressions, "secrets.POINTSMAN_FETCH": ""}

    for by in (SCHEDULE, *COMMANDS):
        (failed,) = run_job(runner, by).items()
        assert failed[0] == FETCH
        assert failed[1] != 0


def test_where_there_is_no_rollout_no_job_runs() -> None:
    jobs = [APPROVE, JOB, load(WORKFLOWS / "bundles.yml")["jobs"]["rollout"]]

    for by in (SCHEDULE, *COMMANDS):
        assert not any(holds(job["if"], {**started(by), "vars.POINTSMAN_ROLLOUT": ""}) for job in jobs)


def test_without_a_command_that_sends_whatever_would_sign_fails(runner: Runner) -> None:
    assert run_job(runner, "publish")[PUBLISH] == 0
    runner.expressions = {**runner.expressions, "secrets.POINTSMAN_PUBLISH_COMMAND": ""}

    assert run_job(runner, "halt") == {FETCH: 0, HALT_OR_RESUME: 2, SAY: 0}
    assert run_job(runner, "refresh")[REFRESH] == 2


def test_what_init_lays_down_is_this_workflow_with_another_installation() -> None:
    ours = (WORKFLOWS / "rollout.yml").read_text()
    assert ours.count(INSTALLATION) == 1
    theirs = ours.replace(INSTALLATION, "        run: pip install -r requirements.txt\n")
    if os.environ.get("REGENERATE") == "1":
        COUNTER.write_text(theirs)

    assert COUNTER.read_text() == theirs


def test_a_site_that_is_removed_from_git_is_removed_from_the_rollout(runner: Runner) -> None:
    assert run_job(runner, "publish") == {FETCH: 0, PUBLISH: 0, SAY: 0}
    assert "0 of 2 sites have been offered it" in runner.summary

    compile_without(runner, "lyon")
    release(runner, OURS)

    assert run_job(runner, "publish") == {FETCH: 0, PUBLISH: 0, SAY: 0}
    assert "0 of 1 sites have been offered it" in runner.summary


def test_a_release_that_cannot_be_published_holds_up_no_brake(runner: Runner) -> None:
    assert run_job(runner, "publish")[PUBLISH] == 0
    (runner.folder / "bundles").mkdir(exist_ok=True)
    (runner.folder / "bundles" / "lab.bundle").write_text("none")
    release(runner, OURS)

    assert run_job(runner, SCHEDULE) == {FETCH: 0, PUBLISH: 1, BRAKE: 0, REFRESH: 0, SAY: 0}


def compile_without(runner: Runner, site: str) -> None:
    """Merge a change that removes a site."""
    shutil.rmtree(runner.folder / "bundles")
    (runner.folder / "sites" / f"{site}.yaml").unlink()
    commit(runner.folder, {}, f"{site} is no more")
    done = pointsman("compile", "sites", "--out", "bundles", cwd=runner.folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("workflow", [OURS, THEIRS])
def test_a_release_has_two_files_however_many_sites_there_are_and_of_the_same_ones_the_same(
    runner: Runner, workflow: tuple[str, str, str, str]
) -> None:
    released = runner.folder.parent / "released"
    sites = [f"site-{number}" for number in range(1100)]
    for site in sites:
        (runner.folder / "bundles" / f"{site}.bundle").write_text(site)
    release(runner, workflow)
    first = (released / "bundles.tar.gz").read_bytes()
    for site in reversed(sites):
        (runner.folder / "bundles" / f"{site}.bundle").unlink()
        (runner.folder / "bundles" / f"{site}.bundle").write_text(site)
        os.utime(runner.folder / "bundles" / f"{site}.bundle", (7, 7))

    release(runner, workflow)

    assert {path.name for path in released.iterdir()} == {"bundles.tar.gz", workflow[3]}
    assert (released / "bundles.tar.gz").read_bytes() == first


def test_what_lets_sites_move_is_approved_and_a_halt_is_not() -> None:
    approved = {by for by in (SCHEDULE, *COMMANDS) if holds(APPROVE["if"], started(by))}

    assert approved == {"promote", "resume"}
    assert (APPROVE["environment"], JOB["environment"]) == ("rollout-approval", "rollout")
    assert JOB["needs"] == "approve"
    for by in (SCHEDULE, *COMMANDS):
        assert holds(JOB["if"], started(by))
        assert not holds(JOB["if"], {**started(by), "failure()": True}), "refused approval"
        assert not any(holds(job["if"], started(by, branch="mine")) for job in (APPROVE, JOB))


def test_no_two_runs_sign_at_one_time_and_none_pushes_out_another() -> None:
    with_keys = [job for job in WORKFLOW["jobs"].values() if "secrets." in str(job)]

    assert [job["concurrency"] for job in with_keys] == [{"group": "rollout", "queue": "max"}]


def test_a_run_by_hand_waits_for_no_approval_of_another_run() -> None:
    by_hand = [group(started(command, run)) for run, command in enumerate(COMMANDS * 2) if command != "promote"]
    scheduled = [group(started(by, run)) for run, by in enumerate([SCHEDULE, "promote"] * 2)]

    assert "concurrency" not in APPROVE, "what waits for its approval holds its place"
    assert WORKFLOW["concurrency"].keys() == {"group"}, "nothing is cancelled while it signs"
    assert len({*by_hand, *scheduled}) == len(by_hand) + 2
    assert "rollout" not in {name.lower() for name in (*by_hand, *scheduled)}, "the queue of those that sign"


def test_an_approval_that_comes_late_goes_by_the_rules_of_now() -> None:
    assert steps(JOB)[0]["with"]["ref"] == "main"


def test_a_release_starts_its_publication(runner: Runner) -> None:
    jobs = load(WORKFLOWS / "bundles.yml")["jobs"]
    (step,) = steps(jobs["rollout"])

    done = runner.run(step)

    assert done.returncode == 0, done.stderr
    assert words_of(runner) == {"--repo": "o/r", "--ref": "main", "--field": "command=publish"}
    assert "publish" in COMMANDS
    assert jobs["rollout"]["needs"] == "publish"


def start_promotion(runner: Runner) -> dict[str, str]:
    """Run the job that starts a promotion, where it is to be run; return the options of the run it started, if any."""
    (runner.folder.parent / "started").unlink(missing_ok=True)
    moves = filled(JOB["outputs"]["moves"], {"steps.counted.outputs.moves": runner.outputs.get("moves", "")})
    if holds(PROMOTION["if"], {"needs.rollout.outputs.moves": moves}):
        (step,) = steps(PROMOTION)
        assert runner.run(step).returncode == 0
    return words_of(runner)


def words_of(runner: Runner) -> dict[str, str]:
    """Return the options with which the rollout's workflow was started, if it was."""
    if not (started := runner.folder.parent / "started").exists():
        return {}
    words = started.read_text().split()
    assert words[:3] == ["workflow", "run", "rollout.yml"]
    return dict(zip(words[3::2], words[4::2], strict=True))
