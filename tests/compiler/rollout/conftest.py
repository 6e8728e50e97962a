"""A fleet of two sites, both offered their first bundle, and all of it sent."""

import shutil
from pathlib import Path

import pytest
from support.rolloutcommands import RULES, good, write_bundle
from support.rollouts import KEYS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository, its keys, rules and two published and promoted sites."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "sites").mkdir()
    (folder / "sites" / "rollout.yaml").write_text(RULES)
    good(folder, "init", "sites", "--keys", "keys")
    for site in ("lab", "lyon"):
        write_bundle(folder, site, "first", 1)
    good(folder, "publish", "bundles", *KEYS)
    good(folder, "promote", "sites", *KEYS, "--command", "cat > /dev/null")
    return folder


@pytest.fixture
def fleet(made: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(made, tmp_path / "fleet"))
