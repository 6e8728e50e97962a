"""`pointsman init`: what it lays out is the example fleet, passes every rule, and never replaces a file.

The package's copy of `sites/` is written by `REGENERATE=1 pytest tests/compiler/test_init.py`.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from pointsman_compiler.init import starter_files
from pointsman_schema.schemas import schema_text
from support.command import pointsman

ROOT = Path(__file__).parents[2]
COPY = ROOT / "compiler" / "pointsman_compiler" / "starter" / "sites"
MODELINE = re.compile(r"\A# yaml-language-server: \$schema=(\S+)\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    done = pointsman("init", tmp_path / "new")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path / "new"


def examples() -> dict[str, bytes]:
    """The example fleet as it stands in a repository whose schemas lie in `schemas/`."""
    files = (path for path in sorted((ROOT / "sites").rglob("*")) if path.is_file())
    return {
        path.relative_to(ROOT / "sites").as_posix(): path.read_bytes().replace(b"schema/pointsman_schema/", b"schemas/")
        for path in files
    }


def test_the_packages_sites_are_those_of_the_example_fleet() -> None:
    if os.environ.get("REGENERATE") == "1":
        shutil.rmtree(COPY, ignore_errors=True)
        for name, content in examples().items():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            (COPY / name).write_bytes(content)

    packaged = {path.relative_to(COPY).as_posix(): path.read_bytes() for path in COPY.rglob("*") if path.is_file()}
    assert packaged == examples()


def test_what_it_makes_passes_a_strict_check_and_compiles(folder: Path) -> None:
    done = pointsman("check", "sites", "--strict", cwd=folder)
    compiled = pointsman("compile", "sites", "--out", "bundles", "--sequence", "1", cwd=folder)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (compiled.returncode, compiled.stderr) == (0, "")
    assert len(list((folder / "bundles").iterdir())) == 3


def test_it_has_an_example_for_each_mode(folder: Path) -> None:
    sites = [
        yaml.safe_load(path.read_text()) for path in (folder / "sites").rglob("*.yaml") if path.name != "fleet.yaml"
    ]

    assert sorted(site["supervision"] for site in sites) == ["local", "multiple", "unique"]


def test_the_first_line_of_every_site_names_a_schema_that_is_there(folder: Path) -> None:
    files = list((folder / "sites").rglob("*.yaml"))

    assert len(files) == 4
    for file in files:
        named = MODELINE.match(file.read_text())
        assert named is not None, file
        kind = "fleet" if file.name == "fleet.yaml" else "site"
        assert (file.parent / named[1]).resolve() == (folder / "schemas" / f"{kind}.v1.schema.json").resolve()
        assert (file.parent / named[1]).read_text() == schema_text("fleet" if kind == "fleet" else "site")


def test_the_commands_of_its_pipelines_hook_and_page_exist(folder: Path) -> None:
    files = (".github/workflows/sites.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "README.md")
    texts = [(folder / name).read_text() for name in files]

    commands = {
        command
        for text in texts
        for command in re.findall(r"(?<=pointsman )(?:check|compile|explain|keygen|plan)[^\n#>]*", text)
    }
    assert len(commands) >= 5
    for command in commands:
        options = re.findall(r"--[a-z-]+", command)
        known = pointsman(command.split()[0], "--help").stdout
        assert all(option in known for option in options), command
    for name in files[:3]:
        assert isinstance(yaml.safe_load((folder / name).read_text()), dict)


def test_no_file_is_replaced_and_nothing_is_written_where_one_is_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")

    done = pointsman("init", cwd=tmp_path)

    assert done.returncode == 6
    assert "README.md is there already" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("README.md", "mine")]


def test_private_keys_and_bundles_are_kept_out_of_git(folder: Path) -> None:
    ignored = (folder / ".gitignore").read_text().split("\n")

    assert {"*.key", "/bundles/"} <= set(ignored)
    assert not any(name.endswith(".key") for name in starter_files())
