"""`--watch`: a table that is shown again and again, until Ctrl-C."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

watch_option = click.option("--watch", "is_watched", is_flag=True, help="Show it anew every 2 s, until Ctrl-C.")

EVERY_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J\x1b[3J"
_RULE: Final = "-" * 80


def watch(show: Callable[[], None]) -> None:
    """Call `show` at intervals: on a terminal in the place of what was there, else below it, after a rule."""
    is_first = True
    with until_interrupted():
        while True:
            if sys.stdout.isatty():
                click.echo(_CLEAR, nl=False)
            elif not is_first:
                click.echo(_RULE)
            is_first = False
            show()
            sys.stdout.flush()
            time.sleep(EVERY_S)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Ctrl-C, and a reader of our output that has seen enough, are how a watch ends well."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
        sys.exit(0)
