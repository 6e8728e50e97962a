"""What `make fuzz` searches for long is held for a moment here, over the same inputs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import TARGETS, hold_what_is_promised, valid_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_any_file_gives_problems_with_a_place_or_a_bundle(target: str, folder: Path, data: st.DataObject) -> None:
    hold_what_is_promised(data.draw(TARGETS[target]), folder)


def test_the_files_that_are_mutated_are_real_ones(tmp_path: Path) -> None:
    sound = [text for text in valid_files() if not hold_what_is_promised(text.encode(), tmp_path)]

    assert len(valid_files()) > 150
    assert sound


def test_fuzzing_says_how_much_it_tried() -> None:
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-m", "support.fuzzing", "--minutes", "0.02", "--seed", "1"]

    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tests)}, capture_output=True, text=True, timeout=50, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count(" inputs, ") == len(TARGETS)
