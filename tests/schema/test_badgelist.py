"""The reader of badge lists: what spreadsheets write is read, and faults have a place and never a badge's number."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_schema.badgelist import (
    COLUMNS,
    FAULTS_AT_MOST,
    LARGEST_BYTES,
    BadgeEntry,
    fold_badge,
    read_badge_list,
)


def entries(text: str) -> tuple[BadgeEntry, ...]:
    found = read_badge_list(text.encode())
    assert found.faults == ()
    return found.entries


def faults(data: str | bytes) -> list[tuple[int, int, str]]:
    found = read_badge_list(data.encode() if isinstance(data, str) else data)
    return [(fault.line, fault.column, fault.message) for fault in found.faults]


def test_empty_fields_take_defaults() -> None:
    (entry,) = entries("badge,groups,type,authorized,vip,until,comment\n04A2,,,,,,\n")

    assert entry == BadgeEntry(2, "04A2", "04a2", (), "ISO14443", False, False, None, "")


def test_columns_come_in_any_order_with_any_of_three_delimiters() -> None:
    for delimiter in ",;\t":
        lines = ["until,badge,groups,authorized,vip", "2027-01-31,04A2,staff|visitors,TRUE,False"]

        (entry,) = entries("\n".join(lines).replace(",", delimiter))

        assert (entry.until, entry.groups, entry.authorized, entry.vip) == (
            "2027-01-31",
            ("staff", "visitors"),
            True,
            False,
        )


def test_a_delimiter_in_quotes_and_doubled_quotes_belong_to_the_field() -> None:
    (entry,) = entries('badge;comment\n04A2;"Anna; ""the first"""\n')

    assert entry.comment == 'Anna; "the first"'


def test_a_byte_order_mark_and_windows_line_ends_do_not_count() -> None:
    found = read_badge_list(b"\xef\xbb\xbfbadge,vip\r\n04A2,true\r\n\r\n04A3,\r\n")

    assert [(entry.line, entry.badge) for entry in found.entries] == [(2, "04A2"), (4, "04A3")]


def test_the_same_badge_in_another_case_is_a_fault_at_its_second_line() -> None:
    assert faults("badge\n04a2\n04A2\n") == [(3, 1, "this badge stands in line 2 already")]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "the list is empty"),
        ("\n\n", (1, 1), "the list is empty"),
        ("04A2B1\n04A2B2\n", (1, 1), "the first line is no header"),
        ("groups,vip\n", (1, 1), "there is no column `badge`"),
        ("badge,authorised\n", (1, 7), "`authorised` is no column"),
        ("badge,vip,vip\n", (1, 11), "the column `vip` stands twice"),
        ("badge,vip\nA\n", (2, 1), "this line has 1 fields, the header 2"),
        ("badge,vip\n,true\n", (2, 1), "the badge is missing"),
        ("badge,vip\nA,yes\n", (2, 3), "this is neither true nor false"),
        ("badge,until\nA,2027-02-29\n", (2, 3), "this is no day"),
        ("badge,until\nA,31.01.2027\n", (2, 3), "this is no day"),
        ("badge,type\nA,RFID\n", (2, 3), "this is no token type"),
        ("badge,groups\nA,a||b\n", (2, 3), "a group's name is missing"),
        ("badge,groups\nA,a|a\n", (2, 3), "a group stands twice"),
        ("badge\n" + "A" * 37, (2, 1), "this is no badge's number"),
        ("badge\nÄ1\n", (2, 1), "this is no badge's number"),
        ('badge,comment\nA,"x\ny"\n', (2, 3), "a control character stands in this field"),
        ('badge,comment\nA,x"y\n', (2, 4), "a quote stands here that neither opens nor closes a field"),
        ('badge,comment\nA,"x\n', (2, 3), "a quote stands here that neither opens nor closes a field"),
    ],
)
def test_a_fault_has_its_place(text: str, place: tuple[int, int], message: str) -> None:
    assert (*place, message) in faults(text)


def test_all_faults_are_found_in_one_reading() -> None:
    assert [line for line, _, _ in faults("badge,vip\nA,x\nB,true\nC,y\n")] == [2, 4]


def test_lines_after_a_line_break_in_quotes_keep_their_numbers() -> None:
    assert (4, 3, "this is neither true nor false") in faults('badge,vip\n"A\nB",true\nC,x\n')


def test_what_is_not_utf8_names_the_byte() -> None:
    assert faults(b"badge,comment\nA,\xe9t\xe9\n") == [(2, 3, "the list is not UTF-8: byte 0xE9")]


def test_more_than_16_mib_is_refused_unread() -> None:
    assert "more than 16 MiB" in faults(b"a" * (LARGEST_BYTES + 1))[0][2]


def test_a_list_of_the_wrong_kind_does_not_fault_for_ever() -> None:
    assert len(faults("badge,vip\n" + "A,maybe\n" * 10_000)) <= FAULTS_AT_MOST + 1
    assert faults("badge\n" + "," * 1_000_000) == [(2, 1, "this line has more than 100 fields")]


def test_faults_never_repeat_what_stands_in_a_row() -> None:
    text = (
        "badge,groups,type,vip,until\n"
        + "04SECRET77\n"
        + "04SECRET77,04SECRET77||,04SECRET77,04SECRET77,04SECRET77\n" * 2
    )

    found = read_badge_list(text.encode())

    assert found.faults
    assert "SECRET" not in repr(found.faults)


@given(st.binary(max_size=400))
def test_any_bytes_give_entries_or_faults_with_a_place(data: bytes) -> None:
    found = read_badge_list(data)

    assert all(fault.line >= 1 and fault.column >= 1 for fault in found.faults)


@given(st.text(alphabet='badge,;\t"\n\r |true', max_size=60))
def test_any_text_after_a_header_gives_entries_or_faults(text: str) -> None:
    read_badge_list(f"badge,vip\n{text}".encode())


FIELDS = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
NUMBERS = st.from_regex(r"[0-9A-Za-z]{1,20}", fullmatch=True)


@given(st.dictionaries(NUMBERS.map(str.lower), FIELDS, min_size=1, max_size=5), st.sampled_from([",", ";", "\t"]))
def test_what_the_standard_library_writes_is_read_back(comments: dict[str, str], delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("badge", "comment"), *comments.items()])

    found = read_badge_list(text.getvalue().replace('"badge"', "badge", 1).encode())

    assert found.faults == ()
    assert {entry.badge: entry.comment for entry in found.entries} == comments


def test_folding_touches_ascii_alone() -> None:
    assert fold_badge("04A2-ÄZ") == "04a2-Äz"
    assert COLUMNS[0] == "badge"
