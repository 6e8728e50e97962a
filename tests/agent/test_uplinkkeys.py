"""Keys that a supervision set for its uplinks: kept until proven, for one host only, as long as what they replaced."""

import os
import stat
from pathlib import Path

import pytest
from pointsman_agent.uplinkkeys import UplinkKeys

PLACE = ("acme", "csms.acme.example", "CP-1")
OLD, NEW, THIRD = b"configured-key-00", b"another-key-00001", b"third-key-00000002"


@pytest.fixture
def keys(tmp_path: Path) -> UplinkKeys:
    return UplinkKeys(tmp_path / "keys")


def test_without_a_stored_key_the_configured_one_is_tried(keys: UplinkKeys) -> None:
    assert keys.candidates(*PLACE, OLD) == [OLD]
    assert keys.candidates(*PLACE, None) == [None]
    assert not keys.differs(*PLACE, OLD)


def test_r21_a_new_key_is_tried_first_and_the_old_one_second_until_it_is_proven(keys: UplinkKeys) -> None:
    keys.store(*PLACE, OLD, NEW)
    unproven = keys.candidates(*PLACE, OLD)
    keys.prove(*PLACE, OLD, NEW)

    assert unproven == [NEW, OLD]
    assert keys.candidates(*PLACE, OLD) == [NEW]
    assert keys.differs(*PLACE, OLD)


def test_r21_a_third_key_replaces_the_unproven_one(keys: UplinkKeys) -> None:
    keys.store(*PLACE, OLD, NEW)
    keys.store(*PLACE, OLD, THIRD)

    assert keys.candidates(*PLACE, OLD) == [THIRD, OLD]


def test_r21_the_old_key_of_a_third_one_is_the_proven_second(keys: UplinkKeys) -> None:
    keys.store(*PLACE, OLD, NEW)
    keys.prove(*PLACE, OLD, NEW)
    keys.store(*PLACE, OLD, THIRD)

    assert keys.candidates(*PLACE, OLD) == [THIRD, NEW]


def test_r21_only_the_new_key_proves_itself(keys: UplinkKeys) -> None:
    keys.store(*PLACE, OLD, NEW)
    keys.prove(*PLACE, OLD, OLD)

    assert keys.candidates(*PLACE, OLD) == [NEW, OLD]


def test_r21_another_content_of_the_configured_secret_ends_a_stored_key(keys: UplinkKeys) -> None:
    keys.store(*PLACE, OLD, NEW)

    assert keys.candidates(*PLACE, b"rotated-by-hand-0") == [b"rotated-by-hand-0"]
    assert keys.candidates(*PLACE, None) == [None]


@pytest.mark.parametrize(
    "other", [("volt", PLACE[1], PLACE[2]), (PLACE[0], "other.example", PLACE[2]), (PLACE[0], PLACE[1], "CP-2")]
)
def test_r21_a_key_is_for_one_supervision_host_and_station(keys: UplinkKeys, other: tuple[str, str, str]) -> None:
    keys.store(*PLACE, OLD, NEW)

    assert keys.candidates(*other, OLD) == [OLD]


@pytest.mark.parametrize("station", ["..", ".", "../../x", "a/b", "CP|1", "Ä", "x" * 48])
def test_no_identity_leaves_the_folder(tmp_path: Path, station: str) -> None:
    keys = UplinkKeys(tmp_path / "keys")
    keys.store("acme", "host", station, OLD, NEW)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent.name for path in files] == ["acme@host"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert keys.candidates("acme", "host", station, OLD) == [NEW, OLD]


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_r21_a_power_cut_at_any_step_leaves_a_key_that_works(
    keys: UplinkKeys, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    keys.store(*PLACE, OLD, NEW)
    keys.prove(*PLACE, OLD, NEW)

    def cut(*arguments: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, step, cut)
    with pytest.raises(OSError, match="power cut"):
        keys.store(*PLACE, OLD, THIRD)
    monkeypatch.undo()

    assert NEW in keys.candidates(*PLACE, OLD)


def test_where_no_key_was_ever_set_is_known_without_the_disk(keys: UplinkKeys) -> None:
    before_load = keys.is_unset(*PLACE)
    keys.load()
    empty = keys.is_unset(*PLACE)
    keys.store(*PLACE, OLD, NEW)
    keys.load()

    assert (before_load, empty, keys.is_unset(*PLACE)) == (False, True, False)
    assert keys.is_unset("acme", "csms.acme.example", "CP-2")


def test_a_key_that_is_set_after_the_load_counts_at_once(keys: UplinkKeys) -> None:
    keys.load()
    keys.store(*PLACE, OLD, NEW)

    assert not keys.is_unset(*PLACE)
