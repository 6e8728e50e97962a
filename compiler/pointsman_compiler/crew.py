"""The same work over many files, in this process or in several; results come in the order of the files."""

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

Result_co = TypeVar("Result_co", covariant=True)

FILES_A_PROCESS: Final = 100
"""Fewer are done sooner than a second process has begun."""
FILES_AT_ONCE: Final = 16
"""Files that a process takes at a time: few enough that all end together, enough that handing over costs nothing."""

_COLLECT_AFTER: Final = (50_000, 20, 100)
"""Garbage collector's thresholds: a judged site is thousands of values that die together and hold no cycles."""


class Recipe(Protocol[Result_co]):
    """What a process needs to begin: it travels to each by pickle."""

    def begin(self) -> Callable[[str], Result_co]:
        """Return the work on one file; called once a process."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(recipe: Recipe[Result_co], files: Sequence[str], jobs: int) -> Generator[Result_co]:
    """Yield the result for each of `files`, in their order, from at most `jobs` processes.

    What the work raises is raised here; concurrent.futures.BrokenExecutor says that a process was killed. Closed early,
    it ends the crew as soon as each process has done what it has at hand.
    """
    processes = min(jobs, -(-len(files) // FILES_A_PROCESS))
    if processes <= 1:
        with _collecting_seldom():
            yield from map(recipe.begin(), files)
        return
    # Only Linux forks safely; there the workers share what is imported.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(processes, context, _begin, (recipe,)) as pool:
        yield from pool.map(_work, files, chunksize=FILES_AT_ONCE)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


_at_work: list[Callable[[str], Any]] = []
"""The work of this process, where it is one of the crew."""


def _begin(recipe: Recipe[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends the crew
    gc.set_threshold(*_COLLECT_AFTER)
    _at_work.append(recipe.begin())


def _work(file: str) -> Any:
    return _at_work[0](file)
