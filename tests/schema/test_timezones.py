"""The pinned zones: which names there are, what is meant by others, when offsets change."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from pointsman_schema.timezones import canonical_zone, next_transition, tzdata_version, zone, zone_names


def test_zone_names_are_sorted_and_hold_links_of_zone_tab_and_utc() -> None:
    names = zone_names()

    assert list(names) == sorted(set(names))
    assert {"Europe/Paris", "Europe/Amsterdam", "UTC"} <= set(names)
    assert not {"US/Pacific", "Europe/Kiev", "EST", "Etc/GMT+1"} & set(names)


def test_every_name_is_a_zone_of_the_package_and_means_itself() -> None:
    for name in zone_names():
        assert zone(name).key == name
        assert canonical_zone(name) == name


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("US/Pacific", "America/Los_Angeles"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("europe/kiev", "Europe/Kyiv"),
        ("europe/paris", "Europe/Paris"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Zulu", "UTC"),
        ("Etc/UTC", "UTC"),
        ("utc", "UTC"),
    ],
)
def test_aliases_and_other_cases_are_understood(written: str, meant: str) -> None:
    assert canonical_zone(written) == meant


@pytest.mark.parametrize("written", ["", "Paris", "Etc/GMT+1", "../../etc/passwd", "Europe/Paris\n"])
def test_what_is_no_alias_means_nothing(written: str) -> None:
    assert canonical_zone(written) is None


@pytest.mark.parametrize("name", ["US/Pacific", "../../../etc/passwd", "/etc/localtime", ""])
def test_a_name_outside_the_list_is_no_zone(name: str) -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        zone(name)


def test_zones_do_not_come_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ("/nowhere",))
    zone.cache_clear()

    assert datetime(2026, 7, 1, tzinfo=zone("Europe/Paris")).utcoffset() == timedelta(hours=2)


def test_the_next_transition_is_the_very_second_and_its_new_offset() -> None:
    # EU Directive 2000/84/EC: last Sundays of March and October, 01:00 UTC.
    autumn = datetime(2026, 10, 25, 1, tzinfo=UTC)

    assert next_transition("Europe/Paris", datetime(2026, 7, 1, tzinfo=UTC)) == (autumn, timedelta(hours=1))
    assert next_transition("Europe/Paris", autumn - timedelta(microseconds=1)) == (autumn, timedelta(hours=1))
    assert next_transition("Europe/Paris", autumn) == (datetime(2027, 3, 28, 1, tzinfo=UTC), timedelta(hours=2))


def test_a_zone_without_rules_has_no_transition() -> None:
    assert next_transition("UTC", datetime(2026, 7, 1, tzinfo=UTC)) is None
    assert next_transition("Asia/Kolkata", datetime(2026, 7, 1, tzinfo=UTC)) is None


def test_the_version_is_that_of_the_package() -> None:
    assert tzdata_version().startswith("20")
