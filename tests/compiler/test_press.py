"""Site by site gives what the whole tree at once gives: the same problems, the same bundles, and no more memory."""

import gc
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pointsman_compiler.build import Verdict, check, conclude
from pointsman_compiler.crew import run
from pointsman_compiler.emit import emit, make_bundle
from pointsman_compiler.judging import Judge
from pointsman_compiler.press import Made, Order, Seen, Survey
from pointsman_compiler.sources import SourceTree

from benchmarks.fleet import write_fleet

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if (path / "sites").is_dir())
AT = datetime(2026, 11, 22, tzinfo=UTC)


def surveyed(root: Path, order: Order | None = None) -> tuple[Verdict, list[Made]]:
    tree = SourceTree(root)
    files, names = tree.site_files()
    seen: Sequence[Seen] = list(run(Survey(root, AT, order), files, 1))
    verdict = conclude(tree, Judge(tree, AT).fleet, names, [one.report for one in seen])
    return verdict, [one.made for one in seen if one.made is not None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_the_same_verdict_and_bundles_either_way(case: Path, tmp_path: Path) -> None:
    tree = SourceTree(case / "sites")
    whole = check(tree, AT)

    verdict, made = surveyed(case / "sites", Order(tmp_path / "out", tmp_path, ".bundle", 7, "r"))

    assert (verdict.problems, verdict.sites, verdict.sound) == (whole.problems, whole.sites, whole.sound)
    if whole.errors:  # nothing is put into place
        return
    staged = {one.site: (tmp_path / f"{one.site}.bundle").read_bytes() for one in made}
    for site in whole.resolved:
        assert staged[site.site] == emit(make_bundle(site, tree, sequence=7, revision="r"))


def test_memory_grows_only_by_what_the_rules_over_the_fleet_need(tmp_path: Path) -> None:
    """A site's text is 3 kB and its values ten times that; of each, 20 identities and a few names may stay."""
    write_fleet(tmp_path / "sites", 400, 20)
    tree = SourceTree(tmp_path / "sites")
    files, _ = tree.site_files()
    see = Survey(tmp_path / "sites", AT).begin()
    tracemalloc.start()
    kept = [see(file) for file in files[:200]]  # caches are full, and of these sites
    before = traced_bytes()

    kept += [see(file) for file in files[200:]]

    grown = traced_bytes() - before
    tracemalloc.stop()
    assert len(kept) == 400
    assert grown / 200 < 6_000


def traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
