"""The same input gives the same bytes: whatever the hash seed, and in whatever order files came to be."""

from pathlib import Path

import pytest
from support.command import pointsman
from support.trees import lay_out

SITES = Path(__file__).parents[2] / "sites"


def compiled(root: Path, out: Path, seed: int) -> dict[str, bytes]:
    environment = {"PYTHONHASHSEED": str(seed)}
    done = pointsman("compile", root, "--out", out, "--sequence", "7", environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_bundles_do_not_depend_on_hash_seed_or_order_of_creation(tmp_path: Path) -> None:
    files = {path.relative_to(SITES).as_posix(): path.read_bytes() for path in SITES.rglob("*") if path.is_file()}
    lay_out(tmp_path / "forth", dict(sorted(files.items())))
    lay_out(tmp_path / "back", dict(sorted(files.items(), reverse=True)))

    first = compiled(tmp_path / "forth", tmp_path / "out1", 1)

    assert list(first) == ["hafen-depot.bundle", "lyon-part-dieu.bundle", "utrecht-kantoor.bundle"]
    assert compiled(tmp_path / "back", tmp_path / "out2", 2) == first
    assert compiled(tmp_path / "back", tmp_path / "out3", 3) == first


@pytest.mark.parametrize("form", ["text", "json"])
def test_problems_do_not_depend_on_the_hash_seed(form: str) -> None:
    root = Path(__file__).parent / "cases" / "shape-and-rules-both-run" / "sites"

    outputs = {
        pointsman("check", root, "--format", form, environment={"PYTHONHASHSEED": str(seed)}).stdout
        for seed in (1, 2, 3)
    }

    assert len(outputs) == 1
    assert "Mars/Olympus" in outputs.pop()
