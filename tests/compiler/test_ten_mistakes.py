"""Ten mistakes that new users make, each made by the real command: it names the line and the remedy in one try.

The transcript is docs/ten-mistakes.md; REGENERATE=1 writes it.
"""

import difflib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.command import pointsman

REPOSITORY = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
PAGE = REPOSITORY / "docs" / "ten-mistakes.md"
COMMAND = ("check", "sites", "--at", "2026-11-22")

FLEET = "version: 1\npolicy: {requireTls: true}\n"
SITE = """\
version: 1
site: lyon
timeZone: Europe/Paris
supervision: multiple
labels: {country: FR}
supervisions:
  acme:
    url: wss://csms.acme.example/ocpp
    messageTimeout: 30
    trust: [certificates/acme-root.pem]
    password: {secret: acme-password}
groups:
  visitors: {operator: acme, stations: [LYO-01]}
  staff: {operator: local, stations: [LYO-02]}
stations:
  LYO-01: {}
  LYO-02: {}
"""


@dataclass(frozen=True)
class Mistake:
    """What is written for what, on which line that is told, and a part of what the remedy says."""

    title: str
    right: str
    wrong: str
    line: int
    remedy: str


MISTAKES = [
    Mistake("A misspelt key", "    messageTimeout: 30", "    mesageTimeout: 30", 9, "did you mean `messageTimeout`?"),
    Mistake(
        "A line that is indented too little",
        "    url: wss://csms.acme.example/ocpp",
        "  url: wss://csms.acme.example/ocpp",
        7,
        "indent the lines below that belong to it",
    ),
    Mistake("The country Norway", "{country: FR}", "{country: NO}", 5, 'write it in quotes: "NO"'),
    Mistake("A time-out of 90 seconds", "messageTimeout: 30", "messageTimeout: 90", 9, "1 to 60"),
    Mistake("The same station twice", "  LYO-02: {}", "  LYO-02: {}\n  LYO-01: {}", 18, "keep one of the two"),
    Mistake(
        "A station without a group",
        "  staff: {operator: local, stations: [LYO-02]}\n",
        "",
        16,
        "add it to the `stations` of one group",
    ),
    Mistake(
        "ws:// where the fleet demands TLS",
        "wss://csms.acme.example/ocpp\n    messageTimeout: 30\n    trust: [certificates/acme-root.pem]\n",
        "ws://csms.acme.example/ocpp\n    messageTimeout: 30\n",
        8,
        "make the URL wss://",
    ),
    Mistake(
        "A certificate that has expired",
        "[certificates/acme-root.pem]",
        "[certificates/acme-2019.pem]",
        10,
        "put its successor into the file",
    ),
    Mistake("A password in clear", "{secret: acme-password}", "Sommer2026!", 11, "refer to that by name"),
    Mistake("A time zone that is none", "Europe/Paris", "Europe/Lyon", 3, "write the IANA name of a place"),
]


Transcripts = Mapping[str, tuple[int, str]]


def run(folder: Path, site: str) -> tuple[int, str]:
    """Exit code and output of the command over `site` in `folder`."""
    sites = folder / "sites"
    (sites / "certificates").mkdir(parents=True, exist_ok=True)
    shutil.copy(CASES / "compiles-layers" / "sites" / "root.pem", sites / "certificates" / "acme-root.pem")
    shutil.copy(CASES / "certificate-expired" / "sites" / "old.pem", sites / "certificates" / "acme-2019.pem")
    (sites / "fleet.yaml").write_text(FLEET)
    (sites / "lyon.yaml").write_text(site)
    found = pointsman(*COMMAND, cwd=folder)
    assert found.stderr == ""
    return found.returncode, found.stdout


def made(mistake: Mistake) -> str:
    assert SITE.count(mistake.right) == 1, mistake.title
    return SITE.replace(mistake.right, mistake.wrong)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Transcripts:
    """What the command says of each mistake."""
    folder = tmp_path_factory.mktemp("mistakes")
    return {mistake.title: run(folder, made(mistake)) for mistake in MISTAKES}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.title)
def test_a_mistake_is_told_once_with_its_line_and_its_remedy(said: Transcripts, mistake: Mistake) -> None:
    code, output = said[mistake.title]

    places = re.findall(r"^lyon\.yaml:(\d+):\d+: error\[PM\d{3}\]", output, re.MULTILINE)
    help = " ".join(output.partition("help:")[2].split())
    assert code == 1
    assert places == [str(mistake.line)]
    assert mistake.remedy in help
    assert max(map(len, output.splitlines())) <= 80


def test_without_a_mistake_nothing_is_said(tmp_path: Path) -> None:
    assert run(tmp_path, SITE) == (0, "")


def test_the_password_in_clear_is_not_in_the_transcript() -> None:
    reports = PAGE.read_text(encoding="utf-8").split("```text\n")[1:]

    assert len(reports) == len(MISTAKES)
    assert not any("Sommer2026!" in report.split("```")[0] for report in reports)


def test_the_transcript_is_what_the_command_says_now(said: Transcripts) -> None:
    page = written_page(said)

    if os.environ.get("REGENERATE") == "1":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "run: REGENERATE=1 pytest tests/compiler/test_ten_mistakes.py"


def written_page(said: Transcripts) -> str:
    """Return the transcript as Markdown."""
    head = f"""\
<!-- Written by tests/compiler/test_ten_mistakes.py; REGENERATE=1 writes it anew. -->

# Ten mistakes, and what is said of them

A site without a mistake, `sites/lyon.yaml`; `sites/fleet.yaml` says `policy: {{requireTls: true}}`. Below, one mistake
at a time is made in it. Each is told once, at its line, with what to do. [problems.md](problems.md) has all codes.

```yaml
{SITE}```
"""
    sections = (_section(number, mistake, said[mistake.title][1]) for number, mistake in enumerate(MISTAKES, 1))
    return head + "".join(sections)


def _section(number: int, mistake: Mistake, output: str) -> str:
    compared = difflib.ndiff(SITE.splitlines(), made(mistake).splitlines())
    change = [line[0] + line[2:] for line in compared if line[0] in "+-"]
    parts = ["", f"## {number}. {mistake.title}", "", "```diff", *change, "```", "", "```text"]
    return "\n".join([*parts, f"$ pointsman {' '.join(COMMAND)}", output.rstrip(), "```", ""])
