"""The catalogue of problems: whole, shown by real cases, and its page as fresh as the code."""

import ast
import re
from pathlib import Path

import pytest
from pointsman_compiler.catalogue import CATALOGUE, TOPICS, Entry
from pointsman_compiler.catalogue.page import render_page

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "compiler" / "pointsman_compiler"
CASES = Path(__file__).parent / "cases"
PAGE = REPOSITORY / "docs" / "problems.md"
CODE = re.compile(r"PM[0-9]{3}")


def emitted() -> set[str]:
    """Every code that stands as a text of its own anywhere in the compiler but in the catalogue."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "catalogue":
            constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
            found |= {value for value in constants if isinstance(value, str) and CODE.fullmatch(value)}
    return found


def test_every_code_that_the_compiler_can_say_is_in_the_catalogue_and_no_other() -> None:
    assert len(emitted()) > 80
    assert sorted(emitted()) == sorted(CATALOGUE)


def test_every_code_has_a_case_in_the_corpus() -> None:
    shown = {code for path in CASES.glob("*/expected.txt") for code in CODE.findall(path.read_text())}

    assert sorted(set(CATALOGUE) - shown) == []


def test_entries_stand_in_the_order_of_their_codes_and_once() -> None:
    codes = [entry.code for entries in TOPICS.values() for entry in entries]

    assert codes == sorted(codes)
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.code)
def test_an_entry_says_cause_and_remedy_in_sentences(entry: Entry) -> None:
    assert entry.title[0].islower() or not entry.title[1].islower()
    assert not entry.title.endswith(".")
    for text in (entry.cause, entry.remedy):
        assert text.endswith(".")
        assert "  " not in text


def test_the_page_is_what_would_be_written_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(CASES), "run: python -m pointsman_compiler.catalogue"
