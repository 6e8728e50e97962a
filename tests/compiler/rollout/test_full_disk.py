"""A disk that is full is told with the file that had no room. A limit on the length of files stands for it.

Python's error for bytes that do not fit names no file, on a full disk as past a limit.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.rolloutcommands import write_bundle
from support.rollouts import KEYS

WITHIN_S = 50.0


def limited(folder: Path, kib: int, *arguments: str) -> tuple[int, str]:
    """Run `pointsman` where no file can be longer than `kib`; return its exit code and its first line of errors."""
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f {kib}; exec "$@"', "-", sys.executable, "-m", "pointsman_compiler", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("kib", "arguments", "file"),
    [
        (1, ["init", "sites", "--repository", "other", "--keys", "others"], "other/metadata/1.root.json"),
        (0, ["init", "sites", "--repository", "other", "--keys", "others"], "others/root-1.key"),
        (0, ["refresh", *KEYS], "repository/unsent.json"),
        (1, ["publish", "bundles", *KEYS], "repository/targets/"),
    ],
)
def test_a_full_disk_is_told_with_what_was_being_written(
    fleet: Path, kib: int, arguments: list[str], file: str
) -> None:
    write_bundle(fleet, "lab", "second", 2)

    code, said = limited(fleet, kib, "rollout", *arguments)

    assert code == 6
    assert said.startswith(f"error: {file}")
    assert said.endswith(": File too large")


def test_a_compiled_bundle_that_has_no_room_is_named(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[3] / "sites", tmp_path / "sites")

    code, said = limited(tmp_path, 1, "compile", "sites", "--out", "out", "--sequence", "1", "--jobs", "1")

    assert code == 6
    assert said.endswith(".bundle: File too large")


def test_a_plan_that_has_no_room_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "plan.md").symlink_to("/dev/full")
    for name in ("before", "after"):
        shutil.copytree(Path(__file__).parents[3] / "sites", tmp_path / name)

    done = subprocess.run(
        [sys.executable, "-m", "pointsman_compiler", "plan", "before", "after", "--write", "plan.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert done.returncode == 6
    assert done.stderr.splitlines()[0] == "error: plan.md: No space left on device"
    assert "make room there" in done.stderr
