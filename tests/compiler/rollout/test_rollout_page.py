"""The page on rollouts shows rules that the compiler takes."""

import re
from pathlib import Path

from pointsman_compiler.document import Document, read_document
from pointsman_compiler.rollout.rules import rules_of
from pointsman_compiler.rules.rollout import find_document_problems

PAGE = Path(__file__).parents[3] / "docs" / "rollout.md"


def test_the_rules_on_the_page_are_sound() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    document = read_document("rollout.yaml", text.encode())
    assert isinstance(document, Document), document

    assert find_document_problems(document, {"lab-1", "lyon-part-dieu"}) == []
    assert [ring.name for ring in rules_of(document.data).rings] == ["lab", "early", "rest"]


def test_what_init_writes_is_sound() -> None:
    from pointsman_compiler.cli.rollout.keeping import STARTER

    document = read_document("rollout.yaml", STARTER.encode())
    assert isinstance(document, Document), document

    assert find_document_problems(document, set()) == []
