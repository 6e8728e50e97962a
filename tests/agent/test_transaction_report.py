"""Transactions as the interface, the table and CSV show them, whatever stations take time and badge to be."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from pointsman_agent.entries import SecurityEvent, TransactionRecord, TransactionStart, TransactionStop
from pointsman_agent.inforce import Holder
from pointsman_agent.journal import open_journal
from pointsman_agent.lookingin import SecurityLog
from pointsman_agent.preparation import prepare
from pointsman_agent.redaction import Redactor
from pointsman_agent.remotecontrol import TransactionReport, transaction_row
from pointsman_agent.transactioncsv import transactions_csv
from pointsman_agent.transactiontables import transactions_text
from pointsman_schema.bundle import read_payload
from pointsman_schema.envelope import open_unverified
from support.fakes import FakeSecrets
from support.sites import a_bundle, a_config

RECEIVED = "2026-11-22T12:00:00Z"


def a_record(started: str, stopped: str | None = None) -> TransactionRecord:
    ended = None if stopped is None else RECEIVED
    return TransactionRecord("LOC-01", "7", "04ab", 1, started, RECEIVED, stopped, ended, 1000, "Local")


@pytest.mark.parametrize(
    ("written", "time_zone"),
    [("9999-12-31T23:59:59Z", "Europe/Paris"), ("0001-01-01T00:00:00Z", "America/St_Johns")],
)
def test_a_time_that_the_sites_zone_cannot_hold_is_shown_as_written(written: str, time_zone: str) -> None:
    row = transaction_row(a_record(written, written), time_zone)

    assert (row["started"], row["ended"]) == (written, written)


def test_what_is_no_time_is_replaced_by_when_it_was_received() -> None:
    row = transaction_row(a_record("noon", ""), "Europe/Paris")

    assert (row["started"], row["ended"]) == ("2026-11-22T13:00:00+01:00", "2026-11-22T13:00:00+01:00")


@pytest.mark.parametrize(("count", "is_cut"), [(3, False), (4, True)])
async def test_a_report_of_too_many_keeps_the_newest_and_says_so(count: int, is_cut: bool) -> None:
    records = [a_record(f"2026-11-22T12:00:0{number}Z") for number in range(count)]

    async def read(moment: str, at_most: int) -> list[TransactionRecord]:
        return records[-at_most:]

    rows, said = await TransactionReport(Holder(), read).rows(None, most=3)

    assert [row["started"] for row in rows] == [f"2026-11-22T12:00:0{n}+00:00" for n in range(count - 3, count)]
    assert said is is_cut


async def test_a_security_log_of_too_many_keeps_the_newest_and_says_so() -> None:
    events = [(RECEIVED, SecurityEvent(f"CP-{number}", "x", "", "")) for number in range(4)]

    async def read(moment: str, at_most: int) -> list[tuple[str, SecurityEvent]]:
        return events[-at_most:]

    rows, is_cut = await SecurityLog(read, Redactor(b"key"), most=3).rows(None)

    assert [row["station"] for row in rows] == ["CP-1", "CP-2", "CP-3"]
    assert is_cut


def test_the_table_shows_the_offset_of_times_where_it_changes() -> None:
    times = [
        ("2026-10-24T22:00:00Z", "2026-10-24T23:00:00Z"),
        ("2026-10-25T00:30:00Z", "2026-10-25T01:15:00Z"),  # 02:30 to 02:15, by clocks that were set back at 03:00
        ("2026-10-25T08:00:00Z", "2026-10-25T09:00:00Z"),
        ("2026-10-25T10:00:00Z", None),
    ]
    lines = transactions_text([transaction_row(a_record(*each), "Europe/Paris") for each in times]).splitlines()

    assert max(map(len, lines)) <= 80
    assert [line.split()[2:6] for line in lines[1:3]] == [
        ["2026-10-25", "00:00", "2026-10-25", "01:00"],
        ["2026-10-25", "02:30", "2026-10-25", "02:15"],
    ]
    assert lines[3].split() == ["+02:00", "+01:00"]
    assert len(lines) == 6


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\x00", "\x7f", "\u202e"])
def test_what_a_terminal_would_act_on_is_in_neither_table_nor_csv(character: str) -> None:
    odd = f"a{character}[2Jb"
    record = TransactionRecord("LOC-01", odd, odd, 1, odd, RECEIVED, odd, RECEIVED, 1000, odd)
    row = transaction_row(record, "Europe/Paris")
    (read_back,) = csv.DictReader(StringIO(transactions_csv([row])))

    assert character not in transactions_text([row]) + transactions_csv([row])
    escaped = f"a{character.encode('unicode_escape').decode()}[2Jb"
    assert [read_back[name] for name in ("transactionId", "badge", "reason")] == [escaped] * 3


def test_what_is_printable_is_in_csv_as_it_is() -> None:
    record = TransactionRecord("LOC-01", "é漢字\\n", "04ab", 1, RECEIVED, RECEIVED, None, None, None, None)

    assert ",é漢字\\n," in transactions_csv([transaction_row(record, "UTC")])


@pytest.mark.parametrize(
    ("time_zone", "start", "stop", "local"),
    [
        # Half an hour comes twice: 01:45+11:00, then 01:45+10:30.
        (
            "Australia/Lord_Howe",
            "2026-04-04T14:45:00Z",
            "2026-04-04T15:15:00Z",
            ("2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"),
        ),
        # Half an hour is left out: 02:00 becomes 02:30.
        (
            "Australia/Lord_Howe",
            "2026-10-03T15:29:59Z",
            "2026-10-03T15:30:00Z",
            ("2026-10-04T01:59:59+10:30", "2026-10-04T02:30:00+11:00"),
        ),
        (
            "America/St_Johns",
            "2026-11-01T04:00:00Z",
            "2026-11-01T05:00:00Z",
            ("2026-11-01T01:30:00-02:30", "2026-11-01T01:30:00-03:30"),
        ),
        (
            "America/St_Johns",
            "2026-03-08T05:29:59Z",
            "2026-03-08T05:30:00Z",
            ("2026-03-08T01:59:59-03:30", "2026-03-08T03:00:00-02:30"),
        ),
    ],
    ids=["Lord Howe, autumn", "Lord Howe, spring", "St Johns, autumn", "St Johns, spring"],
)
async def test_r42_reports_of_the_night_in_which_the_clocks_change(
    tmp_path: Path, time_zone: str, start: str, stop: str, local: tuple[str, str]
) -> None:
    holder = Holder()
    holder.current = prepare(read_payload(open_unverified(a_bundle(a_config(time_zone=time_zone)))), FakeSecrets())
    async with open_journal(tmp_path / "j.sqlite3", lambda: stop) as journal:
        receipt = await journal.append(TransactionStart("LOC-01", "[2]", 1, "04ab", 0, start))
        assert receipt.transaction_id is not None
        await journal.append(TransactionStop("LOC-01", "[2]", receipt.transaction_id, 1000, stop, "Local"))
        report, _ = await TransactionReport(holder, journal.transactions_since).rows(None)
        rows = list(report)

    assert [(row["started"], row["ended"]) for row in rows] == [local]
    (read_back,) = csv.DictReader(StringIO(transactions_csv(rows)))
    assert (read_back["started"], read_back["ended"]) == local
    shown = transactions_text(rows)
    assert [moment[11:16] in shown and moment[-6:] in shown for moment in local] == [True, True]
