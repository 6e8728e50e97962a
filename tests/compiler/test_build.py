"""The composition: whatever the files say, a check ends with problems that have a place, and never with a crash."""

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman_compiler.build import check
from pointsman_compiler.sources import SourceError, SourceTree
from support.trees import UNIQUE, lay_out

AT = datetime(2026, 11, 22, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[2] / "sites"
LYON = EXAMPLES / "fr" / "lyon-part-dieu.yaml"
FLEET = EXAMPLES / "fleet.yaml"

Steps = tuple[str | int, ...]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.just(30.5),
    st.sampled_from(["", "local", "all", "each", "none", "{station}", "{{ site }}", "{{ x", "-----BEGIN", "../x.pem"]),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=5,
)


def plain(path: Path) -> Any:
    return json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))


def paths_of(value: Any, above: Steps = ()) -> list[Steps]:
    """Every path in `value`, the deep ones too."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [above, *(path for step, item in items for path in paths_of(item, (*above, step)))]


def replaced(value: Any, path: Sequence[str | int], leaf: Any) -> Any:
    if not path:
        return leaf
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        return [replaced(item, rest, leaf) if index == step else item for index, item in enumerate(value)]
    return {key: replaced(item, rest, leaf) if key == step else item for key, item in value.items()}


SITE_DATA, FLEET_DATA = plain(LYON), plain(FLEET)


def check_data(site: Any, fleet: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, str | bytes] = {
            "fr/lyon-part-dieu.yaml": json.dumps(site),
            "fleet.yaml": json.dumps(fleet),
            "fr/badges/lyon-staff.csv": (LYON.parent / "badges" / "lyon-staff.csv").read_bytes(),
            "certificates/demo-root.pem": (EXAMPLES / "certificates" / "demo-root.pem").read_bytes(),
        }
        result = check(lay_out(Path(folder), files), AT)
    assert len(result.resolved) == (0 if result.errors else 1)
    assert all(problem.code != "PM390" for problem in result.problems), result.problems


@settings(max_examples=300)
@given(st.sampled_from(paths_of(SITE_DATA)), values)
def test_any_value_anywhere_in_a_site_gives_problems_or_a_bundle(path: Steps, value: Any) -> None:
    check_data(replaced(SITE_DATA, path, value), FLEET_DATA)


@settings(max_examples=150)
@given(st.sampled_from(paths_of(FLEET_DATA)), values)
def test_any_value_anywhere_in_the_fleet_gives_problems_or_a_bundle(path: Steps, value: Any) -> None:
    check_data(SITE_DATA, replaced(FLEET_DATA, path, value))


def test_the_example_fleet_compiles_without_a_warning() -> None:
    result = check(SourceTree(EXAMPLES), AT)

    assert result.problems == ()
    assert [site.site for site in result.resolved] == ["hafen-depot", "lyon-part-dieu", "utrecht-kantoor"]


def test_the_example_fleet_is_valid_for_fifty_years() -> None:
    assert check(SourceTree(EXAMPLES), datetime(2076, 1, 1, tzinfo=UTC)).problems == ()


def test_a_missing_root_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        check(SourceTree(tmp_path / "nowhere"), AT)


def test_chosen_sites_are_held_against_all_others(tmp_path: Path) -> None:
    other = UNIQUE.replace("site: one", "site: two")
    tree = lay_out(tmp_path, {"one.yaml": UNIQUE, "two.yaml": other, "bad.yaml": "version: ["})

    result = check(tree, AT, {"two"})

    assert [(problem.code, problem.place.file) for problem in result.problems] == [("PM400", "two.yaml")]
    assert result.sites == ("two",)


def test_an_error_in_the_fleets_file_keeps_every_site_from_being_compiled(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, {"one.yaml": UNIQUE, "fleet.yaml": "version: 1\npolicy: {requireTls: 3}\n"})

    result = check(tree, AT)

    assert [problem.place.file for problem in result.problems] == ["fleet.yaml"]
    assert result.resolved == ()


def test_a_warning_keeps_no_site_from_being_compiled(tmp_path: Path) -> None:
    result = check(lay_out(tmp_path, {"one.yaml": UNIQUE.replace("wss:", "ws:")}), AT)

    assert (result.errors, result.warnings, len(result.resolved)) == (0, 1, 1)


def test_an_unreadable_fleet_file_is_a_problem(tmp_path: Path) -> None:
    tree = lay_out(tmp_path, {"one.yaml": UNIQUE})
    (tmp_path / "fleet.yaml").symlink_to("/etc/hostname")

    result = check(tree, AT)

    assert [problem.place.file for problem in result.problems] == ["fleet.yaml"]
    assert result.resolved == ()
