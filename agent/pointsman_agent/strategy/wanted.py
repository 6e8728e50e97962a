"""The configuration in force → what a station of a local group should have (rules 37 and 42). Pure."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec
from pointsman_schema.bundle import Badge, Group
from pointsman_schema.timezones import zone

from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.routing import Routing
from pointsman_agent.strategy.zonetime import clock_variables

LONGEST_ID_TAG: Final = 20  # OCPP 1.6 section 7.28


class ListEntry(msgspec.Struct, frozen=True):
    """A badge in a local list: its number and 2.x type, when it expires (RFC 3339, UTC), whether it goes first."""

    number: str
    type: str
    expires: str | None
    vip: bool


class Wanted(msgspec.Struct, frozen=True):
    """What a station should have. `entries` is its local list by folded number, empty unless `uses_list`.

    `keys` are what the site wants set besides, by the version's own names; `clock` the variables of rule 42.
    """

    uses_list: bool
    authorizes_offline: bool
    admits_unknown: bool
    entries: dict[str, ListEntry]
    keys: dict[str, str]
    clock: dict[str, str]
    notes: tuple[str, ...] = ()


def wanted_of(routing: Routing, group_name: str, protocol: str, now: datetime) -> Wanted:
    """Return what stations of the local group `group_name` that speak `protocol` should have at `now` (aware)."""
    group = routing.config.groups[group_name]
    assert group.authentication is not None
    offline = group.authentication.offline
    is_16 = protocol == "ocpp1.6"
    entries = _entries(routing, group_name, group, now) if offline == "known" else {}
    too_long = [number for number in entries if is_16 and len(number) > LONGEST_ID_TAG]
    notes = (f"{len(too_long)} badges are too long for OCPP 1.6 and not in the list",) if too_long else ()
    return Wanted(
        uses_list=offline == "known",
        authorizes_offline=offline != "none",
        admits_unknown=offline == "any",
        entries={number: entry for number, entry in entries.items() if number not in too_long},
        keys={name: value for name, value in sorted(group.station_keys.items()) if ("." in name) is not is_16},
        clock={} if is_16 else clock_variables(routing.config.time_zone, now),
        notes=notes,
    )


def expires_at(until: str, time_zone: str) -> datetime:
    """Return the first instant, in UTC, at which a badge whose last day is `until` is no longer valid."""
    day_after = date.fromisoformat(until) + timedelta(days=1)
    return datetime.combine(day_after, time(), zone(time_zone)).astimezone(UTC)


def _entries(routing: Routing, group_name: str, group: Group, now: datetime) -> dict[str, ListEntry]:
    """The badges that would be accepted online, by number; `any` ignores the flag, as the online decision does."""
    assert group.authentication is not None
    ignores_flag = group.authentication.online == "any"
    return {
        number: _entry(number, badge, routing.config.time_zone)
        for number, badge in sorted(routing.badges.items())
        if group_name in badge.groups
        and (badge.authorized or ignores_flag)
        and not (badge.until is not None and expires_at(badge.until, routing.config.time_zone) <= now)
    }


def _entry(number: str, badge: Badge, time_zone: str) -> ListEntry:
    expires = None if badge.until is None else rfc3339(expires_at(badge.until, time_zone))
    return ListEntry(number, badge.type, expires, badge.vip)
