"""The example of docs/review.md: a change of the example fleet, and the first ten lines of its plan.

`REGENERATE=1 pytest tests/compiler/test_review_page.py` writes it into the page.
"""

import difflib
import os
import re
import shutil
from pathlib import Path

from support.command import pointsman

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "review.md"
EXAMPLE = re.compile(r"(<!-- example -->\n).*?(<!-- end example -->)", re.DOTALL)
CHANGES = {
    "fleet.yaml": [("csms.acme.example/ocpp/", "csms.acme.example/v2/")],
    "fr/lyon-part-dieu.yaml": [("LYO-04, LYO-05]", "LYO-04]"), ("[LYO-06,", "[LYO-05, LYO-06,")],
}
FIRST_LINES = 10


def changed(folder: Path) -> str:
    """Make the change in a copy of the fleet in `folder`; returns it as a diff."""
    lines: list[str] = []
    for name, replacements in CHANGES.items():
        before = (folder / name).read_text(encoding="utf-8")
        after = before
        for old, new in replacements:
            assert old in after
            after = after.replace(old, new)
        (folder / name).write_text(after, encoding="utf-8")
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=0, lineterm="")
        lines += [line for line in diff if not line.startswith(("---", "@@"))]
    return "\n".join(lines)


def test_the_first_ten_lines_say_who_drops_and_who_owns_them_then(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sites", tmp_path / "sites")
    diff = changed(tmp_path / "sites")

    done = pointsman("plan", ROOT / "sites", tmp_path / "sites")

    head = done.stdout.splitlines()[:FIRST_LINES]
    example = f"```diff\n{diff}\n```\n\n```text\n" + "\n".join(head).rstrip() + "\n```\n"
    for station in ("LYO-03", "LYO-04", "LYO-05", "UTR-01", "UTR-02", "UTR-03"):
        assert station in "\n".join(head)
    assert "acme → volt" in "\n".join(head)
    page = PAGE.read_text(encoding="utf-8")
    wanted = EXAMPLE.sub(lambda part: f"{part[1]}\n{example}\n{part[2]}", page)
    if os.environ.get("REGENERATE") == "1":
        PAGE.write_text(wanted, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == wanted
