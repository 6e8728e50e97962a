"""What is less protected than before: connections, listeners, passwords, who may charge. Pure.

By what each station has, not by names: a supervision that is written under another name, or that a station moves to,
is held against the one that the station had; doors are `plan/doors`. Whether a host was never seen before only the
fleet can say (`fleetfacts`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pointsman_schema.bundle import LOCAL, Authentication, Config, Supervision

from pointsman_compiler.plan.differences import Path
from pointsman_compiler.plan.doors import Weaker, weaker_doors, weaker_elsewhere

DowngradeKind = Literal[
    "tls-gone",
    "roots-gone",
    "client-certificate-gone",
    "password-gone",
    "profile-lowered",
    "tls-version-lowered",
    "weak-ciphers",
    "open-to-all",
    "new-host",
    "policy-loosened",
]

DOWNGRADES: Final[Mapping[DowngradeKind, str]] = {
    "tls-gone": "the connection is no longer encrypted",
    "roots-gone": "any certificate authority of the controller's own store is trusted, not only the pinned ones",
    "client-certificate-gone": "the controller no longer shows a certificate of its own",
    "password-gone": "no password is asked for or shown any more",
    "profile-lowered": "stations are admitted with a lower security profile",
    "tls-version-lowered": "an older version of TLS is admitted",
    "weak-ciphers": "ciphers without forward secrecy are admitted",
    "open-to-all": "badges that nobody knows may charge",
    "new-host": "no site of the fleet went to this host before",
    "policy-loosened": "the fleet's policy demands less than before",
}
"""Every downgrade and what it means."""


@dataclass(frozen=True, slots=True)
class Downgrade:
    """Something less protected: the value at `path`, as it was and as it is.

    `stations` are those that it is known of, sorted. `why` is the value that makes it so, where that is another one.
    """

    kind: DowngradeKind
    path: Path
    before: Any
    after: Any
    stations: tuple[str, ...] = field(default=(), kw_only=True)
    why: Path = field(default=(), kw_only=True)


def find_downgrades(before: Config, after: Config) -> tuple[Downgrade, ...]:
    """Return what is less protected in `after`, in the order of the paths."""
    stations = before.stations.keys() & after.stations.keys()
    found = [
        *_uplinks(before, after, stations),
        *_uplinks_of_nobody_before(before, after, stations),
        *map(_by_door, weaker_doors(before.listeners, after.listeners)),
        *_station_passwords(before, after, stations),
        *_strategies(before, after, stations),
    ]
    return _sorted(found)


def downgrades_elsewhere(before: Config, after: Config, stations: Collection[str]) -> tuple[Downgrade, ...]:
    """Return what is less protected for `stations`, which go from the site `before` to the site `after`."""
    found = [
        *_uplinks(before, after, stations, is_elsewhere=True),
        *map(_by_door, weaker_elsewhere(before.listeners, after.listeners)),
        *_station_passwords(before, after, stations),
        *_strategies(before, after, stations),
    ]
    return _sorted(found)


def _sorted(found: Iterable[Downgrade]) -> tuple[Downgrade, ...]:
    return tuple(sorted(found, key=lambda one: (one.path, one.kind, one.stations)))


def _uplinks(
    before: Config, after: Config, stations: Iterable[str], *, is_elsewhere: bool = False
) -> Iterator[Downgrade]:
    """What stations' links to their supervisions had, and have no more; a local station has no such link."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name in sorted(stations):
        was, now = before.stations[name].operator, after.stations[name].operator
        if LOCAL not in (was, now):
            grouped.setdefault((was, now), []).append(name)
    for (was, now), names in grouped.items():
        known = None if is_elsewhere else before.supervisions.get(now)
        new = after.supervisions[now]
        own = {one.kind for one in _weaker(now, known, new)} if known is not None else set[str]()
        for one in _weaker(now, before.supervisions[was], new):
            is_by_move = is_elsewhere or (was != now and known is not None and one.kind not in own)
            why: Path = ("stations", names[0], "operator") if is_by_move else ()
            yield Downgrade(one.kind, one.path, one.before, one.after, stations=tuple(names), why=why)


def _uplinks_of_nobody_before(before: Config, after: Config, stations: Iterable[str]) -> Iterator[Downgrade]:
    """Supervisions that no station of before has now: there is nothing but the name to tell what they were."""
    compared = {after.stations[name].operator for name in stations}
    for name in after.supervisions.keys() & before.supervisions.keys() - compared:
        yield from _weaker(name, before.supervisions[name], after.supervisions[name])


def _weaker(name: str, old: Supervision, new: Supervision) -> Iterator[Downgrade]:
    path: Path = ("supervisions", name)
    if _is_encrypted(old) and not _is_encrypted(new):
        yield Downgrade("tls-gone", (*path, "url"), old.url, new.url)
    if old.trust is not None and new.trust is None:
        yield Downgrade("roots-gone", (*path, "trust"), old.trust, None)
    if old.client_certificate is not None and new.client_certificate is None:
        yield Downgrade("client-certificate-gone", (*path, "clientCertificate"), old.client_certificate.key, None)
    if old.password is not None and new.password is None:
        yield Downgrade("password-gone", (*path, "password"), old.password.secret, None)


def _by_door(one: Weaker) -> Downgrade:
    return Downgrade(one.kind, one.path, one.before, one.after)


def _station_passwords(before: Config, after: Config, stations: Iterable[str]) -> Iterator[Downgrade]:
    for name in stations:
        old = before.stations[name].password
        if old is not None and after.stations[name].password is None:
            yield Downgrade("password-gone", ("stations", name, "password"), old.secret, None)


def _strategies(before: Config, after: Config, stations: Iterable[str]) -> Iterator[Downgrade]:
    """By stations, not by groups: what counts is who was asked for a known badge, and no longer is."""
    found: dict[Path, Downgrade] = {}
    for name in sorted(stations):
        group = after.stations[name].group
        was, now = _strategy(before, name), _strategy(after, name)
        if was is None or now is None or group is None:
            continue
        for key, earlier, later in (("online", was.online, now.online), ("offline", was.offline, now.offline)):
            if later == "any" and earlier != "any":
                path: Path = ("groups", group, "authentication", key)
                found.setdefault(path, Downgrade("open-to-all", path, earlier, later))
    yield from found.values()


def _strategy(config: Config, station: str) -> Authentication | None:
    group = config.stations[station].group
    return config.groups[group].authentication if group is not None else None


def _is_encrypted(supervision: Supervision) -> bool:
    return supervision.url.startswith("wss:")
