"""What a figure says of its rounds, and a line of its goal."""

import pytest

from benchmarks.report import Amount, Figure, LeftOut, Line, Round, bound, factor, markdown, quiet


def a_figure(*rounds: tuple[float, float], goal: float | None = None) -> Figure:
    return Figure("relay", "µs", "a bare relay", [Round(*each) for each in rounds], goal)


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    figure = a_figure((10.0, 10.0), (30.0, 10.0), (24.0, 12.0))

    assert figure.ratio == 2.0
    assert figure.ours == 24.0
    assert figure.theirs == 10.0


def test_a_round_whose_yardstick_was_disturbed_does_not_count() -> None:
    figure = a_figure((10.0, 10.0), (10.0, 10.0), (40.0, 15.1))

    assert figure.ratio == 1.0
    assert "| 2 of 3 |" in markdown([figure], ["one machine"])


def test_a_round_at_the_very_bound_counts() -> None:
    assert len(a_figure((10.0, 10.0), (10.0, 10.0), (15.0, 15.0)).counted) == 3


def test_the_table_names_the_machine_and_each_figure() -> None:
    text = markdown([a_figure((10.0, 20.0))], ["4 × Some CPU", "Python 3.11"])

    assert "* 4 × Some CPU\n* Python 3.11\n" in text
    assert "| relay | – | 10.0 µs | 20.0 µs | 1/2.0 | shown | 1 of 1 | a bare relay |\n" in text


def test_a_goal_holds_up_to_its_bound_and_a_miss_says_by_how_much() -> None:
    assert a_figure((17.0, 10.0), goal=1.7).cells()[5] == "holds"
    assert a_figure((20.4, 10.0), goal=1.7).cells()[5] == "**missed** by 20 %"
    assert Amount("memory", "KiB", 4.0, 4.0).cells()[5] == "holds"


def test_a_figure_without_a_peer_says_why() -> None:
    assert "left out: nginx is not installed" in LeftOut("relay", 1.7, "nginx is not installed").cells()


def test_all_kinds_of_lines_fill_the_same_columns() -> None:
    kinds: list[Line] = [a_figure((1.0, 1.0)), Amount("memory", "KiB", 4.0), LeftOut("relay", None, "why")]

    assert len({len(line.cells()) for line in kinds}) == 1


@pytest.mark.parametrize(("goal", "said"), [(1 / 7, "≤ 1/7"), (1 / 1.2, "≤ 1/1.2"), (0.85, "≤ 0.85"), (2.0, "≤ 2")])
def test_goals_are_written_as_people_say_them(goal: float, said: str) -> None:
    assert bound(goal) == said


def test_small_ratios_are_written_as_fractions() -> None:
    assert factor(0.1) == "1/10.0"
    assert factor(1.25) == "1.25"


def test_a_busy_machine_is_told() -> None:
    figure = Figure("relay", "µs", "a bare relay", [Round(1.0, 1.0)], shares=[0.4, 0.5, 0.6])
    alone = Figure("relay", "µs", "a bare relay", [Round(1.0, 1.0)], shares=[0.99])

    assert quiet([figure]).startswith("under full load a relay had 50 % of its core: the machine is busy")
    assert quiet([alone]) == "under full load a relay had 99 % of its core"
