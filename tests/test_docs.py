"""The pages of docs/ and the READMEs say what the code says, and lead where they say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pointsman_agent
import pytest
from pointsman_agent.verification import CODES

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", ".github/*.md", "sites/**/*.md", "*/README.md")
    for path in ROOT.glob(pattern)
    if not path.is_relative_to(ROOT / ".venv")
)
WITHIN_S = 50.0
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that a forge makes of the page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or not place.is_relative_to(ROOT) or (anchor and anchor not in anchors(place)):
            yield target


def test_generated_parts_are_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    generator = tmp_path / "generate.py"
    generator.write_bytes((ROOT / "docs" / "generate.py").read_bytes())
    (tmp_path / "commands.md").write_text("# Commands\n\n<!-- from help -->\nan old text\n<!-- end -->\n")

    checked = subprocess.run(
        [sys.executable, generator, "--check"], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )

    assert checked.returncode == 1
    assert "commands.md" in checked.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_behaviour_names_every_code_of_a_refused_bundle_and_no_other() -> None:
    section = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8").split("## Bundles")[1].split("\n## ")[0]
    named = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)

    assert sorted(named) == sorted(CODES)


def test_troubleshooting_has_every_reason_class() -> None:
    """Those that the code writes down as such, wherever a connection fails or ends."""
    patterns = (r'DialError\(\s*"([a-z-]+)"', r'Refused\(\s*\d+, "([a-z0-9-]+)"', r'error="([a-z-]+)"')
    sources = [path.read_text(encoding="utf-8") for path in Path(pointsman_agent.__file__).parent.rglob("*.py")]
    used = {name for source in sources for pattern in patterns for name in re.findall(pattern, source)}
    page = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE))

    assert {"dns", "tcp", "proxy", "tls", "handshake-timeout", "auth"} <= used
    assert used <= told
