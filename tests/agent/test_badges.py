"""Decisions on badges: strategies, groups, the last day in the site's zone."""

from datetime import UTC, date, datetime

import pytest
from pointsman_agent.badges import Decision, Verdict, decide
from pointsman_schema.bundle import Badge
from support.fakes import NOON
from support.sites import a_badge, a_local_group


def decision_on(
    badge: Badge | None,
    *,
    online: str = "known",
    concurrent: str = "allow",
    now: datetime = NOON,
    zone: str = "Europe/Paris",
    is_charging: bool = False,
) -> Decision:
    group = a_local_group(online, concurrent)
    return decide(badge, group_name="staff", group=group, now=now, time_zone=zone, is_charging=is_charging)


KNOWN = a_badge("staff")
UNAUTHORIZED = a_badge("staff", authorized=False)
OF_OTHERS = a_badge("visitors")
EXPIRED = a_badge("staff", until="2020-01-01")


@pytest.mark.parametrize(
    ("badge", "known", "any_badge"),
    [
        (KNOWN, Verdict.ACCEPTED, Verdict.ACCEPTED),
        (UNAUTHORIZED, Verdict.BLOCKED, Verdict.ACCEPTED),
        (OF_OTHERS, Verdict.UNKNOWN, Verdict.ACCEPTED),
        (None, Verdict.UNKNOWN, Verdict.ACCEPTED),
        (EXPIRED, Verdict.EXPIRED, Verdict.EXPIRED),
        (a_badge("staff", authorized=False, until="2020-01-01"), Verdict.EXPIRED, Verdict.EXPIRED),
        (a_badge("visitors", until="2020-01-01"), Verdict.UNKNOWN, Verdict.ACCEPTED),
        (a_badge("visitors", "staff"), Verdict.ACCEPTED, Verdict.ACCEPTED),
    ],
    ids=["known", "unauthorized", "of another group", "in no list", "expired", "both", "expired elsewhere", "in two"],
)
def test_r33_and_r34_what_each_strategy_says(badge: Badge | None, known: Verdict, any_badge: Verdict) -> None:
    assert decision_on(badge).verdict is known
    assert decision_on(badge, online="any").verdict is any_badge


@pytest.mark.parametrize(
    ("until", "zone", "last_instant", "first_after"),
    [
        ("2026-11-22", "Europe/Paris", "2026-11-22T22:59:59.999999+00:00", "2026-11-22T23:00:00+00:00"),
        ("2026-07-01", "Europe/Paris", "2026-07-01T21:59:59+00:00", "2026-07-01T22:00:00+00:00"),
        ("2026-11-22", "Pacific/Auckland", "2026-11-22T10:59:59+00:00", "2026-11-22T11:00:00+00:00"),
        ("2026-11-22", "America/Los_Angeles", "2026-11-23T07:59:59+00:00", "2026-11-23T08:00:00+00:00"),
        ("2026-11-22", "UTC", "2026-11-22T23:59:59+00:00", "2026-11-23T00:00:00+00:00"),
        # The days of the changes of Paris have 23 and 25 hours.
        ("2026-03-29", "Europe/Paris", "2026-03-29T21:59:59+00:00", "2026-03-29T22:00:00+00:00"),
        ("2026-10-25", "Europe/Paris", "2026-10-25T22:59:59+00:00", "2026-10-25T23:00:00+00:00"),
        ("2026-10-24", "Europe/Paris", "2026-10-24T21:59:59+00:00", "2026-10-24T22:00:00+00:00"),
    ],
)
def test_r33_and_r42_until_is_the_last_day_in_the_sites_zone(
    until: str, zone: str, last_instant: str, first_after: str
) -> None:
    badge = a_badge("staff", until=until)
    before, after = (
        decision_on(badge, now=datetime.fromisoformat(moment), zone=zone) for moment in (last_instant, first_after)
    )

    assert before.verdict is Verdict.ACCEPTED
    assert after.verdict is Verdict.EXPIRED
    assert before.until == after.until == date.fromisoformat(until)


def test_until_does_not_depend_on_the_zone_in_which_the_moment_is_told() -> None:
    badge = a_badge("staff", until="2026-11-22")
    moment = datetime.fromisoformat("2026-11-23T01:30:00+03:00")

    assert moment.astimezone(UTC).date() == date(2026, 11, 22)
    assert decision_on(badge, now=moment, zone="UTC").verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("online", ["known", "any"])
def test_a_badge_that_charges_elsewhere_is_refused_only_where_the_group_says_so(online: str) -> None:
    assert decision_on(KNOWN, online=online, is_charging=True).verdict is Verdict.ACCEPTED
    assert decision_on(KNOWN, online=online, concurrent="refuse", is_charging=True).verdict is Verdict.CONCURRENT
    assert decision_on(KNOWN, online=online, concurrent="refuse").verdict is Verdict.ACCEPTED


def test_what_forbids_a_badge_comes_before_its_charging_elsewhere() -> None:
    for badge, verdict in ((EXPIRED, Verdict.EXPIRED), (UNAUTHORIZED, Verdict.BLOCKED), (None, Verdict.UNKNOWN)):
        assert decision_on(badge, concurrent="refuse", is_charging=True).verdict is verdict


def test_vip_is_told_of_known_badges_and_authorizes_nothing() -> None:
    assert decision_on(a_badge("staff", vip=True)).vip
    assert decision_on(a_badge("staff", vip=True, authorized=False)) == Decision(Verdict.BLOCKED, vip=True)
    assert not decision_on(a_badge("visitors", vip=True), online="any").vip


@pytest.mark.parametrize(
    ("badge", "token_type", "expected"),
    [
        (None, "eMAID", Verdict.UNKNOWN),
        (None, "NoAuthorization", Verdict.ACCEPTED),
        (None, "ISO14443", Verdict.ACCEPTED),
        (None, None, Verdict.ACCEPTED),
        (UNAUTHORIZED, "eMAID", Verdict.ACCEPTED),
        (OF_OTHERS, "eMAID", Verdict.UNKNOWN),
    ],
)
def test_r33_where_any_badge_charges_a_contract_must_still_be_known(
    badge: Badge | None, token_type: str | None, expected: Verdict
) -> None:
    group = a_local_group("any")
    decision = decide(badge, group_name="staff", group=group, now=NOON, time_zone="Europe/Paris", token_type=token_type)

    assert decision.verdict is expected


def test_r33_a_token_of_our_own_is_accepted_whatever_the_strategy_says() -> None:
    group = a_local_group("known", "refuse")
    decision = decide(
        None, group_name="staff", group=group, now=NOON, time_zone="UTC", is_charging=True, is_own_start=True
    )

    assert decision == Decision(Verdict.ACCEPTED)
