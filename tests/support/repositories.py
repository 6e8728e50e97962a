"""Scratch repositories of git, with commits made from files' texts; no setting of the machine takes part."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.trees import lay_out

WITHIN_S = 30.0
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "A. Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "A. Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_AUTHOR_DATE": "2026-11-22T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-11-22T12:00:00Z",
}


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints in `folder`."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=True,
    )
    return done.stdout.strip()


def a_repository(folder: Path) -> Path:
    """Make an empty repository with the branch `main` in `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def commit(repository: Path, files: Mapping[str, str | bytes | None], message: str = "a change") -> str:
    """Write `files` (None: remove it), commit all that is in the folder, and return the commit's hash."""
    lay_out(repository, {name: content for name, content in files.items() if content is not None})
    for name in (name for name, content in files.items() if content is None):
        (repository / name).unlink()
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", f"--message={message}")
    return git(repository, "rev-parse", "HEAD")
