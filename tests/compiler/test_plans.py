"""The corpus of changes: each folder of `plans/` has a sites folder `before`, one `after`, and what the plan says.

To add one, add a folder with both, run `REGENERATE=1 pytest tests/compiler/test_plans.py` and read `expected.txt` as a
reviewer would. Each side has twins (`support.twins`) that say the same in other words: nothing may change there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pointsman_compiler.plan.downgrades import DOWNGRADES
from pointsman_compiler.plan.fates import Kind as FateKind
from pointsman_compiler.plan.fleetplan import Plan
from pointsman_compiler.plan.risks import RISKS
from pointsman_compiler.plan.siteplan import Change
from pointsman_compiler.planning import Wish, make_plan
from pointsman_compiler.report.plan.text import render_text
from pointsman_compiler.stores.folder import Folder
from pointsman_schema.changes import ListenerKind
from support.recorded import recorded
from support.trees import lay_out
from support.twins import Files, files_of, in_other_order, spelt_out

PLANS = sorted(path for path in (Path(__file__).parent / "plans").iterdir() if (path / "after").is_dir())
AT = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("before", "after")
BROKEN = ("after-does-not-compile", "before-did-not-compile", "site-that-did-not-compile-goes")


def plan_of(before: Path, after: Path, names: tuple[str, str] = NAMES) -> Plan:
    return make_plan(Folder(before), Folder(after), names, Wish(AT, locks_all=True), lambda found, _: iter(found))


def fates(plan: Plan) -> set[tuple[str, str, str | None, str | None]]:
    """What becomes of each station, whichever line it is that makes it so."""
    every = (fate for site in plan.sites for fate in site.fates)
    return {(station, fate.kind, fate.before, fate.after) for fate in every for station in fate.stations}


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case.name)
def test_a_change_has_the_expected_consequences(case: Path) -> None:
    found = render_text(plan_of(case / "before", case / "after"))

    assert found == recorded(case / "expected.txt", found)


@pytest.mark.parametrize("twin", [in_other_order, spelt_out])
@pytest.mark.parametrize("side", NAMES)
@pytest.mark.parametrize("case", PLANS, ids=lambda case: case.name)
def test_the_same_in_other_words_is_no_change(
    case: Path, side: str, twin: Callable[[Files], Files], tmp_path: Path
) -> None:
    files = files_of(case / side)
    lay_out(tmp_path, twin(files))

    found = plan_of(case / side, tmp_path)

    if (side == "after" and case.name in BROKEN[:1]) or (side == "before" and case.name in BROKEN[1:]):
        assert found.broken
        return
    assert (found.changed, found.problems) == ((), ())
    assert found.risks == ("risk/none",)
    assert render_text(found).startswith("No change")


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case.name)
def test_what_a_change_does_does_not_depend_on_how_it_is_written(case: Path, tmp_path: Path) -> None:
    lay_out(tmp_path, in_other_order(files_of(case / "after")))

    written, otherwise = plan_of(case / "before", case / "after"), plan_of(case / "before", tmp_path)

    assert otherwise.lock == written.lock
    assert otherwise.risks == written.risks
    assert fates(otherwise) == fates(written)


def test_what_does_not_compile_has_no_label() -> None:
    case = next(case for case in PLANS if case.name == "after-does-not-compile")

    assert plan_of(case / "before", case / "after").risks == ()


def test_the_corpus_has_every_consequence_and_every_label() -> None:
    plans = [plan_of(case / "before", case / "after") for case in PLANS]
    sites = [site for plan in plans for site in plan.sites]

    assert len(PLANS) >= 40
    assert {risk for plan in plans for risk in plan.risks} == set(RISKS)
    assert {fate.kind for site in sites for fate in site.fates} == set(get_args(FateKind))
    assert {site.change for site in sites} == set(get_args(Change))
    assert {kind for site in sites for kind in site.listeners.values()} == set(get_args(ListenerKind))
    downgrades = [
        *(one for site in sites for one in site.downgrades),
        *(one for plan in plans for one in plan.loosened),
    ]
    assert {one.kind for one in downgrades} == set(DOWNGRADES)
    assert any(site.unusual for site in sites)
    assert any(site.badges.gained and site.badges.lost and site.badges.changed for site in sites)
    assert any(site.gained and site.lost for site in sites)
    assert any(plan.fan_out for plan in plans)
    assert {"mode", "timeZone"} <= {change.path[0] for site in sites for change in site.changes}
