"""The YAML subset: what it reads, and what it refuses, each with its own code, place and remedy."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.problems import Problem
from pointsman_compiler.yamlsubset.text import FAULTS_AT_MOST, LARGEST_FILE_BYTES


def data_of(text: str) -> Any:
    document = read_document("a.yaml", text.encode())
    assert isinstance(document, Document), document
    return document.data


def problems_of(raw: str | bytes) -> list[Problem]:
    found = read_document("a.yaml", raw.encode() if isinstance(raw, str) else raw)
    assert isinstance(found, list), found
    return found


def only_problem(raw: str | bytes) -> Problem:
    (problem,) = problems_of(raw)
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("30", 30),
        ("-1", -1),
        ("0", 0),
        ("9007199254740991", 2**53 - 1),
        ("30.5", 30.5),
        ("1.6", 1.6),
        ("ocpp1.6", "ocpp1.6"),
        ("0.0.0.0", "0.0.0.0"),
        ("04A2B1C3D4E580", "04A2B1C3D4E580"),
        ("wss://a.example:443/{{ site }}", "wss://a.example:443/{{ site }}"),
        ("'no'", "no"),
        ('"12:30"', "12:30"),
        ('"\\u00e9"', "é"),
        ("''", ""),
        ("Norway", "Norway"),
        ("{}", {}),
        ("[a, [1]]", ["a", [1]]),
    ],
)
def test_a_value_is_what_it_says_in_every_yaml(text: str, value: Any) -> None:
    read = data_of(f"key: {text}\n")["key"]

    assert read == value
    assert type(read) is type(value)


def test_whole_numbers_and_fractions_stay_apart() -> None:
    assert [type(item) for item in data_of("[30, 30.0, true]")] == [int, float, bool]


def test_block_texts_and_a_marked_document_are_read() -> None:
    assert data_of("---\na: |\n  x\n  y\nb: >-\n  x\n  y\n...\n") == {"a": "x\ny\n", "b": "x y"}


def test_a_byte_order_mark_and_windows_line_ends_do_not_count() -> None:
    found = read_document("a.yaml", b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")

    assert isinstance(found, Document)
    assert found.data == {"a": 1, "b": 2}
    assert found.place_of(("b",)).line == 2


def test_until_takes_a_bare_date_as_text() -> None:
    assert data_of("badges: [{badge: A1, until: 2027-01-31}]")["badges"][0]["until"] == "2027-01-31"


REFUSED = [
    # (text, code, line, column, path)
    ("", "PM104", 1, 1, ""),
    ("# only a comment\n", "PM104", 2, 1, ""),
    ("---\n", "PM104", 2, 1, ""),
    ("a: {b: c}}\n", "PM101", 1, 10, ""),
    ("a: b: c\n", "PM101", 1, 5, ""),
    ("a: 1\nb\nc: 2\n", "PM101", 2, 1, ""),
    ("a: [1, 2\nb: 3\n", "PM101", 1, 4, ""),
    ("a: 'x\n", "PM101", 1, 4, ""),
    ("a: @x\n", "PM101", 1, 4, ""),
    ('a: "\\q"\n', "PM101", 1, 5, ""),
    ("a: \xe9".encode("latin-1"), "PM102", 1, 4, ""),
    (b"a: 1\nb: \xff\xfe", "PM102", 2, 4, ""),
    ("a: 1\n".encode("utf-16"), "PM102", 1, 1, ""),
    ("a: 1\na: 2\n", "PM105", 2, 1, "/a"),
    ("l:\n- {x: 1, y9: 2, x: 3}\n", "PM105", 2, 17, "/l/0/x"),
    ("a: &x 1\n", "PM106", 1, 4, "/a"),
    ("a: &x {b: 1}\n", "PM106", 1, 4, "/a"),
    ("a: *x\n", "PM107", 1, 4, "/a"),
    ("a: {<<: {b: 1}}\n", "PM108", 1, 5, "/a/<<"),
    ("a: !!str 30\n", "PM109", 1, 4, "/a"),
    ("a: !secret x\n", "PM109", 1, 4, "/a"),
    ("a: !e!secret x\n", "PM109", 1, 4, ""),
    ("a: !!python/object:os.system {}\n", "PM109", 1, 4, "/a"),
    ("a: 1\n---\nb: 2\n", "PM110", 2, 1, ""),
    ("%YAML 1.2\n---\na: 1\n", "PM111", 1, 1, ""),
    ("%TAG ! tag:x,2000:\n---\na: 1\n", "PM111", 1, 1, ""),
    ("%YAML 3.0\n---\na: 1\n", "PM111", 1, 1, ""),
    ("%FOO bar\n---\na: 1\n", "PM111", 1, 5, ""),
    ("1: a\n", "PM113", 1, 1, "/1"),
    ("null: a\n", "PM113", 1, 1, "/null"),
    ("[a]: b\n", "PM113", 1, 1, ""),
    ("? {a: b}\n: c\n", "PM113", 1, 3, ""),
    ("a: {{ site }}\n", "PM113", 1, 5, "/a"),
    ("a:\n\tb: 1\n", "PM114", 2, 1, ""),
    ("a:\n  \tb: 1\n", "PM114", 2, 3, ""),
    ("a: x\u202ey\n", "PM115", 1, 5, ""),
    ("a: x # \u2066\n", "PM115", 1, 8, ""),
    ('a: "\\u202E"\n', "PM115", 1, 4, "/a"),
    ("a: x\x00y\n", "PM116", 1, 5, ""),
    ("a: x\x1b[31m\n", "PM116", 1, 5, ""),
    ("a: x\x85y\n", "PM116", 1, 5, ""),
    ("a: x\u2028y\n", "PM116", 1, 5, ""),
    ('a: "\\0"\n', "PM116", 1, 4, "/a"),
    ("a: " + "[" * 20, "PM117", 1, 23, "/a" + "/0" * 19),
    ("a: 9007199254740992\n", "PM118", 1, 4, "/a"),
    ("a: " + "9" * 5000, "PM118", 1, 4, "/a"),
    ("a:\nb: 1\n", "PM119", 1, 3, "/a"),
    ("a: 2027-01-31\n", "PM120", 1, 4, "/a"),
    ("until: 2027-1-31\n", "PM120", 1, 8, "/until"),
    ("until: 2027-01-31T10:00:00Z\n", "PM120", 1, 8, "/until"),
    ("2027-01-31: a\n", "PM120", 1, 1, ""),
]


@pytest.mark.parametrize(("raw", "code", "line", "column", "path"), REFUSED)
def test_what_is_refused_has_its_code_and_place(raw: str | bytes, code: str, line: int, column: int, path: str) -> None:
    problem = only_problem(raw)

    assert (problem.code, problem.place.line, problem.place.column) == (code, line, column)
    assert problem.path == path
    assert problem.message
    assert problem.help
    assert problem.severity == "error"


AMBIGUOUS = [
    *["y", "N", "yes", "No", "on", "OFF", "True", "FALSE", "~", "Null"],
    *["0123", "-07", "0o17", "0x1F", "0b11", "12:30:45", "1:30", "1_000", "+12", "1e5", "04E58012", "1.5E3"],
    *[".5", "1.", "+.5", ".inf", "-.INF", ".NaN", "="],
]


@pytest.mark.parametrize("written", AMBIGUOUS)
def test_what_another_yaml_reads_otherwise_wants_quotes(written: str) -> None:
    problem = only_problem(f"a: {written}\n")

    assert (problem.code, problem.place.column, problem.path) == ("PM112", 4, "/a")
    assert f'"{written}"' in problem.help
    assert data_of(f'a: "{written}"\n') == {"a": written}


@pytest.mark.parametrize("raw", ["*a- version: 1\n- site: one\n", "a: 1\nb:\n*a  c:\n    d: 1\n", "*a : \nb: 1\n"])
def test_an_alias_in_the_place_of_a_key_is_refused_whatever_follows(raw: str) -> None:
    assert "PM107" in {problem.code for problem in problems_of(raw)}


def test_an_ambiguous_key_wants_quotes_as_well() -> None:
    assert only_problem("no: 1\n").code == "PM112"


def test_a_duplicate_key_shows_both_places() -> None:
    problem = only_problem("stations:\n  A: {}\n  B: {}\n  A: {}\n")

    (first,) = problem.related
    assert (problem.place.line, first.place.line) == (4, 2)
    assert "twice" in problem.message


def test_the_same_key_in_two_maps_is_no_duplicate() -> None:
    assert data_of("a: {x: 1}\nb: {x: 1, a: 2}\n") == {"a": {"x": 1}, "b": {"x": 1, "a": 2}}


def test_all_that_leaves_the_data_readable_is_shown_at_once() -> None:
    found = problems_of("a: no\nb: !!str x\na: 1\nc: &d 2\ne: [2027-01-31, on]\n")

    assert [(problem.code, problem.place.line) for problem in found] == [
        ("PM112", 1),
        ("PM109", 2),
        ("PM105", 3),
        ("PM106", 4),
        ("PM120", 5),
        ("PM112", 5),
    ]
    assert found[-1].path == "/e/1"


def test_what_is_not_closed_is_shown_where_it_opens_and_where_that_was_noticed() -> None:
    problem = only_problem("a: {b: 1,\n  c: 2\n")

    assert (problem.place.line, problem.place.column) == (1, 4)
    assert [related.place.line for related in problem.related] == [3]


def test_twenty_levels_are_read() -> None:
    assert data_of("a: " + "[" * 19 + "]" * 19)


def test_four_mib_are_read_and_one_byte_more_is_not() -> None:
    line = b"- {badge: AAAAAAAA, authorized: true}\n"
    whole = line * (LARGEST_FILE_BYTES // len(line))
    padded = whole + b"#" * (LARGEST_FILE_BYTES - len(whole))

    assert isinstance(read_document("a.yaml", padded), Document)
    assert only_problem(padded + b"#").code == "PM103"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 200_000,
        b"{" * 200_000,
        b"- " * 200_000,
        b"? " * 200_000,
        b"a: &a\n" * 1000,
        b"\x00" * 200_000,
        b"\xff" * 200_000,
        b"\t" * 200_000 + b"a",
        b"a: no\n" * 200_000,
        b"'" * 200_001,
        b"a: " + b"1" * 1_000_000,
        b"a" * 1_000_000 + b": 1",
        b"!" * 200_000,
        b"*" * 200_000,
        b"%" * 200_000,
    ],
    ids=lambda raw: repr(raw[:8]),
)
def test_hostile_input_gives_a_bounded_number_of_problems(raw: bytes) -> None:
    found = problems_of(raw)

    assert 1 <= len(found) <= 2 * (FAULTS_AT_MOST + 1)
    assert all(len(problem.message) + len(problem.help) < 500 for problem in found)


def check_outcome(raw: bytes) -> None:
    found = read_document("a.yaml", raw)
    if isinstance(found, Document):
        assert found.place_of(()).line >= 1
        return
    assert found
    for problem in found:
        place = problem.place
        assert place.file == "a.yaml"
        assert (1, 1) <= (place.line, place.column) <= (place.end_line, place.end_column)
        assert problem.code.startswith("PM1")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_problems_with_a_place(raw: bytes) -> None:
    check_outcome(raw)


@given(st.text(alphabet="ab01:-[]{},'\"#&*!%?|>@`~<=. \n\t\\u\u202e\r", max_size=60))
def test_any_yaml_like_text_gives_a_document_or_problems_with_a_place(text: str) -> None:
    check_outcome(text.encode())


SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text("abc:/{ }#é'\"\\", max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~é", max_size=4), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    """JSON is within the subset: YAML 1.2, section 1.3."""
    assert data_of(json.dumps(value, ensure_ascii=False)) == value
