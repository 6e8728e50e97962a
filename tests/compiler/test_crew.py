"""Work over many files: in order, whatever the number of processes, and never a silent loss."""

import hashlib
import os
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pointsman_compiler.crew import FILES_A_PROCESS, cores, run
from pointsman_compiler.press import Order, Survey

FILES = [f"{number:04}" for number in range(FILES_A_PROCESS + 50)]


@dataclass(frozen=True)
class Echo:
    """Gives each file's name with the process that had it; `fails_at` raises, `dies_at` kills its process."""

    fails_at: str = ""
    dies_at: str = ""

    def begin(self) -> Callable[[str], tuple[str, int]]:
        return self._work

    def _work(self, file: str) -> tuple[str, int]:
        if file == self.fails_at:
            raise FileNotFoundError(2, "none", file)
        if file == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return file, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_files(jobs: int) -> None:
    found = list(run(Echo(), FILES, jobs))

    assert [file for file, _ in found] == FILES
    assert (os.getpid() in {process for _, process in found}) == (jobs == 1)


def test_few_files_are_done_in_this_process() -> None:
    assert {process for _, process in run(Echo(), FILES[:FILES_A_PROCESS], 2)} == {os.getpid()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_work_raises_is_raised_with_its_file(jobs: int) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        list(run(Echo(fails_at="0120"), FILES, jobs))

    assert caught.value.filename == "0120"


def test_a_killed_process_is_no_silent_loss() -> None:
    with pytest.raises(BrokenExecutor):
        list(run(Echo(dies_at="0120"), FILES, 2))


@dataclass(frozen=True)
class Mark:
    """Takes about a millisecond a file, and leaves a file of that name."""

    folder: Path

    def begin(self) -> Callable[[str], str]:
        return self._work

    def _work(self, file: str) -> str:
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2000)
        (self.folder / file).touch()
        return file


def test_a_run_that_is_closed_early_does_not_work_to_its_end(tmp_path: Path) -> None:
    files = [f"{number:04}" for number in range(4000)]
    results = run(Mark(tmp_path), files, 2)

    assert next(results) == "0000"
    results.close()

    assert len(list(tmp_path.iterdir())) < len(files) / 2


def test_a_survey_travels_to_processes_that_are_not_forked() -> None:
    order = Order(Path("out"), Path("staging"), ".bundle", 1, None, (b"k" * 32,), frozenset({"one"}))
    survey = Survey(Path("sites"), datetime(2026, 11, 22, tzinfo=UTC), order)

    assert pickle.loads(pickle.dumps(survey)) == survey


def test_there_is_a_core() -> None:
    assert cores() >= 1
