"""The quick reader says what the thorough one says, or nothing: what it takes is neither refused nor read otherwise."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pointsman_compiler.yamlsubset.quick import NotPlain, read_plain
from pointsman_compiler.yamlsubset.reader import DEEPEST, read_events
from pointsman_compiler.yamlsubset.text import decode_text

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "sites").rglob("*.yaml"))
CASES = sorted((ROOT / "tests" / "compiler" / "cases").rglob("*.yaml"))
LYON = (ROOT / "sites" / "fr" / "lyon-part-dieu.yaml").read_text()

SCALARS = [
    "a",
    "b",
    "until",
    "<<",
    "no",
    "0123",
    "1",
    "1.5",
    "-7",
    "2027-01-31",
    "12:30",
    "~",
    "null",
    "true",
    "x" * 70,
]
QUOTED = ["''", '"x"', '"\\u202e"', '"\\t"', "é", "|\n  x"]
MARKS = ["*a", "&a", "!!str", "--- ", "...", "[", "]", "{", "}", "[]", "{}", "?", ": ", "- ", ", ", " #", "%YAML 1.2"]
BREAKS = ["\n", "\n  ", "\n- "]
WORDS = st.sampled_from([*SCALARS, *QUOTED, *MARKS, *BREAKS])
SOUP = st.lists(WORDS, max_size=14).map("".join)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A right file with a stretch of it replaced by something else."""
    start = draw(st.integers(0, len(LYON)))
    end = draw(st.integers(start, min(len(LYON), start + 40)))
    return LYON[:start] + draw(SOUP) + LYON[end:]


def agree(text: str) -> bool:
    """Hold both readers against each other; return whether the quick one took `text`."""
    try:
        quick = read_plain(text)
    except NotPlain:
        return False
    thorough, problems = read_events("x.yaml", text)
    assert problems == []
    assert exact(quick) == exact(thorough)
    return True


def exact(value: Any) -> str:
    """A form in which 1, 1.0 and true differ, and so do other orders of keys."""
    return repr(value)


@settings(max_examples=400)
@given(SOUP)
@example("- " * (DEEPEST + 1) + "a")
@example("until: 2027-01-31")
@example("other: 2027-01-31")
@example("a: 1\na: 2\n")
@example("2027-01-31: 1")
def test_any_text_is_read_as_by_the_thorough_reader_or_not_at_all(text: str) -> None:
    agree(text)


@settings(max_examples=400)
@given(mutated())
def test_a_spoilt_file_is_read_as_by_the_thorough_reader_or_not_at_all(text: str) -> None:
    agree(text)


@pytest.mark.parametrize("path", CASES, ids=lambda path: "-".join(path.parts[-4:]))
def test_the_corpus_is_read_as_by_the_thorough_reader_or_not_at_all(path: Path) -> None:
    text = decode_text(path.name, path.read_bytes())
    if isinstance(text, str):
        taken = agree(text)
        assert taken or read_events(path.name, text)[1], "a right file is read quickly"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_example_fleet_is_read_quickly(path: Path) -> None:
    assert agree(path.read_text())


def test_as_many_levels_are_taken_as_the_thorough_reader_takes() -> None:
    deepest = "[" * DEEPEST + "]" * DEEPEST

    assert agree(deepest)
    assert not agree(f"[{deepest}]")
    assert not agree("[" * 100_000)
