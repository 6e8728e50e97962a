"""One site on both sides → what the change does there. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgspec
from pointsman_schema.canonical import digest_of
from pointsman_schema.changes import ListenerKind, changes

from pointsman_compiler.plan.badgechanges import BadgeChanges, badge_changes
from pointsman_compiler.plan.causes import Cause, Causes, Side, SideName
from pointsman_compiler.plan.differences import Difference, Path, differences
from pointsman_compiler.plan.downgrades import Downgrade, downgrades_elsewhere, find_downgrades
from pointsman_compiler.plan.fates import Fate, fates, fates_of_all, owners
from pointsman_compiler.plan.hosts import hosts
from pointsman_compiler.plan.risks import Risk, risks_of

Change = Literal["added", "removed", "renamed", "changed", "same"]

NO_BADGES: Final = BadgeChanges()


@dataclass(frozen=True, slots=True)
class ValueChange(Difference):
    """A difference, and the line that made it."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class CausedDowngrade(Downgrade):
    """A downgrade, and the line that made it."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host that the site did not go to before: whether the fleet did, only the fleet can say."""

    host: str
    path: Path
    cause: Cause


@dataclass(frozen=True, slots=True)
class UnusualTimer:
    """A timer set to what is unusual in this fleet: below or above `usual`, in seconds."""

    path: Path
    value: int
    usual: tuple[int, int]
    cause: Cause


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What the change does to one site.

    `file` is the site's, after the change where there is one. A digest is None where there is no such side, or where
    it did not compile (`is_unknown_before`): then nothing can be said of what becomes of its stations. A site that is
    `renamed` had the id `renamed_from`; all else is told as of one site.
    """

    site: str
    file: str
    change: Change
    digest_before: str | None = None
    digest_after: str | None = None
    is_unknown_before: bool = False
    renamed_from: str | None = None
    fates: tuple[Fate, ...] = ()
    listeners: Mapping[str, ListenerKind] = field(default_factory=dict)
    owners_before: Mapping[str, int] = field(default_factory=dict)
    owners_after: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[ValueChange, ...] = ()
    badges: BadgeChanges = NO_BADGES
    downgrades: tuple[CausedDowngrade, ...] = ()
    new_hosts: tuple[NewHost, ...] = ()
    unusual: tuple[UnusualTimer, ...] = ()

    @property
    def risks(self) -> tuple[Risk, ...]:
        """The labels of this site alone."""
        return risks_of(
            is_change=self.change != "same",
            reconnects=self.is_unknown_before or any(fate.kind != "joins" for fate in self.fates),
            moves=any(fate.kind == "moves" for fate in self.fates),
            downgrades=bool(self.downgrades),
        )

    @property
    def gained(self) -> tuple[str, ...]:
        """Operators that have stations here, and had none, as far as that is known."""
        if self.is_unknown_before:
            return ()
        return tuple(sorted(self.owners_after.keys() - self.owners_before.keys()))

    @property
    def lost(self) -> tuple[str, ...]:
        """Operators that had stations here, and have none."""
        return tuple(sorted(self.owners_before.keys() - self.owners_after.keys()))

    def value(self, *path: str) -> ValueChange | None:
        """Return the change of the value at `path`, if it changes."""
        return next((change for change in self.changes if change.path == path), None)


def compare(
    before: Side | None, after: Side | None, differing: Collection[str] = (), *, show_badges: bool = False
) -> SitePlan:
    """Return what becomes of a site from `before` to `after`, of which one at least is there.

    `differing` are the files that differ between the two sides. Where the ids of the two differ, the site is renamed:
    to its stations the controller is another one.
    """
    if after is None:
        assert before is not None
        return _removed(before)
    if before is None:
        return _added(after)
    old, new = before.resolved, after.resolved
    same = SitePlan(
        site=new.site,
        file=new.file,
        change="same",
        digest_before=digest_of(old.canonical),
        digest_after=digest_of(new.canonical),
        owners_before=owners(old.config),
        owners_after=owners(new.config),
    )
    is_renamed = old.site != new.site
    if old.canonical == new.canonical and not is_renamed:
        return same
    causes = Causes(before, after, differing)
    found = changes(old.config, new.config)
    return replace(
        same,
        change="renamed" if is_renamed else "changed",
        renamed_from=old.site if is_renamed else None,
        fates=fates(old.config, new.config, found, causes.of, _whole_file("after", new.file) if is_renamed else None),
        listeners=found.listeners,
        changes=tuple(_value_changes(before, after, causes)),
        badges=badge_changes(before, after, show_badges=show_badges),
        downgrades=tuple(_caused(one, causes) for one in find_downgrades(old.config, new.config)),
        new_hosts=tuple(_new_hosts(before, after, causes)),
    )


def compare_crossing(before: Side, after: Side, differing: Collection[str], stations: Collection[str]) -> SitePlan:
    """Return what is less protected for `stations`, which leave the site `before` and join the site `after`."""
    causes = Causes(before, after, differing)
    found = downgrades_elsewhere(before.resolved.config, after.resolved.config, stations)
    return SitePlan(
        site=after.resolved.site,
        file=after.resolved.file,
        change="changed",
        downgrades=tuple(_caused(one, causes) for one in found),
    )


def unknown_removed(site: str, file: str) -> SitePlan:
    """Return the plan of a site that did not compile before the change, and is not there after it."""
    return SitePlan(site=site, file=file, change="removed", is_unknown_before=True)


def unknown_before(after: Side) -> SitePlan:
    """Return the plan of a site that did not compile before: what it was is not known, and all of it may change."""
    return SitePlan(
        site=after.resolved.site,
        file=after.resolved.file,
        change="changed",
        digest_after=digest_of(after.resolved.canonical),
        is_unknown_before=True,
        owners_after=owners(after.resolved.config),
    )


def _removed(before: Side) -> SitePlan:
    old = before.resolved
    return SitePlan(
        site=old.site,
        file=old.file,
        change="removed",
        digest_before=digest_of(old.canonical),
        fates=fates_of_all(old.config, "leaves", _whole_file("before", old.file)),
        owners_before=owners(old.config),
    )


def _added(after: Side) -> SitePlan:
    new = after.resolved
    causes = Causes(after, after, ())
    return SitePlan(
        site=new.site,
        file=new.file,
        change="added",
        digest_after=digest_of(new.canonical),
        fates=fates_of_all(new.config, "joins", _whole_file("after", new.file)),
        owners_after=owners(new.config),
        new_hosts=tuple(NewHost(host, path, causes.of(path)) for host, path in hosts(new.config).items()),
    )


def _whole_file(side: SideName, file: str) -> Cause:
    return Cause(side, "site", file, None)


def _value_changes(before: Side, after: Side, causes: Causes) -> Iterator[ValueChange]:
    old, new = _plain(before), _plain(after)
    for one in differences(old, new, without=("badges",)):
        yield ValueChange(one.path, one.kind, one.before, one.after, causes.of(one.path))


def _plain(side: Side) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(side.resolved.config)
    return plain


def _caused(one: Downgrade, causes: Causes) -> CausedDowngrade:
    cause = causes.of(one.why or one.path)
    if cause.file is None:  # what is gone with its map, or was never in it, is written nowhere
        cause = causes.of(one.path[:-1])
    return CausedDowngrade(one.kind, one.path, one.before, one.after, cause, stations=one.stations, why=one.why)


def _new_hosts(before: Side, after: Side, causes: Causes) -> Iterator[NewHost]:
    known = hosts(before.resolved.config)
    for host, path in hosts(after.resolved.config).items():
        if host not in known:
            yield NewHost(host, path, causes.of(path))
