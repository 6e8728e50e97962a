"""`pointsman check` in its other ways: from standard input, for pipelines, on each change."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support.command import WITHIN_S, pointsman
from support.trees import UNIQUE, lay_out

SITES = Path(__file__).parents[2] / "sites"
TWO = UNIQUE.replace("site: one", "site: two").replace("CP-1", "CP-2")
BAD = UNIQUE.replace("wss:", "https:")
FORMATS = ["text", "json", "github", "gitlab", "sarif"]


def check_text(text: str | bytes, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `pointsman check -` on `text`."""
    done = subprocess.run(
        [sys.executable, "-m", "pointsman_compiler", "check", "-", *arguments],
        input=text.encode() if isinstance(text, str) else text,
        env={**os.environ, "COLUMNS": "80", "PYTHONWARNINGS": "error"},
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
        cwd=cwd,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def take_interrupts() -> None:
    """A background job of a shell without job control ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def watching(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pointsman_compiler", "check", "--watch", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WITHIN_S)


def put(root: Path, name: str, text: str) -> None:
    """Replace a file whole: the watch must not see it half written."""
    (root / ".new").write_text(text)
    os.replace(root / ".new", root / name)


def next_round(stdout: IO[str] | None) -> list[str]:
    """The lines up to the next summary; the test's own time limit bounds it."""
    assert stdout is not None
    lines: list[str] = []
    for line in stdout:
        lines.append(line.rstrip("\n"))
        if line.endswith("waiting for changes\n"):
            return lines
    raise AssertionError(f"the watch ended: {lines}")


def test_a_site_from_standard_input_is_checked_under_its_own_name() -> None:
    good, bad = check_text(UNIQUE), check_text(BAD)

    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert bad.returncode == 1
    assert bad.stdout.startswith("one.yaml:6:15: error[PM310]")
    assert '  6 |   acme: {url: "https://' in bad.stdout


@pytest.mark.parametrize("text", ["", "site: [", b"\xff\xfe", "\0", "- a\n", "site: ../../etc/passwd\n"])
def test_whatever_comes_from_standard_input_ends_in_a_report(text: str | bytes) -> None:
    done = check_text(text)

    assert done.returncode == 1
    assert done.stdout.startswith("stdin.yaml:")
    assert done.stderr == ""


def test_within_a_folder_it_has_the_fleets_catalogue_and_files() -> None:
    text = (SITES / "fr" / "lyon-part-dieu.yaml").read_text()

    inside = check_text(text, "--within", SITES, "--as", "fr/lyon-part-dieu.yaml", "--strict")
    alone = check_text(text)

    assert (inside.returncode, inside.stdout) == (0, "")
    assert alone.returncode == 1
    assert "error[PM322]" in alone.stdout


def test_standard_input_does_not_leave_the_folder_and_watches_nothing() -> None:
    assert check_text(UNIQUE, "--as", "../one.yaml").returncode == 6
    assert check_text(UNIQUE, "--watch").returncode == 2
    assert check_text(UNIQUE, "--site", "one").returncode == 2
    assert pointsman("check", SITES, "--as", "one.yaml").returncode == 2


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_of_the_problem_and_fails(tmp_path: Path, form: str) -> None:
    root = lay_out(tmp_path / "sites", {"one.yaml": BAD}).root

    done = pointsman("check", root, "--format", form)

    assert done.returncode == 1
    assert "PM310" in done.stdout or form == "github"
    assert "one.yaml" in done.stdout


@pytest.mark.parametrize("form", FORMATS)
def test_without_problems_every_format_is_whole(form: str) -> None:
    done = pointsman("check", SITES, "--format", form)

    assert (done.returncode, done.stderr) == (0, "")
    if form in ("text", "github"):
        assert done.stdout == ""
    else:
        assert json.loads(done.stdout) is not None


def test_pipelines_get_paths_from_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    lay_out(tmp_path / "config" / "sites", {"fr/one.yaml": BAD})

    outside = pointsman("check", "config/sites", "--format", "gitlab", cwd=tmp_path)
    inside = pointsman("check", ".", "--format", "gitlab", cwd=tmp_path / "config" / "sites")

    assert json.loads(outside.stdout)[0]["location"]["path"] == "config/sites/fr/one.yaml"
    assert outside.stdout == inside.stdout


def test_watching_reports_a_mistake_and_its_mending(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"one.yaml": UNIQUE, "two.yaml": TWO}).root
    with watching(root) as process:
        assert next_round(process.stdout) == ["2 sites: 0 errors, 0 warnings; waiting for changes"]

        put(root, "one.yaml", BAD)
        broken = next_round(process.stdout)
        assert broken[0].startswith("one.yaml:6:15: error[PM310]")
        assert broken[-1].startswith("2 sites: 1 errors")

        put(root, "one.yaml", UNIQUE)
        assert next_round(process.stdout) == ["2 sites: 0 errors, 0 warnings; waiting for changes"]


def test_watching_sees_new_files_the_fleets_file_and_files_that_were_missing(tmp_path: Path) -> None:
    local = "version: 1\nsite: loc\ntimeZone: UTC\nsupervision: local\nbadges: [{file: b.csv}]\nstations: {X: {}}\n"
    root = lay_out(tmp_path, {"one.yaml": UNIQUE, "loc.yaml": local}).root
    with watching(root) as process:
        assert next_round(process.stdout)[-1].startswith("2 sites: 1 errors")

        put(root, "b.csv", "badge,authorized\n04A2,true\n")
        assert next_round(process.stdout)[-1].startswith("2 sites: 0 errors")

        put(root, "b.csv", "badge,authorized\n04A2,perhaps\n")
        assert next_round(process.stdout)[0].startswith("b.csv:2:6: error[PM520]")

        (root / "loc.yaml").unlink()
        assert next_round(process.stdout)[-1].startswith("1 sites: 0 errors")

        put(root, "fleet.yaml", "version: 1\npolicy: {requireTls: 3}\n")
        assert next_round(process.stdout)[-1].startswith("1 sites: 1 errors")


def test_watching_ends_well_on_interrupt(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"one.yaml": UNIQUE}).root
    with watching(root) as process:
        next_round(process.stdout)

    assert process.returncode == 0
