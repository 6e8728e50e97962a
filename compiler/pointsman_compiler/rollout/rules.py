"""rollout.yaml as structs: who is in which ring, when nothing moves, which sites stay. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from pointsman_schema.timezones import zone

from pointsman_compiler.shares import is_in_share

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Ring(Struct, frozen=True, rename="camel"):
    """Sites that move together. `soak` in seconds, `share` and `most_failed` in percent."""

    name: str
    sites: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    share: int | None = None
    soak: int = 3600
    at_once: int = 500
    least_reports: int = 1
    most_failed: int = 0

    def takes(self, site: str, labels: Mapping[str, str]) -> bool:
        """Return whether the site is one of this ring, were it asked first."""
        if self.sites and not any(fnmatchcase(site, pattern) for pattern in self.sites):
            return False
        if any(labels.get(name) != value for name, value in self.labels.items()):
            return False
        return self.share is None or is_in_share(self.name, site, self.share)


class Freeze(Struct, frozen=True, rename="camel"):
    """A time when nothing moves, in the zone of each site: what all that is given share."""

    because: str
    days: tuple[str, ...] = ()
    begin: str | None = field(default=None, name="from")
    end: str | None = field(default=None, name="to")
    first_day: str | None = None
    last_day: str | None = None
    rings: tuple[str, ...] = ()

    def holds(self, local: datetime) -> bool:
        """Return whether it holds at `local`, the site's time. Hours over midnight belong to the day they begin."""
        day, clock = local.date(), local.time()
        if self.begin is not None and self.end is not None:
            begin, end = time.fromisoformat(self.begin), time.fromisoformat(self.end)
            if begin < end:
                if not begin <= clock < end:
                    return False
            elif clock < end:
                day -= timedelta(days=1)
            elif clock < begin:
                return False
        if self.days and DAYS[day.weekday()] not in self.days:
            return False
        is_early = self.first_day is not None and day < date.fromisoformat(self.first_day)
        is_late = self.last_day is not None and day > date.fromisoformat(self.last_day)
        return not (is_early or is_late)


class Pin(Struct, frozen=True, rename="camel"):
    """A site that stays at one configuration up to the end of the day `until`."""

    digest: str
    until: str
    because: str


class Rules(Struct, frozen=True, rename="camel"):
    """All of rollout.yaml. `spread` and `stale_after` in seconds."""

    version: int
    rings: tuple[Ring, ...]
    freezes: tuple[Freeze, ...] = ()
    pins: Mapping[str, Pin] = {}
    spread: int = 300
    stale_after: int = 600

    def ring_of(self, site: str, labels: Mapping[str, str]) -> int:
        """Return the place of the site's ring; the last one takes every site."""
        last = len(self.rings) - 1
        return next((number for number, ring in enumerate(self.rings) if ring.takes(site, labels)), last)

    def pin_of(self, site: str, time_zone: str, now: int) -> Pin | None:
        """Return the pin of the site that holds at `now` (Unix time), if any."""
        pin = self.pins.get(site)
        if pin is None or _local(time_zone, now).date() > date.fromisoformat(pin.until):
            return None
        return pin

    def freeze_of(self, ring: str, time_zone: str, now: int) -> Freeze | None:
        """Return the first freeze that holds at `now` (Unix time) for sites of `ring` in that zone, if any."""
        local = _local(time_zone, now)
        own: Sequence[Freeze] = [freeze for freeze in self.freezes if not freeze.rings or ring in freeze.rings]
        return next((freeze for freeze in own if freeze.holds(local)), None)


def rules_of(data: Any) -> Rules:
    """Return the rules that a rollout's file says, in which no problem was found."""
    return msgspec.convert(data, Rules)


def _local(time_zone: str, now: int) -> datetime:
    return datetime.fromtimestamp(now, UTC).astimezone(zone(time_zone))
