"""Reports on the disk: in order, bounded, and past every file and every disk that is broken."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from pointsman_agent.push import spool as spools
from pointsman_agent.push.exposition import expose
from pointsman_agent.push.spool import Spool
from support.pushes import AT, status

ALL = 1_000_000


def filled(folder: Path, count: int) -> Spool:
    spool = Spool(folder)
    for number in range(count):
        spool.add(b"%d\n" % number)
    return spool


def test_a_spool_gives_what_it_has_in_order_also_after_a_restart(tmp_path: Path) -> None:
    first = filled(tmp_path, 5)

    names, text = Spool(tmp_path).oldest(ALL)

    assert text == b"0\n1\n2\n3\n4\n"
    first.remove(names[:2])
    assert Spool(tmp_path).oldest(ALL)[1] == b"2\n3\n4\n"


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1000), (100, 6)])
def test_a_full_spool_lets_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, most_bytes: int
) -> None:
    monkeypatch.setattr(spools, "KEPT_AT_MOST", most)
    monkeypatch.setattr(spools, "KEPT_BYTES", most_bytes)

    spool = filled(tmp_path, 5)

    assert spool.oldest(ALL)[1] == b"2\n3\n4\n"
    assert spool.dropped == 2
    assert len(list(tmp_path.iterdir())) == 3


def test_a_spool_has_room_for_a_day_of_a_large_site() -> None:
    rows = [{**status()["supervisions"][0], "name": f"operator-{number}"} for number in range(10)]
    size = len(expose(status(supervisions=rows), AT))

    assert spools.KEPT_AT_MOST >= 24 * 60
    assert 24 * 60 * size <= spools.KEPT_BYTES


@pytest.mark.parametrize(("most_bytes", "text"), [(1, b"0\n"), (2, b"0\n"), (5, b"0\n1\n"), (6, b"0\n1\n2\n")])
def test_what_is_taken_at_once_is_bounded_and_at_least_one_report(tmp_path: Path, most_bytes: int, text: bytes) -> None:
    assert filled(tmp_path, 4).oldest(most_bytes)[1] == text


def is_gone(file: Path) -> None:
    file.unlink()


def is_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def is_empty(file: Path) -> None:
    file.write_bytes(b"")


def is_cut_short(file: Path) -> None:
    file.write_bytes(b'pointsman_report{site="lyon"} 17958')


@pytest.mark.parametrize("damage", [is_gone, is_a_folder, is_empty, is_cut_short])
@pytest.mark.parametrize(("damaged", "rest"), [(0, b"1\n2\n"), (1, b"0\n2\n"), (2, b"0\n1\n")])
def test_a_file_that_cannot_be_read_is_passed_over(
    tmp_path: Path, damage: Callable[[Path], None], damaged: int, rest: bytes
) -> None:
    spool = filled(tmp_path, 3)
    damage(sorted(tmp_path.iterdir())[damaged])

    assert spool.oldest(ALL)[1] == rest
    spool.add(b"next\n")

    names, text = spool.oldest(ALL)
    assert text == rest + b"next\n"
    assert spool.unread == 1
    spool.remove(names)
    assert len(spool) == 0


def test_a_lack_of_descriptors_costs_no_report(tmp_path: Path) -> None:
    spool = filled(tmp_path, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            spool.oldest(ALL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert spool.oldest(ALL)[1] == b"0\n1\n2\n"
    assert spool.unread == 0


def test_of_what_a_full_disk_does_not_take_the_newest_waits_in_memory(tmp_path: Path) -> None:
    spool = filled(tmp_path, 1)
    for number in (2, 3):
        (tmp_path / f".{number:012}").symlink_to("/dev/full")

    for word in (b"older\n", b"newest\n"):
        with pytest.raises(OSError, match="No space left"):
            spool.add(word)
    spool.add(b"there is room again\n")

    names, text = spool.oldest(ALL)
    assert text == b"0\nnewest\nthere is room again\n"
    assert Spool(tmp_path).oldest(ALL)[1] == b"0\nthere is room again\n"
    spool.remove(names)
    assert len(spool) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_deleted_is_let_go_all_the_same(tmp_path: Path) -> None:
    spool = filled(tmp_path, 2)
    names, _ = spool.oldest(ALL)
    is_a_folder(tmp_path / names[0])  # which `unlink` does not take

    spool.remove(names)

    assert len(spool) == 0
