"""Problems stand in one order, whatever the order in which they were found."""

from hypothesis import given
from hypothesis import strategies as st
from pointsman_compiler.pointer import pointer_of
from pointsman_compiler.problems import Place, Problem, sort_problems


def problem(file: str, line: int, column: int, code: str, message: str = "m") -> Problem:
    return Problem(code, "error", message, "h", Place(file, line, column, line, column + 1), "")


IN_ORDER = [
    problem("a.yaml", 2, 1, "PM300"),
    problem("a.yaml", 10, 1, "PM200"),
    problem("a.yaml", 10, 3, "PM100"),
    problem("a.yaml", 10, 3, "PM200", "a"),
    problem("a.yaml", 10, 3, "PM200", "b"),
    problem("b.yaml", 1, 1, "PM100"),
]


@given(st.permutations(IN_ORDER))
def test_the_order_is_file_line_column_code(shuffled: list[Problem]) -> None:
    assert sort_problems(shuffled) == IN_ORDER


def test_pointers_are_those_of_rfc_6901() -> None:
    assert pointer_of(()) == ""
    assert pointer_of(("badges", 0, "a/b~c")) == "/badges/0/a~1b~0c"
