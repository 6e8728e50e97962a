"""The progress bar: on a terminal only, and only where work takes longer than a second."""

import io
from collections.abc import Callable, Iterator

from pointsman_compiler.cli.progress import SHOWN_AFTER_S, with_progress


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def clock_of(seconds: float) -> Callable[[], float]:
    """A clock that goes on by `seconds` each time it is looked at."""
    times: Iterator[float] = (number * seconds for number in range(1_000_000))
    return lambda: next(times)


def test_slow_work_on_a_terminal_shows_how_far_it_is_and_clears_it() -> None:
    stream = Terminal()

    assert list(with_progress(range(5), 5, "sites", stream=stream, clock=clock_of(0.6))) == [0, 1, 2, 3, 4]

    assert "sites" in stream.getvalue()
    assert "/5" in stream.getvalue()


def test_quick_work_shows_nothing() -> None:
    stream = Terminal()

    assert list(with_progress(range(5), 5, "sites", stream=stream, clock=clock_of(SHOWN_AFTER_S / 10))) == [*range(5)]

    assert stream.getvalue() == ""


def test_a_pipe_gets_nothing_however_slow_the_work_is() -> None:
    stream = io.StringIO()

    assert list(with_progress(range(5), 5, "sites", stream=stream, clock=clock_of(60))) == [0, 1, 2, 3, 4]

    assert stream.getvalue() == ""
