"""Bundles on disk: a power cut at any step leaves the old or the new, whole."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pointsman_agent.ports import BundleStore, Failure, StoredState
from pointsman_agent.slots import Slots, write_durably
from support.fakes import MemoryStore

OLD = StoredState(site="s", bundle="1-a.bundle", highest_sequence=1, highest_digest="sha256:a")
NEW = msgspec.structs.replace(
    OLD, bundle="2-b.bundle", highest_sequence=2, last_failed=Failure(None, None, "t", "c", "m")
)


class PowerCut(BaseException):
    """The machine stops here: nothing after it runs, not even an `except OSError`."""


@pytest.fixture(params=["slots", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BundleStore:
    """A store of either kind."""
    return Slots(tmp_path) if request.param == "slots" else MemoryStore()


def test_a_new_controller_knows_nothing(store: BundleStore) -> None:
    assert store.load() == StoredState()


def test_what_was_saved_is_loaded(store: BundleStore) -> None:
    for state in (OLD, NEW):
        store.save(state)
        assert store.load() == state


def test_r46_a_staged_bundle_stays_when_the_state_names_it_and_goes_when_not(store: BundleStore) -> None:
    store.stage("1-a.bundle", b"one")
    store.save(OLD)
    store.stage("2-b.bundle", b"two")

    assert (store.read("1-a.bundle"), store.read("2-b.bundle")) == (b"one", b"two")
    store.save(NEW)
    assert store.read("2-b.bundle") == b"two"
    with pytest.raises(OSError, match=r"1-a\.bundle"):
        store.read("1-a.bundle")


def test_a_bundle_may_be_staged_again(store: BundleStore) -> None:
    store.stage("1-a.bundle", b"one")
    store.stage("1-a.bundle", b"again")

    assert store.read("1-a.bundle") == b"again"


# --- On a disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"site":1}', b"\xff", b"null"])
def test_a_damaged_state_is_an_error_with_its_path_and_not_a_new_controller(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)

    with pytest.raises(ValueError, match=r"state\.json is damaged"):
        Slots(tmp_path).load()


def test_a_state_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()

    with pytest.raises(OSError, match="directory"):
        Slots(tmp_path).load()


def test_only_the_owner_may_read_what_is_written(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    slots.stage("1-a.bundle", b"one")
    slots.save(OLD)

    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")}
    assert modes == {"bundles": "0o700", "1-a.bundle": "0o600", "state.json": "0o600"}


def test_what_a_power_cut_left_half_written_is_removed_at_the_next_switch(tmp_path: Path) -> None:
    slots = Slots(tmp_path)
    slots.stage("2-b.bundle", b"two")
    (tmp_path / "bundles" / ".1-a.bundle.99.new").write_bytes(b"half")

    slots.save(NEW)

    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["2-b.bundle"]


STEPS = ["open", "write", "fsync", "replace", "fsync of the folder"]


def fail_at(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    """Let the disk, or the power, fail at one step of the next write."""
    calls = {"fsync": 0}

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise error

    real_fsync: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        calls["fsync"] += 1
        if calls["fsync"] == (1 if step == "fsync" else 2):
            raise error
        real_fsync(descriptor)

    match step:
        case "open":
            monkeypatch.setattr(os, "open", failing)
        case "write":
            monkeypatch.setattr(os, "fdopen", failing)
        case "replace":
            monkeypatch.setattr(os, "replace", failing)
        case _:
            monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("step", STEPS)
def test_r46_a_power_cut_at_any_step_of_the_switch_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    slots = Slots(tmp_path)
    slots.stage("1-a.bundle", b"one")
    slots.save(OLD)
    slots.stage("2-b.bundle", b"two")

    with monkeypatch.context() as patch:
        fail_at(patch, step, PowerCut())
        with pytest.raises(PowerCut):
            slots.save(NEW)

    after = Slots(tmp_path)
    state = after.load()
    assert state in ((OLD,) if step in STEPS[:4] else (OLD, NEW))
    assert state.bundle is not None
    assert after.read(state.bundle) == {"1-a.bundle": b"one", "2-b.bundle": b"two"}[state.bundle]
    slots.save(NEW)
    assert Slots(tmp_path).load() == NEW


@pytest.mark.parametrize("step", STEPS)
def test_r46_a_power_cut_while_staging_changes_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    slots = Slots(tmp_path)
    slots.stage("1-a.bundle", b"one")
    slots.save(OLD)

    with monkeypatch.context() as patch:
        fail_at(patch, step, PowerCut())
        with pytest.raises(PowerCut):
            slots.stage("2-b.bundle", b"two")

    assert Slots(tmp_path).load() == OLD
    assert Slots(tmp_path).read("1-a.bundle") == b"one"


@pytest.mark.parametrize("step", STEPS[:4])
def test_a_disk_that_fails_leaves_the_old_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    with monkeypatch.context() as patch:
        fail_at(patch, step, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space left"):
            write_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        order.append("fsync")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        order.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)

    write_durably(tmp_path / "file", b"content")

    assert order == ["fsync", "replace", "fsync"]
