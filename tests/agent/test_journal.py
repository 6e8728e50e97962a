"""The journal's promises, on a real SQLite file and on the fake that clocked tests use in its place."""

import queue
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from pointsman_agent.entries import (
    Entry,
    OpenTransaction,
    OwnStart,
    Receipt,
    SecurityEvent,
    StationFact,
    TransactionEvent,
    TransactionSample,
    TransactionStart,
    TransactionStop,
)
from pointsman_agent.journal import SCHEMA_VERSION, open_journal
from pointsman_agent.journal.writer import FREE_COMMITS, GATHER_WITHIN_S, GATHERED, Job, Pace, next_batch
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ocpp.sentagain import content_of
from pointsman_agent.ports import Journal, JournalFault
from support.fakes import FakeClock, MemoryJournal

HUGE = 2**63 - 1
Opened = Callable[[FakeClock], AbstractAsyncContextManager[Journal]]


def start(
    station: str = "CP-1",
    *,
    badge: str = "04AB",
    meter: int = 10,
    at: str = "2026-11-22T12:00:00Z",
    connector: int = 1,
) -> Entry:
    return TransactionStart(station, "[2]", connector, badge, meter, at)


def stop(transaction_id: int | None, station: str = "CP-1") -> TransactionStop:
    number = -1 if transaction_id is None else transaction_id
    return TransactionStop(station, "[2]", number, 20, "2026-11-22T13:00:00Z", "Local")


def event(
    sequence: int | None,
    kind: str = "Updated",
    *,
    station: str = "CP-1",
    transaction: str = "t-1",
    badge: str = "",
    evse: int = 1,
    at: str = "2026-11-22T12:00:00Z",
    energy: int | None = None,
) -> TransactionEvent:
    content = hash((kind, badge, at, energy))
    return TransactionEvent(station, "[2]", transaction, sequence, kind, badge, at, "", content, evse, energy)


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """How to open a journal of either kind."""

    @asynccontextmanager
    async def sqlite(clock: FakeClock) -> AsyncIterator[Journal]:
        async with open_journal(tmp_path / "j.sqlite3", lambda: rfc3339(clock.now())) as journal:
            yield journal

    @asynccontextmanager
    async def memory(clock: FakeClock) -> AsyncIterator[Journal]:
        yield MemoryJournal(clock)

    return sqlite if request.param == "sqlite" else memory


def a_journal(folder: Path) -> AbstractAsyncContextManager[Journal]:
    return open_journal(folder / "j.sqlite3", lambda: "2026-11-22T12:00:00Z")


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(f"file:{folder / 'j.sqlite3'}?mode=ro", uri=True)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


async def started(journal: Journal, entry: Entry) -> int:
    receipt = await journal.append(entry)
    assert receipt.transaction_id is not None
    return receipt.transaction_id


# --- What every journal promises --------------------------------------------------------------------------------


async def test_r35_ids_are_positive_31_bits_and_unique_over_stations(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        ids = [await started(journal, start(f"CP-{number}")) for number in range(20)]

    assert len(set(ids)) == 20
    assert all(0 < number < 2**31 for number in ids)


async def test_r35_the_same_start_sent_again_gets_the_same_id(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        first = await journal.append(start())

        assert await journal.append(start()) == Receipt(first.transaction_id, is_repeat=True)
        assert await journal.append(start(badge="04ab")) == Receipt(first.transaction_id, is_repeat=True)
        assert await journal.open_transactions() == {"CP-1": 1}


@pytest.mark.parametrize(
    "other",
    [start("CP-2"), start(badge="FF"), start(meter=11), start(at="2026-11-22T12:00:01Z")],
    ids=["station", "badge", "meter", "time"],
)
async def test_r35_another_start_gets_another_id(opened: Opened, other: Entry) -> None:
    async with opened(FakeClock()) as journal:
        assert await started(journal, start()) != await started(journal, other)


async def test_r35_the_same_start_after_the_stop_is_another_transaction(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        first = await started(journal, start())
        await journal.append(stop(first))

        assert await started(journal, start()) != first


async def test_r35_a_start_ends_what_was_open_at_its_connector_and_nothing_else(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        lost = await started(journal, start())
        elsewhere = await started(journal, start(connector=2))
        fresh = await started(journal, start(meter=900))

        assert [each.transaction_id for each in await journal.open_of_station("CP-1")] == [str(elsewhere), str(fresh)]
        assert await journal.append(stop(lost)) == Receipt()  # it was late, and is kept
        assert await journal.append(stop(lost)) == Receipt(is_repeat=True)


async def test_r35_a_2x_start_ends_what_was_open_at_its_evse(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for entry in (event(0, "Started", transaction="t-1", evse=1), event(0, "Started", transaction="t-2", evse=2)):
            await journal.append(entry)
        await journal.append(event(0, "Started", transaction="t-3", evse=1))
        await journal.append(event(1, "Updated", transaction="t-1", evse=1))

        assert [each.transaction_id for each in await journal.open_of_station("CP-1")] == ["t-2", "t-3"]


@pytest.mark.parametrize(("seconds", "is_same"), [(24 * 3600 - 2, True), (24 * 3600 + 2, False)])
async def test_r35_the_same_start_a_day_later_is_another_transaction(
    opened: Opened, seconds: float, is_same: bool
) -> None:
    clock = FakeClock()
    async with opened(clock) as journal:
        first = await started(journal, start())
        clock.advance(seconds=seconds)

        assert (await started(journal, start()) == first) is is_same


async def test_r35_a_stop_is_deduplicated_by_its_transaction(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        number = await started(journal, start())

        assert await journal.append(stop(number)) == Receipt()
        assert await journal.append(stop(number)) == Receipt(is_repeat=True)
        assert await journal.open_transactions() == {}


async def test_r35_a_stop_of_an_unknown_transaction_is_taken_every_time(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for number in (-1, -1, 0, 4711, HUGE):
            assert await journal.append(stop(number)) == Receipt()


async def test_a_station_cannot_stop_the_transaction_of_another(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        number = await started(journal, start("CP-1"))

        assert await journal.append(stop(number, "CP-2")) == Receipt()
        assert await journal.open_transactions() == {"CP-1": 1}


async def test_r35_events_are_deduplicated_by_transaction_sequence_and_content(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        assert await journal.append(event(0, "Started")) == Receipt()
        assert await journal.append(event(0, "Started")) == Receipt(is_repeat=True)
        assert await journal.append(event(1)) == Receipt()
        assert await journal.append(event(1, transaction="t-2")) == Receipt()
        assert await journal.append(event(1, station="CP-2")) == Receipt()
        assert await journal.append(event(2, "Ended")) == Receipt()
        assert await journal.open_transactions() == {"CP-1": 1, "CP-2": 1}


async def test_r35_events_of_one_sequence_number_are_kept_where_they_say_different_things(opened: Opened) -> None:
    """Some stations send 0 always."""
    events = [event(0, "Started"), event(0), event(0, at="2026-11-22T12:01:00Z"), event(0, "Ended")]
    async with opened(FakeClock()) as journal:
        for each in events:
            assert await journal.append(each) == Receipt()
        assert await journal.open_transactions() == {}
        for each in events:
            assert await journal.append(each) == Receipt(is_repeat=True)


async def test_r35_an_id_that_a_station_uses_again_is_another_transaction(opened: Opened) -> None:
    first = [event(0, "Started", badge="04AB"), event(1, "Ended")]
    second = [event(0, "Started", badge="04AB", at="2026-11-22T13:00:00Z"), event(1, at="2026-11-22T13:01:00Z")]
    async with opened(FakeClock()) as journal:
        for each in [*first, *second]:
            assert await journal.append(each) == Receipt()

        (running,) = await journal.open_of_station("CP-1")
        assert (running.transaction_id, running.started) == ("t-1", "2026-11-22T13:00:00Z")
        assert await journal.open_with_badge("04ab") == [running]
        for each in [*first, *second]:
            assert await journal.append(each) == Receipt(is_repeat=True)
        assert await journal.open_of_station("CP-1") == [running]
        assert await journal.append(event(2, "Ended", at="2026-11-22T13:02:00Z")) == Receipt()
        assert await journal.open_transactions() == {}


async def test_r35_an_id_that_begins_anew_ends_what_was_open_under_it(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for number in range(3):
            assert await journal.append(event(0, "Started", at=f"2026-11-22T1{number}:00:00Z")) == Receipt()

        (running,) = await journal.open_of_station("CP-1")
        assert running.started == "2026-11-22T12:00:00Z"


async def test_r35_a_start_told_again_in_other_words_begins_nothing(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for each in (event(0, "Started"), event(0, "Started", badge="04AB"), event(1, "Ended")):
            assert await journal.append(each) == Receipt()
        assert await journal.open_transactions() == {}


async def test_r35_an_id_used_again_by_a_station_without_a_clock_is_another_transaction(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for each in (event(0, "Started", energy=0), event(1, "Ended", energy=900), event(0, "Started", energy=900)):
            assert await journal.append(each) == Receipt()
        assert await journal.open_transactions() == {"CP-1": 1}


async def test_a_start_that_comes_late_belongs_to_what_has_ended_unless_it_is_of_after_its_end(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        await journal.append(event(2, "Ended", at="2026-11-22T12:10:00Z"))
        await journal.append(event(0, "Started", at="2026-11-22T12:00:00Z"))
        assert await journal.open_transactions() == {}

        await journal.append(event(1, "Ended", transaction="t-2", at="2026-11-22T12:10:00Z"))
        await journal.append(event(0, "Started", transaction="t-2", at="2026-11-22T12:20:00Z"))
        assert await journal.open_transactions() == {"CP-1": 1}


async def test_r32_events_without_a_sequence_are_kept_each(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for kind in ("Started", "Updated", "Updated"):
            assert await journal.append(event(None, kind)) == Receipt()
        assert await journal.open_transactions() == {"CP-1": 1}
        await journal.append(event(None, "Ended"))
        assert await journal.open_transactions() == {}


async def test_r32_an_event_without_a_transaction_is_kept_and_opens_none(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for _ in range(2):
            assert await journal.append(event(0, "Started", transaction="")) == Receipt()
        assert await journal.open_transactions() == {}


async def test_events_in_any_order_leave_an_ended_transaction_ended(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for sequence, kind in ((2, "Ended"), (0, "Started"), (1, "Updated")):
            await journal.append(event(sequence, kind))
        assert await journal.open_transactions() == {}


async def test_open_transactions_of_a_badge_are_found_until_they_end(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        number = await started(journal, start("CP-1", badge="04AB"))
        await journal.append(event(0, "Started", station="CP-2"))
        await journal.append(event(1, station="CP-2", badge="04aB"))
        found = await journal.open_with_badge("04ab")
        await journal.append(stop(number))
        await journal.append(event(2, "Ended", station="CP-2", badge="FF"))

        at = "2026-11-22T12:00:00Z"
        assert sorted(found, key=lambda each: each.station) == [
            OpenTransaction("CP-1", str(number), at, 1, 10),
            OpenTransaction("CP-2", "t-1", at, 1),
        ]
        assert await journal.open_with_badge("04ab") == []
        assert await journal.open_with_badge("ff") == []


async def test_a_receipt_tells_where_the_badge_charged_before(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        first = await journal.append(start("CP-1"))
        second = await journal.append(start("CP-2", badge="04ab"))
        third = await journal.append(event(0, "Started", station="CP-3", badge="04AB"))
        first_again = await journal.append(start("CP-1"))
        second_again = await journal.append(start("CP-2"))
        await journal.append(stop(first.transaction_id, "CP-1"))
        fourth = await journal.append(start("CP-4"))

    assert [each.charges_at for each in (first, second, third)] == [(), ("CP-1",), ("CP-1", "CP-2")]
    assert [first_again.charges_at, second_again.charges_at] == [(), ("CP-1",)]
    assert fourth.charges_at == ("CP-2", "CP-3")


async def test_samples_and_security_events_are_taken_as_often_as_they_come(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for _ in range(2):
            assert await journal.append(TransactionSample("CP-1", "[2]", None)) == Receipt()
            assert await journal.append(TransactionSample("CP-1", "[2]", -1)) == Receipt()
            assert await journal.append(SecurityEvent("CP-1", "x", "", "")) == Receipt()


async def test_facts_tokens_and_open_transactions_of_a_station_are_found(opened: Opened) -> None:
    async with opened(FakeClock()) as journal:
        for fact in (("CP-1", "boot", "a"), ("CP-1", "list", "c"), ("CP-1", "boot", "b"), ("CP-1", "list", None)):
            await journal.append(StationFact(*fact))
        await journal.append(OwnStart("CP-1", "pm-00ff"))
        number = await started(journal, start("CP-1"))
        await journal.append(event(0, "Started", evse=2))
        await started(journal, start("CP-2"))

        assert await journal.facts_of("CP-1") == {"boot": "b"}
        assert await journal.facts_of("CP-2") == {}
        assert [journal.has_fact(*fact) for fact in (("CP-1", "boot"), ("CP-1", "list"), ("CP-2", "boot"))] == [
            True,
            False,
            False,
        ]
        assert await journal.station_of_token("PM-00FF") == "CP-1"
        assert await journal.station_of_token("pm-0000") is None
        assert [each.transaction_id for each in await journal.open_of_station("CP-1")] == [str(number), "t-1"]
        assert journal.newest == "2026-11-22T12:00:00Z"
        assert journal.fault is None


# --- What the file promises --------------------------------------------------------------------------------------


async def test_r35_ids_stay_unique_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    ids = []
    for run in range(3):
        async with a_journal(tmp_path) as journal:
            ids += [await started(journal, start(at=f"{run}-{number}")) for number in range(5)]

    assert ids == list(range(ids[0], ids[0] + 15))


async def test_r35_a_new_journal_begins_at_random(tmp_path: Path) -> None:
    first_ids = set()
    for run in range(4):
        folder = tmp_path / str(run)
        folder.mkdir()
        async with a_journal(folder) as journal:
            first_ids.add(await started(journal, start()))

    assert len(first_ids) == 4  # fails by chance once in 10**8


async def test_r35_after_the_largest_31_bit_number_ids_begin_again(tmp_path: Path) -> None:
    async with a_journal(tmp_path):
        pass
    database = sqlite3.connect(tmp_path / "j.sqlite3")
    with database:
        database.execute("UPDATE counters SET value = 2147483646")
    database.close()

    async with a_journal(tmp_path) as journal:
        assert [await started(journal, start(at=str(number))) for number in range(2)] == [2147483647, 1]


async def test_what_was_stored_is_found_by_the_next_run(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        number = await started(journal, start())
        await journal.append(event(0, "Started", evse=2))

    async with a_journal(tmp_path) as journal:
        assert await journal.append(start()) == Receipt(number, is_repeat=True)
        assert await journal.append(event(0, "Started", evse=2)) == Receipt(is_repeat=True)
        assert await journal.open_transactions() == {"CP-1": 2}


async def test_texts_are_kept_as_they_came(tmp_path: Path) -> None:
    texts = ['[2,"1","MeterValues",{"a":1.10}]', "a\x00b", "é😀\u2028", "x" * 1_000_000]
    async with a_journal(tmp_path) as journal:
        for text in texts:
            await journal.append(TransactionSample("CP-1", text, None))

    assert rows(tmp_path, "SELECT text FROM events ORDER BY id") == [(text,) for text in texts]


async def test_r35_the_stop_of_an_unknown_transaction_is_kept_as_an_event(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        await journal.append(stop(-1))
        await journal.append(stop(-1))

    assert rows(tmp_path, "SELECT kind, transaction_key FROM events") == [("StopTransaction", None)] * 2


async def test_meter_values_of_a_station_change_no_transaction_of_another(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:00:00Z") as journal:
        number = await started(journal, start("CP-1", meter=1000))
        await journal.append(TransactionSample("CP-1", "[2]", number, 3500))
        await journal.append(TransactionSample("CP-2", "[2]", number, 99_000))
        (record,) = await journal.transactions_since("")

    assert record.energy_wh == 2500
    samples = rows(tmp_path, "SELECT station, transaction_key FROM events WHERE kind = 'MeterValues' ORDER BY id")
    assert samples == [("CP-1", str(number)), ("CP-2", None)]


async def test_r36_what_is_committed_is_forced_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the connection itself knows: it is no property of the file."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def recorded(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", recorded)
    full = 2  # https://www.sqlite.org/pragma.html#pragma_synchronous
    async with a_journal(tmp_path) as journal:
        await journal.append(start())
        (writer,) = opened

        assert writer.execute("PRAGMA synchronous").fetchone() == (full,)
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_r35_transactions_of_the_same_id_are_reported_apart_each_with_its_own_energy(tmp_path: Path) -> None:
    sessions: list[list[tuple[int | None, str, int]]] = [
        [(None, "Started", 1000), (None, "Updated", 3000)],  # its end never came
        [(0, "Started", 5000), (1, "Ended", 9000)],
        [(0, "Started", 9000), (1, "Updated", 9500), (2, "Ended", 14_000)],
        [(0, "Started", 14_000), (0, "Updated", 14_700)],
    ]
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:00:00Z") as journal:
        for number, session in enumerate(sessions):
            for minute, (sequence, kind, energy) in enumerate(session):
                at = f"2026-11-22T1{number}:0{minute}:00Z"
                assert await journal.append(event(sequence, kind, at=at, energy=energy)) == Receipt()
        records = await journal.transactions_since("")

    assert [(each.transaction_id, each.started[11:13], each.energy_wh, each.reason) for each in records] == [
        ("t-1", "10", 2000, "Superseded"),
        ("t-1", "11", 4000, ""),
        ("t-1", "12", 5000, ""),
        ("t-1", "13", 700, None),
    ]
    assert rows(tmp_path, "SELECT count(*) FROM events GROUP BY transaction_key ORDER BY min(id)") == [
        (len(session),) for session in sessions
    ]


async def test_the_start_that_comes_late_says_when_a_transaction_began(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:30:00Z") as journal:
        await journal.append(event(1, at="2026-11-22T12:10:00Z", energy=300))
        await journal.append(event(0, "Started", at="2026-11-22T12:00:00Z", energy=100))
        await journal.append(event(2, at="2026-11-22T12:20:00Z", energy=700))
        (record,) = await journal.transactions_since("")

    assert (record.started, record.energy_wh) == ("2026-11-22T12:00:00Z", 600)


async def test_the_security_log_holds_what_was_appended(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        await journal.append(SecurityEvent("CP-1", "TamperDetectionActivated", "lid", "yesterday", "[2]"))

    sql = "SELECT received, station, kind, detail, timestamp, text FROM security_events"
    assert rows(tmp_path, sql) == [
        ("2026-11-22T12:00:00Z", "CP-1", "TamperDetectionActivated", "lid", "yesterday", "[2]")
    ]


@pytest.mark.parametrize(
    "entry",
    [
        TransactionStart("CP-1", "[2]", 2**63, "", 0, ""),
        TransactionSample("CP-1", "\ud800", None),
    ],
    ids=["too large", "surrogate"],
)
async def test_r36_an_entry_that_cannot_be_stored_is_a_fault_of_its_own_only(tmp_path: Path, entry: Entry) -> None:
    async with a_journal(tmp_path) as journal:
        await journal.append(start(at="warm"))
        faults = 0

        async def append(each: Entry) -> None:
            nonlocal faults
            try:
                await journal.append(each)
            except JournalFault:
                faults += 1

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(append, start(f"CP-{number}"))
                if number == 5:
                    nursery.start_soon(append, entry)
        assert faults == 1
        assert sum((await journal.open_transactions()).values()) >= 10


async def test_r36_many_that_wait_are_stored_together(tmp_path: Path) -> None:
    """One fsync for all that queued during the last: 500 appends take a few commits, not 500."""
    async with a_journal(tmp_path) as journal:
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(journal.append, start(f"CP-{number}"))

        assert sum((await journal.open_transactions()).values()) == 500
    assert len(rows(tmp_path, "SELECT DISTINCT transaction_id FROM transactions")) == 500


async def test_what_is_queued_at_the_end_is_stored_first(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery, a_journal(tmp_path) as journal:
        for number in range(50):
            nursery.start_soon(journal.append, start(f"CP-{number}"))
        await trio.lowlevel.checkpoint()
    assert rows(tmp_path, "SELECT count(*) FROM transactions") == [(50,)]


async def test_a_caller_that_is_cancelled_leaves_the_journal_working(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.append(start())
        number = await started(journal, start())

        assert await journal.append(start()) == Receipt(number, is_repeat=True)
    assert rows(tmp_path, "SELECT count(*) FROM transactions") == [(1,)]


async def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "j.sqlite3")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    before = (tmp_path / "j.sqlite3").read_bytes()

    with pytest.raises(JournalFault, match=f"version {SCHEMA_VERSION + 1}"):
        async with a_journal(tmp_path):
            pass

    assert rows(tmp_path, "SELECT count(*) FROM sqlite_master") == [(0,)]
    assert before


async def test_a_file_that_is_no_journal_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite3").write_bytes(b"this is no database, and long enough to be one" * 100)

    with pytest.raises(JournalFault, match=r"j\.sqlite3"):
        async with a_journal(tmp_path):
            pass


async def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "j.sqlite3")
    database.execute("CREATE TABLE events (x)")
    database.close()

    with pytest.raises(JournalFault, match="events"):
        async with a_journal(tmp_path):
            pass


async def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite3").mkdir()

    with pytest.raises(JournalFault, match=r"j\.sqlite3"):
        async with a_journal(tmp_path):
            pass


@contextmanager
def no_room_on_the_disk(bytes_a_file: int) -> Iterator[None]:
    """Let no file of this process grow past `bytes_a_file`: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_r36_a_full_disk_is_a_fault_and_all_is_well_once_there_is_room(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        number = await started(journal, start())
        with no_room_on_the_disk((tmp_path / "j.sqlite3-wal").stat().st_size):
            with pytest.raises(JournalFault, match=r"disk|full"):
                await journal.append(start(at="later"))
            assert await journal.open_transactions() == {"CP-1": 1}

        assert await journal.append(start()) == Receipt(number, is_repeat=True)
        assert await started(journal, start(at="later")) == number + 1


async def test_r36_a_fault_is_shown_until_something_is_stored_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:00:00Z") as journal:
        with pytest.raises(JournalFault):
            await journal.append(TransactionSample("CP-1", "\ud800", None))
        assert journal.fault is not None

        await journal.append(start())

        assert journal.fault is None


async def test_a_file_of_the_first_version_is_brought_up_with_all_that_is_in_it(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "j.sqlite3")
    database.executescript((Path(__file__).parent.parent / "data" / "journal-1.sql").read_text())
    database.close()

    async with a_journal(tmp_path) as journal:
        assert await journal.open_transactions() == {"CP-2": 1, "CP-3": 1}
        ended = event(1, "Ended", station="CP-3", transaction="t-9", at="2026-11-20T09:00:00Z")
        said: dict[str, Any] = {"eventType": "Ended", "timestamp": ended.timestamp, "triggerReason": "StopAuthorized"}
        said |= {"seqNo": 1, "transactionInfo": {"transactionId": "t-9"}, "offline": True}
        again = msgspec.structs.replace(ended, content=content_of(said, ""))
        assert await journal.append(again) == Receipt(is_repeat=True)
        assert await journal.append(ended) == Receipt()
        late = event(0, "Started", station="CP-3", transaction="t-8", at="2026-11-20T07:00:00Z")
        assert await journal.append(late) == Receipt()
        assert [each.started for each in await journal.open_of_station("CP-3")] == ["2026-11-20T07:00:00Z"]
        assert await started(journal, start("CP-9")) == 4713
        await journal.append(StationFact("CP-1", "boot", "[2]"))

    assert rows(tmp_path, "SELECT station, ended FROM transactions ORDER BY key")[:2] == [
        ("CP-1", "2026-11-20T08:00:00Z"),
        ("CP-2", None),
    ]
    assert rows(tmp_path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


async def test_facts_of_a_station_are_replaced_forgotten_and_found_by_the_next_run(tmp_path: Path) -> None:
    async with a_journal(tmp_path) as journal:
        for fact in (("CP-1", "boot", "a"), ("CP-1", "boot", "b"), ("CP-1", "list", "c"), ("CP-2", "boot", "d")):
            await journal.append(StationFact(*fact))
        await journal.append(StationFact("CP-1", "list", None))

    async with a_journal(tmp_path) as journal:
        assert await journal.facts_of("CP-1") == {"boot": "b"}
        assert await journal.facts_of("CP-9") == {}
        assert [journal.has_fact(*fact) for fact in (("CP-1", "boot"), ("CP-1", "list"), ("CP-2", "boot"))] == [
            True,
            False,
            True,
        ]


def a_job(*, may_wait: bool) -> Job:
    return Job(lambda database: None, may_wait=may_wait)


def spent(seconds: float) -> Pace:
    """A pace whose free commits are spent: the next group of samples is due after so many seconds."""
    pace = Pace()
    while pace.moment() < time.monotonic() + seconds:
        pace.spend(time.monotonic())
    return pace


def queued(*jobs: Job | None) -> "queue.Queue[Job | None]":
    waiting: queue.Queue[Job | None] = queue.Queue()
    for job in jobs:
        waiting.put(job)
    return waiting


def test_r36_samples_go_at_once_while_free_commits_are_left_and_then_one_group_an_interval() -> None:
    pace = Pace()
    moments = []
    for _ in range(FREE_COMMITS + 2):
        moments.append(max(0.0, pace.moment() - 1000.0))
        pace.spend(1000.0)

    assert moments[:FREE_COMMITS] == [0.0] * FREE_COMMITS
    assert moments[FREE_COMMITS:] == [GATHER_WITHIN_S, 2 * GATHER_WITHIN_S]


def test_r36_a_start_never_waits_and_takes_the_samples_along() -> None:
    jobs = [a_job(may_wait=True), a_job(may_wait=True), a_job(may_wait=False)]

    assert next_batch(queued(*jobs), spent(3600)) == (jobs, False)


def test_r36_samples_alone_wait_for_their_interval_and_no_longer() -> None:
    jobs = [a_job(may_wait=True), a_job(may_wait=True)]
    before = time.monotonic()

    batch = next_batch(queued(*jobs), spent(0.01))

    assert batch == (jobs, False)
    assert time.monotonic() - before >= 0.01


def test_r36_a_group_that_is_large_enough_goes_at_once() -> None:
    jobs = [a_job(may_wait=True) for _ in range(GATHERED)]

    assert next_batch(queued(*jobs), spent(3600)) == (jobs, False)


def test_what_waits_at_the_end_goes_with_the_end() -> None:
    jobs = [a_job(may_wait=True)]

    assert next_batch(queued(*jobs, None), spent(3600)) == (jobs, True)


_WRITER = """
import sys, trio
from pathlib import Path
from pointsman_agent.entries import TransactionEvent, TransactionStart
from pointsman_agent.journal import open_journal

async def station(journal, name):
    for number in range(10**9):
        start = TransactionStart(name, "[2]", 1, "04AB", number, "2026-11-22T12:00:00Z")
        receipt = await journal.append(start)
        print("start", name, number, receipt.transaction_id, flush=True)
        await journal.append(TransactionEvent(name, "[2]", "t", number, "Updated", "", "2026-11-22T12:00:00Z", "", 0))
        print("event", name, number, 0, flush=True)

async def main():
    async with open_journal(Path(sys.argv[1]), lambda: "2026-11-22T12:00:00Z") as journal:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(station, journal, f"CP-{number}")

trio.run(main)
"""


def receipts_until_a_kill(path: Path, count: int) -> list[list[str]]:
    """Let a process append to a journal, kill it once it has told `count` receipts, and return all that it told."""
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        lines = [process.stdout.readline() for _ in range(count)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()  # what was printed before the kill arrived
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("count", [1, 40, 333])
async def test_r36_nothing_that_was_receipted_is_lost_or_doubled_by_a_kill(tmp_path: Path, count: int) -> None:
    told = await trio.to_thread.run_sync(receipts_until_a_kill, tmp_path / "j.sqlite3", count)

    async with a_journal(tmp_path) as journal:
        await journal.append(SecurityEvent("", "", "", ""))  # it still stores
    starts = rows(tmp_path, "SELECT station, meter_start, transaction_id FROM transactions WHERE meter_start NOT NULL")
    events = rows(tmp_path, "SELECT station, sequence FROM events WHERE kind = 'Updated'")

    assert len(told) >= count
    assert {(name, int(number), given) for kind, name, number, given in told if kind == "start"} <= set(starts)
    assert {(name, int(number)) for kind, name, number, _ in told if kind == "event"} <= set(events)
    assert len({(station, meter) for station, meter, _ in starts}) == len(starts)
    assert len({given for *_, given in starts}) == len(starts)
    assert len(set(events)) == len(events)


async def test_reports_keep_the_newest_oldest_first_over_any_number_of_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_agent.journal.sqlite.PAGE", 3)
    clock = FakeClock()
    async with open_journal(tmp_path / "j.sqlite3", lambda: rfc3339(clock.now())) as journal:
        for number in range(20):
            await journal.append(start(f"CP-{number:02}"))
            await journal.append(SecurityEvent(f"CP-{number:02}", "x", "", ""))
            clock.advance(minutes=number % 2)  # two share each time of receipt
        names = [f"CP-{number:02}" for number in range(20)]

        assert [each.station for each in await journal.transactions_since("")] == names
        assert [each.station for each in await journal.transactions_since("", 7)] == names[-7:]
        later = await journal.transactions_since("2026-11-22T12:05:00Z")
        assert [each.station for each in later] == names[10:]
        assert [each.station for _, each in await journal.security_events_since("")] == names
        assert [each.station for _, each in await journal.security_events_since("", 7)] == names[-7:]
        log = await journal.security_events_since("2026-11-22T12:05:00Z")
        assert [(at, each.station) for at, each in log[:2]] == [
            ("2026-11-22T12:05:00Z", "CP-10"),
            ("2026-11-22T12:05:00Z", "CP-11"),
        ]


async def test_transactions_of_the_same_id_and_moment_are_all_in_a_report_of_several_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_agent.journal.sqlite.PAGE", 1)
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:00:00Z") as journal:
        for energy in (0, 1000, 2000):
            await journal.append(event(0, "Started", energy=energy))
            await journal.append(event(1, "Ended", energy=energy + 500))

        assert [each.energy_wh for each in await journal.transactions_since("")] == [500, 500, 500]


async def test_what_a_station_sends_is_stored_between_the_pages_of_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_agent.journal.sqlite.PAGE", 1)
    ended: list[str] = []
    async with open_journal(tmp_path / "j.sqlite3", lambda: "2026-11-22T12:00:00Z") as journal:
        for number in range(50):
            await journal.append(start(f"CP-{number:02}"))

        async def report() -> None:
            await journal.transactions_since("")
            ended.append("report")

        async def store() -> None:
            await journal.append(start("NEW"))
            ended.append("start")

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(report)
                nursery.start_soon(store)

    assert ended == ["start", "report"]
