"""Every key and value has a place, and what does not exist has that of its nearest ancestor."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.document import Document, Part, Path, read_document

TEXT = """\
# a comment
site: lyon
supervisions:
  acme:
    url: "wss://a.example/é😀" # the URL
    protocols: [ocpp2.0.1, ocpp1.6]
groups: {staff: {operator: local,
  stations: [A, B]}}
badges:
- badge: A1
  vip: true

- {file: x.csv}
last: {}
"""


def document(text: str = TEXT) -> Document:
    found = read_document("fr/lyon.yaml", text.encode())
    assert isinstance(found, Document)
    return found


def pointed_at(path: Path, part: Part = "value") -> str:
    """What the place of `path` covers in the text, its lines joined by |."""
    place = document().place_of(path, part)
    lines = TEXT.splitlines()[place.line - 1 : place.end_line]
    lines[-1] = lines[-1][: place.end_column - 1]
    lines[0] = lines[0][place.column - 1 :]
    return "|".join(lines)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("site",), "site", "lyon"),
        (("supervisions", "acme", "url"), "url", '"wss://a.example/é😀"'),
        (("supervisions", "acme", "protocols"), "protocols", "[ocpp2.0.1, ocpp1.6]"),
        (("groups", "staff", "stations"), "stations", "[A, B]"),
        (("groups", "staff"), "staff", "{operator: local,|  stations: [A, B]}"),
        (("badges", 0, "vip"), "vip", "true"),
        (("badges", 1, "file"), "file", "x.csv"),
        (("last",), "last", "{}"),
    ],
)
def test_keys_and_values_have_places(path: Path, key: str, value: str) -> None:
    assert pointed_at(path, "key") == key
    assert pointed_at(path) == value


def test_an_item_of_a_list_has_no_key_and_stands_for_itself() -> None:
    assert pointed_at(("groups", "staff", "stations", 1), "key") == "B"
    assert pointed_at(("badges", 1), "key") == "{file: x.csv}"


def test_a_block_ends_with_its_last_word_not_with_the_next_key() -> None:
    assert pointed_at(("badges", 0)) == "badge: A1|  vip: true"
    assert document().place_of(("supervisions", "acme")).end_line == 6


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("timeZone",), "site"),
        (("supervisions", "acme", "password", "secret"), "acme"),
        (("groups", "visitors"), "groups"),
        (("badges", 7), "badges"),
        (("site", "deeper"), "site"),
        (("badges", 0, "until"), "badge"),
    ],
)
def test_what_is_not_there_has_the_place_of_the_nearest_ancestor(path: Path, shown: str) -> None:
    assert pointed_at(path) == shown
    assert pointed_at(path, "key") == shown


def test_a_problem_takes_place_and_pointer_from_its_path() -> None:
    problem = document().problem("PM999", "m", "h", ("supervisions", "acme", "url"), severity="warning", part="key")

    assert (problem.place.file, problem.place.line, problem.place.column) == ("fr/lyon.yaml", 5, 5)
    assert (problem.path, problem.severity, problem.related) == ("/supervisions/acme/url", "warning", ())


def paths_of(data: Any, path: Path = ()) -> list[Path]:
    if isinstance(data, dict):
        return [path, *(found for key, item in data.items() for found in paths_of(item, (*path, key)))]
    if isinstance(data, list):
        return [path, *(found for position, item in enumerate(data) for found in paths_of(item, (*path, position)))]
    return [path]


KEYS = st.text("abc", min_size=1, max_size=3)
VALUES = st.recursive(
    st.integers(0, 999),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), st.booleans())
def test_the_place_of_a_number_covers_that_number(data: dict[str, Any], is_flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=is_flow)
    found = document(text)

    for path in paths_of(found.data):
        place = found.place_of(path)
        value: Any = found.data
        for step in path:
            value = value[step]
        if isinstance(value, int):
            line = text.splitlines()[place.line - 1]
            assert line[place.column - 1 : place.end_column - 1] == str(value)
