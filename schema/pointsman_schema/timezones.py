"""Time zones, all from the pinned `tzdata` package: never from the system, whose data differs from machine to machine.

The names are those of `zone.tab` and UTC: one for every place that people look for, links such as Europe/Amsterdam
included. Everything else in the database (US/Pacific, Europe/Kiev, EST) is an alias of one of them.
"""

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata, resources
from itertools import takewhile
from typing import Final

SEARCHED_DAYS: Final = 2 * 366
"""How far `next_transition` looks ahead: a zone with rules has one every year."""


@cache
def zone_names() -> tuple[str, ...]:
    """Return every name that a site may have as its `timeZone`, sorted."""
    rows = (line.split("\t") for line in _read("zone.tab").splitlines() if line and not line.startswith("#"))
    return tuple(sorted({row[2] for row in rows} | {"UTC"}))


def canonical_zone(name: str) -> str | None:
    """Return the name of `zone_names` that `name` means, or None.

    Aliases of the database and another case are understood: `US/Pacific` is America/Los_Angeles, `europe/kiev` is
    Europe/Kyiv. A name of `zone_names` means itself.
    """
    return _meanings().get(name.lower())


@cache
def tzdata_version() -> str:
    """Return the version of the `tzdata` package, such as `2026.6`."""
    return metadata.version("tzdata")


@cache
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone `name`, one of `zone_names`; raises zoneinfo.ZoneInfoNotFoundError for any other name."""
    if name not in _known():
        raise zoneinfo.ZoneInfoNotFoundError(f"no time zone {name!r} in tzdata {tzdata_version()}")
    with _folder().joinpath(*name.split("/")).open("rb") as data:
        return zoneinfo.ZoneInfo.from_file(data, key=name)


def next_transition(name: str, after: datetime) -> tuple[datetime, timedelta] | None:
    """Return the first instant after `after` (aware) at which the zone's offset changes, in UTC, and the new offset.

    None where there is none within two years. Raises zoneinfo.ZoneInfoNotFoundError.
    """
    place = zone(name)
    start = after.astimezone(UTC)
    before = _offset(place, start)
    same = takewhile(lambda day: _offset(place, start + timedelta(day)) == before, range(1, SEARCHED_DAYS + 1))
    days = sum(1 for _ in same)
    if days == SEARCHED_DAYS:
        return None
    early, late = start + timedelta(days), start + timedelta(days + 1)
    # Transitions lie on whole seconds (RFC 8536 section 3.2), so that halving ends at the very one.
    early, late = early.replace(microsecond=0), late.replace(microsecond=0)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        early, late = (middle, late) if _offset(place, middle) == before else (early, middle)
    return late, _offset(place, late)


def _offset(place: zoneinfo.ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(place).utcoffset() or timedelta(0)


@cache
def _known() -> frozenset[str]:
    return frozenset(zone_names())


@cache
def _meanings() -> Mapping[str, str]:
    links = _links()
    known = _known() | {"Etc/UTC"}
    meanings: dict[str, str] = {}
    for alias in sorted(links):
        target = alias
        while target not in known and target in links:
            target = links[target]
        if target in known:
            meanings[alias.lower()] = "UTC" if target == "Etc/UTC" else target
    return meanings | {name.lower(): name for name in zone_names()} | {"etc/utc": "UTC"}


def _links() -> dict[str, str]:
    """`L target alias` in tzdata.zi (zic(8), "Link lines")."""
    rows = (line.split() for line in _read("tzdata.zi").splitlines() if line.startswith("L "))
    return {alias: target for _, target, alias in rows}


def _folder() -> resources.abc.Traversable:
    return resources.files("tzdata") / "zoneinfo"


def _read(name: str) -> str:
    return (_folder() / name).read_text(encoding="utf-8")
