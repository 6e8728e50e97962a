"""`publish --complete`: what is no more in git is no more in the rollout, unless it looks like a mistake."""

import json
from pathlib import Path

import pytest
from pointsman_compiler.rollout.bundles import Bundles, find_gone
from pointsman_compiler.rollout.ledger import Content, Ledger, LedgerError, SiteEntry
from support.rolloutcommands import bad, good, write_bundle
from support.rollouts import KEYS


def a_ledger(sites: int, sequence: int = 1) -> Ledger:
    content = Content("sha256:a", sequence, "a", 1)
    return Ledger(sites={f"site-{number:03}": SiteEntry("Europe/Paris", {}, content) for number in range(sites)})


def those_left(ledger: Ledger, gone: int, sequence: int = 1) -> Bundles:
    return Bundles([], set(sorted(ledger.sites)[gone:]), sequence)


def sites_of(fleet: Path) -> set[str]:
    return set(json.loads(good(fleet, "status", "sites", "--json"))["sites"])


def test_a_site_without_a_bundle_is_removed_and_told(fleet: Path) -> None:
    write_bundle(fleet, "lab", "second", 2)
    (fleet / "bundles" / "lyon.bundle").unlink()

    assert good(fleet, "publish", "bundles", *KEYS).startswith("1 site changed; ")
    assert sites_of(fleet) == {"lab", "lyon"}
    write_bundle(fleet, "lab", "third", 3)
    said = good(fleet, "publish", "bundles", *KEYS, "--complete")

    assert said.startswith("1 site changed, 1 removed; ")
    assert sites_of(fleet) == {"lab"}
    newest = max((fleet / "repository" / "metadata").glob("*.bin-*.json"), key=lambda path: path.stat().st_mtime_ns)
    assert "lyon.bundle" not in newest.read_text()
    assert good(fleet, "publish", "bundles", *KEYS, "--complete").startswith("0 sites changed; ")


@pytest.mark.parametrize(("gone", "sites"), [(10, 12), (11, 110), (20, 200)])
def test_few_sites_go_unasked(gone: int, sites: int) -> None:
    ledger = a_ledger(sites)

    assert find_gone(those_left(ledger, gone), ledger, []) == sorted(ledger.sites)[:gone]


@pytest.mark.parametrize(("gone", "sites"), [(11, 12), (11, 109), (21, 200)])
def test_many_sites_go_only_where_they_are_named(gone: int, sites: int) -> None:
    ledger = a_ledger(sites)

    with pytest.raises(LedgerError, match=f"{gone} of {sites} sites would be removed: site-000, ") as refused:
        find_gone(those_left(ledger, gone), ledger, [])

    assert "--remove SITE" in refused.value.help
    named = sorted(ledger.sites)[:gone]
    assert find_gone(those_left(ledger, gone), ledger, named) == []


def test_a_folder_that_was_compiled_before_a_site_came_removes_it_not() -> None:
    ledger = a_ledger(12, sequence=7)

    with pytest.raises(LedgerError, match="the bundles are older than that of site-000, which they lack"):
        find_gone(those_left(ledger, 1, sequence=6), ledger, [])
    assert find_gone(those_left(ledger, 1, sequence=7), ledger, []) == ["site-000"]


def test_a_folder_without_bundles_removes_nothing(fleet: Path) -> None:
    (fleet / "empty").mkdir()

    assert "there is no bundle at all" in bad(fleet, "publish", "empty", *KEYS, "--complete")
    assert sites_of(fleet) == {"lab", "lyon"}
