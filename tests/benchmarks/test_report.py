"""What a figure says of its rounds."""

from benchmarks.report import Figure, Round, markdown


def a_figure(*rounds: tuple[float, float]) -> Figure:
    return Figure("relay", "µs", "a bare relay", [Round(*each) for each in rounds])


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
    assert "| relay | 10.0 µs | 20.0 µs | 0.50 | 1 of 1 | a bare relay |\n" in text
