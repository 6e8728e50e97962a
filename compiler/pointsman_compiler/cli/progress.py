"""A progress bar, only on a terminal and only where work takes longer than a second."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")

SHOWN_AFTER_S: Final = 1.0
"""Work that ends sooner needs no bar (ours to choose: the time after which people wonder)."""


def with_progress(
    items: Iterable[Item],
    total: int,
    title: str,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield `items`, and show on `stream` (default: stderr) how many of `total` have come."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield from items
        return
    began = clock()
    bar: Progress | None = None
    try:
        for done, item in enumerate(items, 1):
            if bar is None and clock() - began >= SHOWN_AFTER_S:
                bar = _started(stream, total, title)
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _started(stream: TextIO, total: int, title: str) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=Console(file=stream), transient=True)
    bar.add_task(title, total=total)
    bar.start()
    return bar
