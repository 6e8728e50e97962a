"""What is less protected than before: connections, listeners, passwords, who may charge. Pure.

Whether a host was never seen before only the fleet can say (`fleetfacts`); here stand the hosts that are new to a site.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pointsman_schema.bundle import LOCAL, Authentication, Config, Listener, Supervision

from pointsman_compiler.plan.differences import Path

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
    """Something less protected: the value at `path`, as it was and as it is."""

    kind: DowngradeKind
    path: Path
    before: Any
    after: Any


def find_downgrades(before: Config, after: Config) -> tuple[Downgrade, ...]:
    """Return what is less protected in `after`, in the order of the paths."""
    found = [
        *_supervisions(before, after),
        *_moves_without_tls(before, after),
        *_listeners(before.listeners, after.listeners),
        *_station_passwords(before, after),
        *_strategies(before, after),
    ]
    return tuple(sorted(found, key=lambda one: (one.path, one.kind)))


def _supervisions(before: Config, after: Config) -> Iterator[Downgrade]:
    for name, new in after.supervisions.items():
        old = before.supervisions.get(name)
        path: Path = ("supervisions", name)
        if old is None:
            continue
        if _is_encrypted(old) and not _is_encrypted(new):
            yield Downgrade("tls-gone", (*path, "url"), old.url, new.url)
        if old.trust is not None and new.trust is None:
            yield Downgrade("roots-gone", (*path, "trust"), old.trust, None)
        if old.client_certificate is not None and new.client_certificate is None:
            yield Downgrade("client-certificate-gone", (*path, "clientCertificate"), old.client_certificate.key, None)
        if old.password is not None and new.password is None:
            yield Downgrade("password-gone", (*path, "password"), old.password.secret, None)


def _moves_without_tls(before: Config, after: Config) -> Iterator[Downgrade]:
    """A supervision may be as unprotected as ever: for a station that comes to it from a protected one it is new."""
    found: dict[Path, Downgrade] = {}
    for name, station in after.stations.items():
        old = before.stations.get(name)
        if old is None or LOCAL in (old.operator, station.operator) or old.operator == station.operator:
            continue
        was, now = before.supervisions[old.operator], after.supervisions[station.operator]
        path: Path = ("supervisions", station.operator, "url")
        if _is_encrypted(was) and not _is_encrypted(now):
            known = before.supervisions.get(station.operator)
            if known is None or not _is_encrypted(known):
                found.setdefault(path, Downgrade("tls-gone", path, was.url, now.url))
    yield from found.values()


def _listeners(before: Mapping[str, Listener], after: Mapping[str, Listener]) -> Iterator[Downgrade]:
    lowest = min(listener.security_profile for listener in before.values())
    for name, new in after.items():
        old = before.get(name)
        path: Path = ("listeners", name)
        profile = old.security_profile if old is not None else lowest
        if new.security_profile < profile:
            yield Downgrade("profile-lowered", (*path, "securityProfile"), profile, new.security_profile)
        if old is not None and new.minimum_tls < old.minimum_tls:
            yield Downgrade("tls-version-lowered", (*path, "minimumTls"), old.minimum_tls, new.minimum_tls)
        if old is not None and new.legacy_ciphers and not old.legacy_ciphers:
            yield Downgrade("weak-ciphers", (*path, "legacyCiphers"), False, True)


def _station_passwords(before: Config, after: Config) -> Iterator[Downgrade]:
    for name, new in after.stations.items():
        old = before.stations.get(name)
        if old is not None and old.password is not None and new.password is None:
            yield Downgrade("password-gone", ("stations", name, "password"), old.password.secret, None)


def _strategies(before: Config, after: Config) -> Iterator[Downgrade]:
    """By stations, not by groups: what counts is who was asked for a known badge, and no longer is."""
    found: dict[Path, Downgrade] = {}
    for name, station in after.stations.items():
        old = before.stations.get(name)
        was, now = _strategy(before, name), _strategy(after, name)
        if old is None or was is None or now is None or station.group is None:
            continue
        for key, earlier, later in (("online", was.online, now.online), ("offline", was.offline, now.offline)):
            if later == "any" and earlier != "any":
                path: Path = ("groups", station.group, "authentication", key)
                found.setdefault(path, Downgrade("open-to-all", path, earlier, later))
    yield from found.values()


def _strategy(config: Config, station: str) -> Authentication | None:
    found = config.stations.get(station)
    if found is None or found.group is None:
        return None
    return config.groups[found.group].authentication


def _is_encrypted(supervision: Supervision) -> bool:
    return supervision.url.startswith("wss:")
