"""The page on rollouts shows rules that the compiler takes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pointsman_compiler.cli.rollout.keeping import starter
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.rollout.rules import rules_of
from pointsman_compiler.rules.rollout import find_document_problems

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "rollout.md"
SHOWN = ("docs", "deploy", ".github", "compiler/pointsman_compiler")
"""Where commands that send are shown."""
SERVER = "deploy@fleet.example:/srv/rollout/"
SITES = tuple(f"site-{number}" for number in range(100))
FIRST_FAILS = "#!/bin/sh\ncase $* in *first*) exit 1 ;; esac\n"


def test_the_rules_on_the_page_are_sound() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    document = read_document("rollout.yaml", text.encode())
    assert isinstance(document, Document), document

    assert find_document_problems(document, {"lab-1", "lyon-part-dieu", *SITES}) == []
    assert [ring.name for ring in rules_of(document.data).rings] == ["lab", "early", "rest"]


def shown(pattern: str) -> set[str]:
    """What is shown anywhere that fits `pattern`, or its group."""
    files = (file for part in SHOWN for file in (ROOT / part).rglob("*") if file.suffix in (".md", ".yml", ".py"))
    return {found for file in files for found in re.findall(pattern, file.read_text(encoding="utf-8"))}


@pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")
def test_what_is_shown_sends_a_file_of_the_same_size_and_second(tmp_path: Path) -> None:
    (command,) = shown(rf"rsync -\S* [^`\n\"]*--files-from=- \. {re.escape(SERVER)}")
    for folder, text in (("served", "old"), ("repository", "new")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "timestamp.json").write_text(text)
        os.utime(tmp_path / folder / "timestamp.json", (1, 1))

    here = command.replace(SERVER, "../served/")
    subprocess.run(here, shell=True, cwd=tmp_path / "repository", input=b"timestamp.json\n", check=True)

    assert (tmp_path / "served" / "timestamp.json").read_text() == "new"


def test_loops_that_are_shown_fail_where_one_file_does(tmp_path: Path) -> None:
    (tmp_path / "aws").write_text(FIRST_FAILS)
    (tmp_path / "aws").chmod(0o755)
    loops = shown(r"while read -r f; do [^\n']*; done")
    assert {loop.split()[7] for loop in loops} == {"cp", "rm"}

    for loop in loops:
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(loop, shell=True, env={"PATH": path}, input=b"first\nsecond\n", check=False)
        assert done.returncode != 0, loop


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh is not installed")
def test_the_key_of_a_runner_becomes_one_of_ssh_as_the_page_says(tmp_path: Path) -> None:
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(keygen, check=True)
    public = (tmp_path / "key.pub").read_text().split()[1]
    (block,) = re.findall(
        r"```sh [^\n]*\n(mkdir -p -m 700 ~/.ssh\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    here = re.sub('AAAA[^"]*', public, block).replace("\nrsync ", "\ntrue ")
    secret = (tmp_path / "key").read_text().strip()  # forges strip what is pasted
    (tmp_path / "home").mkdir()

    for _ in range(2):  # on a runner that is kept, too
        environment = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "FETCH_KEY": secret}
        subprocess.run(["bash", "-euc", here], env=environment, check=True)

    made = tmp_path / "home" / ".ssh"
    assert (made / "id_ed25519").stat().st_mode & 0o777 == 0o600
    told = subprocess.run(["ssh-keygen", "-y", "-f", made / "id_ed25519"], capture_output=True, text=True, check=True)
    assert told.stdout.split()[1] == public
    subprocess.run(["ssh-keygen", "-F", "fleet.example", "-f", made / "known_hosts"], check=True)


@pytest.mark.parametrize(("sites", "few"), [((), False), (("lyon", "oslo", "wien"), True), (SITES, False)])
def test_what_init_writes_is_sound(sites: tuple[str, ...], few: bool) -> None:
    document = read_document("rollout.yaml", starter(sites).encode())
    assert isinstance(document, Document), document

    assert find_document_problems(document, sites) == []
    first, rest = rules_of(document.data).rings
    assert (first.name, first.share, first.sites) == ("first", None if few else 5, ("lyon",) if few else ())
    assert not sites or 0 < sum(first.takes(site, {}) for site in sites) < len(sites)
    assert rest.takes("any", {})
