"""Reports: the text for people, whose snippets point at the very words, and the JSON that programs rely on."""

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.problems import Place, Problem, Related, Severity
from pointsman_compiler.report.json import render_json
from pointsman_compiler.report.text import render_text

TEXT = "version: 1\nsupervisions:\n  acme: {pingInterval: 61}\n"
PING = Place("fr/lyon.yaml", 3, 24, 3, 26)


def problem(place: Place = PING, message: str = "too long", severity: Severity = "error", **more: str) -> Problem:
    return Problem(
        more.get("code", "PM205"), severity, message, more.get("help", "1 to 60"), place, "/supervisions/acme"
    )


def rendered(*problems: Problem, text: str | None = TEXT, width: int = 80, colour: bool = False) -> str:
    return render_text(problems, lambda _: text, width=width, colour=colour)


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in line)


def test_a_problem_shows_place_code_message_snippet_caret_and_help() -> None:
    assert rendered(problem()) == (
        "fr/lyon.yaml:3:24: error[PM205] too long\n"
        "  3 |   acme: {pingInterval: 61}\n"
        "    |                        ^^\n"
        "  help: 1 to 60\n"
    )


def test_nothing_is_said_of_no_problem() -> None:
    assert rendered() == ""


def test_related_places_have_snippets_of_their_own() -> None:
    twice = Problem(
        "PM105",
        "error",
        "twice",
        "keep one",
        PING,
        "",
        (Related("first written here", Place("fr/lyon.yaml", 1, 1, 1, 8)),),
    )

    assert "  fr/lyon.yaml:1:1: first written here\n  1 | version: 1\n    | ^^^^^^^\n" in rendered(twice)


def test_without_a_text_there_is_no_snippet() -> None:
    assert rendered(problem(), text=None) == "fr/lyon.yaml:3:24: error[PM205] too long\n  help: 1 to 60\n"


def test_a_place_beyond_the_text_is_no_error() -> None:
    assert "fr/lyon.yaml:99:7" in rendered(problem(Place("fr/lyon.yaml", 99, 7, 99, 9)))
    assert "^" in rendered(problem(Place("fr/lyon.yaml", 1, 70, 1, 75)))


def test_a_place_of_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    shown = rendered(problem(Place("fr/lyon.yaml", 2, 1, 3, 27))).splitlines()

    assert shown[1:3] == ["  2 | supervisions:", "    | ^^^^^^^^^^^^^"]


def test_problems_stand_in_their_order() -> None:
    shown = rendered(problem(), problem(Place("fr/lyon.yaml", 1, 1, 1, 8)), problem(Place("a.yaml", 9, 1, 9, 1)))

    assert re.findall(r"^\S+:\d+:\d+", shown, re.MULTILINE) == ["a.yaml:9:1", "fr/lyon.yaml:1:1", "fr/lyon.yaml:3:24"]


def test_colour_stands_only_where_it_is_asked_for_and_changes_no_word() -> None:
    both = problem(), problem(severity="warning", message="a warning of many words " * 6)

    coloured = rendered(*both, colour=True)

    assert "\x1b" not in rendered(*both)
    assert "\x1b[31m" in coloured
    assert "\x1b[33m" in coloured
    assert re.sub(r"\x1b\[[0-9]+m", "", coloured) == rendered(*both)


def test_a_file_cannot_control_the_terminal() -> None:
    shown = rendered(problem(message="bad \x1b[2J\x07"), text="a\nb\n  acme: \x1b[2J\u202ex\n")

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("before", [0, 10, 60, 200, 5000])
def test_the_caret_stays_under_its_words_in_a_line_of_any_length(before: int) -> None:
    line = "a" * before + "HERE" + "b" * 500
    place = Place("a.yaml", 1, before + 1, 1, before + 5)

    _, shown, caret, _ = rendered(problem(place), text=line).splitlines()

    assert shown[caret.index("^") : caret.rindex("^") + 1] == "HERE"
    assert len(shown) <= 80


LINES = st.text(st.sampled_from("ab {}:é日本\t🚗\u0301"), min_size=1, max_size=200)


@given(LINES, st.data(), st.integers(40, 100))
def test_snippets_keep_to_the_width_and_carets_to_the_snippet(line: str, data: st.DataObject, width: int) -> None:
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    place = Place("a.yaml", 1, start + 1, 1, end + 1)

    shown = rendered(problem(place), text=line, width=width).splitlines()

    assert all(columns(part) <= width for part in shown)
    assert not line.strip() or "^" in shown[2]


def test_long_messages_are_wrapped_between_words() -> None:
    shown = rendered(problem(message="word " * 60, help="other " * 60))

    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("word") == 60


def test_json_has_the_keys_of_the_contract() -> None:
    warning = problem(Place("a.yaml", 1, 2, 3, 4), severity="warning", message="é", code="PM310")

    report = json.loads(render_json([problem(), warning], sites=2))

    assert report == {
        "problems": [
            {
                "code": "PM310",
                "severity": "warning",
                "message": "é",
                "help": "1 to 60",
                "file": "a.yaml",
                "line": 1,
                "column": 2,
                "endLine": 3,
                "endColumn": 4,
                "path": "/supervisions/acme",
            },
            {
                "code": "PM205",
                "severity": "error",
                "message": "too long",
                "help": "1 to 60",
                "file": "fr/lyon.yaml",
                "line": 3,
                "column": 24,
                "endLine": 3,
                "endColumn": 26,
                "path": "/supervisions/acme",
            },
        ],
        "sites": 2,
        "errors": 1,
        "warnings": 1,
    }


def test_json_of_no_problem_counts_the_sites() -> None:
    assert json.loads(render_json([], sites=3)) == {"problems": [], "sites": 3, "errors": 0, "warnings": 0}
