"""The fleet that speed is measured with is a fleet that people could have."""

from datetime import UTC, datetime
from pathlib import Path

from pointsman_compiler.build import check
from pointsman_compiler.sources import SourceTree

from benchmarks.fleet import write_fleet

AT = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_made_up_fleet_has_every_mode_and_no_problem(tmp_path: Path) -> None:
    write_fleet(tmp_path, 105, 20)

    result = check(SourceTree(tmp_path), AT)

    assert result.problems == ()
    assert len(result.resolved) == 105
    assert {site.config.mode for site in result.resolved} == {"local", "unique", "multiple"}
    assert {len(site.config.stations) for site in result.resolved} == {20}


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    write_fleet(tmp_path / "a", 3, 5)
    write_fleet(tmp_path / "b", 3, 5)

    first, second = (
        {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.yaml")}
        for root in (tmp_path / "a", tmp_path / "b")
    )
    assert len(first) == 4
    assert first == second
