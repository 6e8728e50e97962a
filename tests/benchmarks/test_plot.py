"""The picture of the goals table."""

from xml.etree import ElementTree

from benchmarks.plot import share_of_goal, svg
from benchmarks.report import Amount, Figure, LeftOut, Line, Round

HELD = Figure("held & sound", "µs", "a peer", [Round(5.0, 10.0)], 1.0)
MISSED = Amount("memory", "KiB", 40.0, 4.0)
NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


def bars(*lines: Line) -> list[tuple[str, float]]:
    picture = ElementTree.fromstring(svg(lines, "2 × Some CPU"))
    found = picture.findall("svg:rect[@class]", NAMESPACE)
    return [(bar.attrib["class"], float(bar.attrib["width"])) for bar in found]


def test_a_bar_is_as_long_as_its_figure_is_by_its_goal_and_says_whether_it_holds() -> None:
    (held, held_width), (missed, missed_width) = bars(HELD, MISSED)

    assert (held, missed) == ("holds", "missed")
    assert 0 < held_width < missed_width


def test_what_is_off_the_scale_ends_at_its_edge() -> None:
    (_, at_edge), (_, beyond) = bars(Amount("a", "KiB", 16.0, 1.0), Amount("b", "KiB", 1600.0, 1.0))

    assert at_edge == beyond


def test_lines_without_a_goal_or_a_figure_have_no_bar() -> None:
    assert share_of_goal(Amount("shown", "KiB", 1.0)) is None
    assert bars(Amount("shown", "KiB", 1.0), LeftOut("nginx", 1.7, "not installed")) == []
