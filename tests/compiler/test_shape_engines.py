"""Two engines, one truth: jsonschema-rs decides, jsonschema explains, and each of them alone says the same."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman_compiler.document import Document, read_document
from pointsman_compiler.shape import Kind, find_shape_problems
from pointsman_compiler.shape_breaches import breaches_of, validator_of
from pointsman_compiler.shape_findings import EXPLAINED
from pointsman_schema.schemas import load_schema
from support.schemas import an_instance

FAST = {kind: jsonschema_rs.validator_for(load_schema(kind)) for kind in ("site", "fleet")}
SITES = Path(__file__).parents[2] / "sites"
KINDS: tuple[Kind, ...] = ("site", "fleet")


def steps_into(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in `value` but the root's."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*path, step)
        yield from steps_into(item, (*path, step))


SCALARS = [None, True, False, 0, 1, -1, 30, 61, 10**12, "", "any", "local", "all", "x y", "a\nb", "wss://a", "none"]
MAPS = [{}, {"secret": "a"}, {"": {}}, {"a b": 1}, {"local": {}}, {"typo": 1}]
ODD = st.sampled_from([*SCALARS, *MAPS, [], ["A"], ["A", "A"], [None]]).map(copy.deepcopy)


@st.composite
def mutated(draw: st.DrawFn, kind: Kind) -> Any:
    """What the schema admits, with up to three values or keys replaced, added or taken away."""
    data = copy.deepcopy(draw(an_instance(kind)))
    for _ in range(draw(st.integers(0, 3))):
        paths = list(steps_into(data))
        if not paths:
            break
        *way, step = draw(st.sampled_from(paths))
        parent = data
        for name in way:
            parent = parent[name]
        match draw(st.sampled_from(["replace", "delete", "rename"])):
            case "replace":
                parent[step] = draw(ODD)
            case "delete":
                del parent[step]
            case _ if isinstance(parent, dict):
                parent[draw(st.sampled_from(["typo", "url", "stations", "local", "a b", step]))] = parent.pop(step)
    return data


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_both_engines_decide_alike_and_every_refusal_is_explained(kind: Kind, data: st.DataObject) -> None:
    site = data.draw(mutated(kind))

    is_admitted = validator_of(kind).is_valid(site)

    assert FAST[kind].is_valid(site) == is_admitted
    assert all(breach.is_name or breach.keyword in EXPLAINED for breach in breaches_of(kind, site))
    found = find_shape_problems(Document("a.yaml", "{}", site), kind)
    assert is_admitted or found
    assert not found or not is_admitted or all(problem.code == "PM211" for problem in found)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40)
def test_what_is_made_from_the_schema_is_admitted_by_both(kind: Kind, data: st.DataObject) -> None:
    """Else the test above would only ever see what both refuse."""
    site = data.draw(an_instance(kind))

    assert FAST[kind].is_valid(site)
    assert list(breaches_of(kind, site)) == []


BLOCKED = """
import sys
sys.modules["jsonschema_rs"] = None  # an import of it fails, as on a machine without a wheel
from pointsman_compiler.cli import main
main(prog_name="pointsman")
"""


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=50, check=False
    )


def test_jsonschema_alone_says_the_same_where_the_other_is_missing(tmp_path: Path) -> None:
    text = "version: 1\nsite: a\ntimeZone: UTC\nsupervision: local\nstations: {A: {pingInterval: 61}}\n"
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text.replace("site: a", "site: b").replace("61", "60"))

    alone = run(BLOCKED, "check", tmp_path, "--format", "json")
    both = run(BLOCKED.replace('sys.modules["jsonschema_rs"] = None', ""), "check", tmp_path, "--format", "json")

    assert "PM205" in alone.stdout
    assert (alone.stdout, alone.returncode, alone.stderr) == (both.stdout, 1, "")


def test_a_check_without_a_problem_imports_no_slow_engine() -> None:
    program = (
        "import sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from pointsman_compiler.build import check\nfrom pointsman_compiler.sources import SourceTree\n"
        "result = check(SourceTree(Path(sys.argv[1])), datetime(2026, 11, 22, tzinfo=UTC))\n"
        "assert len(result.resolved) == 3, result.problems\n"
        "print([name for name in ('jsonschema', 'referencing') if name in sys.modules])\n"
    )

    assert run(program, SITES).stdout == "[]\n"


def test_a_fraction_of_naught_is_told_though_the_fast_engine_admits_it() -> None:
    text = b"version: 1\nsite: a\ntimeZone: UTC\nsupervision: local\nstations: {A: {pingInterval: 30.0}}\n"
    document = read_document("a.yaml", text)
    assert isinstance(document, Document)

    assert FAST["site"].is_valid(document.data)
    assert [problem.code for problem in find_shape_problems(document, "site")] == ["PM201"]
