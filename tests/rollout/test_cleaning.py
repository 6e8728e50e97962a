"""What `rollout clean` takes away, and that nobody misses it: clients are led by each timestamp that is still good."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pointsman_compiler.rollout.cleaning import find_obsolete
from pointsman_compiler.rollout.publishing import send, take_away
from pointsman_compiler.rollout.repository import Repository
from support.rollouts import taken
from support.rolloutsites import Fleet
from support.sites import SITE
from tuf.api.exceptions import ExpiredMetadataError

AGES_H = (120, 72, 48.5, 24, 2, 0.5, 0)
"""When something was offered; what a timestamp of 48.5 hours ago names was replaced 24 hours ago."""


@pytest.fixture
def history(tmp_path: Path) -> tuple[Fleet, dict[float, bytes], dict[float, bytes]]:
    """A fleet to which something was offered at each of those ages; by age what, and the timestamp."""
    fleet, now = Fleet(tmp_path / "fleet"), datetime.now(UTC)
    content, timestamps = {}, {}
    for sequence, age in enumerate(AGES_H, 1):
        content[age] = fleet.offer(sequence, now=now - timedelta(hours=age))[SITE]
        timestamps[age] = (fleet.metadata / "timestamp.json").read_bytes()
    return fleet, content, timestamps


def clean(fleet: Fleet) -> list[str]:
    """Take away what is obsolete by now."""
    repository = Repository(fleet.folder / "repository")
    names = find_obsolete(repository, datetime.now(UTC))
    take_away(repository.folder, names, None)
    return names


def test_whoever_a_timestamp_leads_still_finds_all_and_what_is_older_is_gone(
    history: tuple[Fleet, dict[float, bytes], dict[float, bytes]],
) -> None:
    fleet, content, timestamps = history
    before = {path.read_bytes(): path.name for path in fleet.targets.glob(f"*.{SITE}.bundle")}

    names = clean(fleet)

    for age in AGES_H:
        (fleet.metadata / "timestamp.json").write_bytes(timestamps[age])
        client = fleet.folder / f"client-{age}"
        if age < 48:
            assert taken(fleet.folder / "repository", client, fleet.root, SITE) == content[age]
        else:
            with pytest.raises(ExpiredMetadataError):
                taken(fleet.folder / "repository", client, fleet.root, SITE)
    gone = {name.partition("/")[2] for name in names}
    assert before[content[120]] in gone  # replaced 72 hours ago
    assert before[content[72]] not in gone  # replaced 48.5 hours ago: a reader's hour
    assert {"2.snapshot.json", "2.targets.json"} <= gone
    assert {"3.snapshot.json", "3.targets.json", "1.root.json"}.isdisjoint(gone)
    assert clean(fleet) == []


@pytest.mark.parametrize(("is_sent", "kept"), [(True, [2, 0.5, 0]), (False, list(AGES_H[1:]))])
def test_an_old_ledger_goes_after_an_hour_where_all_was_sent(
    history: tuple[Fleet, dict[float, bytes], dict[float, bytes]], is_sent: bool, kept: list[float]
) -> None:
    fleet = history[0]
    if is_sent:
        send(fleet.folder / "repository", "cat > /dev/null")

    clean(fleet)

    assert len(list(fleet.targets.glob("*.ledger.json"))) == len(kept)  # the one of 2 hours ago was the last till 0.5
    assert fleet.offer_next()


def test_what_a_killed_process_laid_down_and_no_timestamp_names_goes_and_what_is_not_ours_stays(fleet: Fleet) -> None:
    version = Repository(fleet.folder / "repository").snapshot_version() + 1
    shutil.copy(fleet.metadata / f"{version - 1}.snapshot.json", fleet.metadata / f"{version}.snapshot.json")
    for path in (fleet.metadata / "index.html", fleet.targets / "README"):
        path.touch()

    assert clean(fleet) == [f"metadata/{version}.snapshot.json"]

    assert (fleet.metadata / "index.html").exists()
    assert (fleet.targets / "README").exists()
    assert fleet.offer_next()[SITE] == taken(fleet.folder / "repository", fleet.folder / "client", fleet.root, SITE)
