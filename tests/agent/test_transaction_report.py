"""Transactions as the interface and the table show them, whatever stations take the time to be."""

import pytest
from pointsman_agent.entries import SecurityEvent, TransactionRecord
from pointsman_agent.inforce import Holder
from pointsman_agent.lookingin import SecurityLog
from pointsman_agent.redaction import Redactor
from pointsman_agent.remotecontrol import TransactionReport, transaction_row
from pointsman_agent.transactiontables import transactions_text

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

    rows, said = await TransactionReport(Holder(), read, most=3).rows(None)

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
