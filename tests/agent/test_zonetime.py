"""The night of a change of the clocks: what stations are told, and until when badges are valid."""

from datetime import UTC, datetime, timedelta

import pytest
from pointsman_agent.badges import Verdict, decide
from pointsman_agent.strategy.dialects import dialect_of
from pointsman_agent.strategy.keep import keep
from pointsman_agent.strategy.wanted import Wanted, expires_at
from pointsman_agent.strategy.zonetime import NEVER, clock_variables, offset_text
from pointsman_schema.timezones import zone as zone_of
from support.plans import Bench
from support.sites import a_badge, a_local_group

SECOND = timedelta(seconds=1)
NIGHTS = [
    # zone, the change in UTC, offsets before and after, the one after that in UTC
    ("Europe/Paris", "2026-10-25T01:00:00Z", "+02:00", "+01:00", "2027-03-28T01:00:00Z"),
    ("Europe/Paris", "2026-03-29T01:00:00Z", "+01:00", "+02:00", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "+11:00", "+10:30", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", "+10:30", "+11:00", "2027-04-03T15:00:00Z"),
    ("America/St_Johns", "2026-03-08T05:30:00Z", "-03:30", "-02:30", "2026-11-01T04:30:00Z"),
    ("America/St_Johns", "2026-11-01T04:30:00Z", "-02:30", "-03:30", "2027-03-14T05:30:00Z"),
]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(("zone", "change", "before", "after", "following"), NIGHTS)
def test_r42_a_station_knows_the_change_before_it_comes_and_the_next_one_after_it(
    zone: str, change: str, before: str, after: str, following: str
) -> None:
    at = moment(change)

    assert clock_variables(zone, at - SECOND) == {
        "ClockCtrlr.TimeZone": zone,
        "ClockCtrlr.TimeOffset": before,
        "ClockCtrlr.TimeOffset[NextTransition]": after,
        "ClockCtrlr.NextTimeOffsetTransitionDateTime": change,
    }
    assert clock_variables(zone, at) == {
        "ClockCtrlr.TimeZone": zone,
        "ClockCtrlr.TimeOffset": after,
        "ClockCtrlr.TimeOffset[NextTransition]": before,
        "ClockCtrlr.NextTimeOffsetTransitionDateTime": following,
    }


def test_r42_a_zone_without_a_change_overwrites_a_stale_one() -> None:
    assert clock_variables("Asia/Tokyo", moment("2026-11-22T12:00:00Z")) == {
        "ClockCtrlr.TimeZone": "Asia/Tokyo",
        "ClockCtrlr.TimeOffset": "+09:00",
        "ClockCtrlr.TimeOffset[NextTransition]": "+09:00",
        "ClockCtrlr.NextTimeOffsetTransitionDateTime": NEVER,
    }


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "+00:00"), (330, "+05:30"), (-210, "-03:30"), (-30, "-00:30"), (840, "+14:00")]
)
def test_r42_offsets_are_written_with_their_sign(minutes: int, text: str) -> None:
    assert offset_text(timedelta(minutes=minutes)) == text


@pytest.mark.parametrize(("zone", "change", "before", "after", "following"), NIGHTS)
@pytest.mark.parametrize("days", [-1, 0, 1])
def test_r42_a_badge_ends_in_a_list_at_the_second_at_which_it_ends_online(
    zone: str, change: str, before: str, after: str, following: str, days: int
) -> None:
    until = (moment(change).astimezone(zone_of(zone)).date() + timedelta(days)).isoformat()
    end = expires_at(until, zone)

    def verdict(now: datetime) -> Verdict:
        badge = a_badge("staff", until=until)
        return decide(badge, group_name="staff", group=a_local_group(), now=now, time_zone=zone).verdict

    assert (verdict(end - SECOND), verdict(end)) == (Verdict.ACCEPTED, Verdict.EXPIRED)
    assert end.astimezone(zone_of(zone)).time().isoformat() == "00:00:00"


@pytest.mark.parametrize(
    ("until", "zone", "end"),
    [
        ("2026-10-25", "Europe/Paris", "2026-10-25T23:00:00Z"),
        ("2026-10-24", "Europe/Paris", "2026-10-24T22:00:00Z"),
        ("2026-04-05", "Australia/Lord_Howe", "2026-04-05T13:30:00Z"),
        ("2026-11-01", "America/St_Johns", "2026-11-02T03:30:00Z"),
        # In Beirut the clocks go forward at midnight: the day begins at one.
        ("2026-03-28", "Asia/Beirut", "2026-03-28T22:00:00Z"),
    ],
)
def test_r42_the_last_day_ends_at_the_sites_midnight(until: str, zone: str, end: str) -> None:
    assert expires_at(until, zone) == datetime.fromisoformat(end).astimezone(UTC)


@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Tokyo"])
def test_r42_a_station_gets_the_variables_that_it_has(zone: str) -> None:
    bench = Bench("ocpp2.0.1")
    clock = clock_variables(zone, moment("2026-11-22T12:00:00Z"))
    goal = Wanted(False, False, False, {}, {}, clock)
    bench.memory.variables["ClockCtrlr.NextTimeOffsetTransitionDateTime"] = "2020-01-01T00:00:00Z"

    assert bench.run(keep(goal, dialect_of("ocpp2.0.1"), bench.facts)).state == "in force"
    assert {name: bench.memory.variables[name] for name in clock} == clock


def test_r42_a_station_without_a_time_zone_is_left_alone() -> None:
    bench = Bench("ocpp2.0.1")
    clock = clock_variables("Europe/Paris", moment("2026-11-22T12:00:00Z"))
    for name in clock:
        del bench.memory.variables[name]

    report = bench.run(keep(Wanted(False, False, False, {}, {}, clock), dialect_of("ocpp2.0.1"), bench.facts))

    assert (report.state, report.refused) == ("in force", ())
