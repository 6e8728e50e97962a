"""Two configurations of a site → which stations reconnect, move, appear, disappear; what becomes of listeners. Pure.

The controller acts by it and a plan tells it beforehand, so that the plan is true. A station keeps its connection as
long as what this connection was made from is the same: its operator, and the part of the supervision that a handshake
uses. All else (intervals, timeouts, flags, texts, badges, groups and strategies, a station's own password, which its
next handshake has to show) acts at once and touches no connection.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, TypeVar

from msgspec import Struct

from pointsman_schema.bundle import Config, KeyPair, Listener, Protocol, Proxy, Supervision, UplinkPassword

Path = tuple[str, ...]
"""Where a value stands in a configuration, in the bundle's camelCase."""

Kind = Literal["appears", "disappears", "moves", "reconnects"]
ListenerKind = Literal["opens", "closes", "reopens", "readmits", "renews"]

_Part = TypeVar("_Part")


class Uplink(Struct, frozen=True):
    """What a handshake with a supervision is made from. Two that are equal need no new one."""

    url: str
    trust: list[str] | None
    client_certificate: KeyPair | None
    password: UplinkPassword | None
    proxy: Proxy | None
    protocols: list[Protocol] | None


class StationLink(Struct, frozen=True):
    """What the connection of a station is made from; `uplink` is None where the controller is its operator."""

    operator: str
    uplink: Uplink | None
    protocols: list[Protocol] | None
    assume_protocol: Protocol | None


class StationChange(Struct, frozen=True):
    """What becomes of a station: `why` are the values that make it so, in their order in the configuration.

    Where only the content of secrets changed, `before` and `after` are the same, and `why` is `("secrets", name)`.
    """

    before: StationLink | None
    after: StationLink | None
    why: tuple[Path, ...]

    @property
    def kind(self) -> Kind:
        """What the station's connection goes through."""
        if self.before is None:
            return "appears"
        if self.after is None:
            return "disappears"
        return "moves" if self.before.operator != self.after.operator else "reconnects"


class Changes(Struct, frozen=True):
    """What becomes of the stations and listeners that are not as before.

    A listener `opens` or `closes`; `reopens` on another address or port; `readmits`, since it admits stations by other
    rules now; or `renews` what only its next handshakes show (certificate, TLS versions).
    """

    stations: Mapping[str, StationChange]
    listeners: Mapping[str, ListenerKind]

    @property
    def turned_out(self) -> frozenset[str]:
        """The listeners whose connected stations have to come again, by the rules that are in force now."""
        return frozenset(name for name, kind in self.listeners.items() if kind in ("closes", "readmits"))


def changes(before: Config, after: Config, changed_secrets: Collection[str] = ()) -> Changes:
    """Return what becomes of connections and listeners when `after` follows `before`.

    `changed_secrets` names the secrets whose content is another one now; both configurations know their names only.
    """
    return Changes(_station_changes(before, after, changed_secrets), _listener_changes(before, after))


def station_links(config: Config) -> dict[str, StationLink]:
    """Return what the connection of each station is made from, by identity."""
    uplinks = {name: _uplink(supervision) for name, supervision in config.supervisions.items()}
    return {
        identity: StationLink(
            station.operator, uplinks.get(station.operator), station.protocols, station.assume_protocol
        )
        for identity, station in config.stations.items()
    }


def _uplink(supervision: Supervision) -> Uplink:
    return Uplink(*(getattr(supervision, name) for name in Uplink.__struct_fields__))


def _station_changes(before: Config, after: Config, changed_secrets: Collection[str]) -> dict[str, StationChange]:
    found: dict[str, StationChange] = {}
    for identity, old, new in _beside(station_links(before), station_links(after)):
        change = link_change(identity, old, new, changed_secrets)
        if change is not None:
            found[identity] = change
    return found


def link_change(
    identity: str, old: StationLink | None, new: StationLink | None, changed_secrets: Collection[str] = ()
) -> StationChange | None:
    """Return what becomes of one station whose connection was made from `old`; None where it stays."""
    why = tuple(_reasons(identity, old, new, changed_secrets))
    return StationChange(old, new, why) if why else None


def _reasons(
    identity: str, old: StationLink | None, new: StationLink | None, changed_secrets: Collection[str]
) -> Iterator[Path]:
    if old is None or new is None:
        if old is not new:
            yield ("stations", identity)
        return
    if old.operator != new.operator:
        yield ("stations", identity, "operator")
    elif old.uplink is not None and new.uplink is not None:
        for name in _differing(old.uplink, new.uplink):
            yield ("supervisions", new.operator, name)
    for name in _differing(old, new):
        if name not in ("operator", "uplink"):
            yield ("stations", identity, name)
    if new.uplink is not None:
        for secret in uplink_secrets(new.uplink, identity):
            if secret in changed_secrets:
                yield ("secrets", secret)


def uplink_secrets(uplink: Uplink, identity: str) -> list[str]:
    """Return the names of the secrets that a handshake of the station `identity` over `uplink` uses."""
    found = []
    if uplink.client_certificate is not None:
        found.append(uplink.client_certificate.key)
    if uplink.password is not None:
        found.append(uplink.password.secret.replace("{station}", identity))
    if uplink.proxy is not None and uplink.proxy.password is not None:
        found.append(uplink.proxy.password)
    return found


def _listener_changes(before: Config, after: Config) -> dict[str, ListenerKind]:
    found = {}
    for name, old, new in _beside(before.listeners, after.listeners):
        kind = _listener_kind(old, new)
        if kind is not None:
            found[name] = kind
    return found


def _listener_kind(old: Listener | None, new: Listener | None) -> ListenerKind | None:
    if old is None:
        return "opens"
    if new is None:
        return "closes"
    if (old.security_profile, old.station_trust) != (new.security_profile, new.station_trust):
        return "readmits"
    if (old.address, old.port) != (new.address, new.port):
        return "reopens"
    return None if old == new else "renews"


def _differing(old: Struct, new: Struct) -> list[str]:
    """The fields in which the two differ, by their names in a bundle."""
    if old == new:
        return []
    return [_camel(name) for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _beside(
    before: Mapping[str, _Part], after: Mapping[str, _Part]
) -> Iterator[tuple[str, _Part | None, _Part | None]]:
    """Each name of the two with what it has in them, sorted."""
    for name in sorted({*before, *after}):
        yield name, before.get(name), after.get(name)
