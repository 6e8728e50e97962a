"""Files replaced whole, one or many: nothing is left half done."""

from pathlib import Path

import pytest
from pointsman_compiler.writing import Staging, replace_file


class Interrupted(Exception):
    """Stands for whatever ends the work."""


def stage_and_fail(out: Path) -> None:
    with Staging(out) as staging:
        (staging.folder / "a").write_text("new")
        raise Interrupted


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    replace_file(tmp_path / "a", b"new")

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(OSError, match="a"):
        replace_file(tmp_path / "a", b"new")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_staged_files_come_into_place_when_asked_and_the_rest_goes(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with Staging(out) as staging:
        for name in ("a", "b", "c"):
            (staging.folder / name).write_text(name)
        assert [path for path in out.iterdir() if path != staging.folder] == []
        staging.put_into_place(["a", "b"])

    assert sorted((path.name, path.read_text()) for path in out.iterdir()) == [("a", "a"), ("b", "b")]


def test_interrupted_staging_leaves_what_was_there_and_no_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    for out in (tmp_path / "out", tmp_path / "deep" / "new"):
        with pytest.raises(Interrupted):
            stage_and_fail(out)

    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("a", "old")]
    assert not (tmp_path / "deep").exists()
