"""A layered site without errors → its configuration: nothing implicit, and an origin for every value.

Built-in defaults are written out here and nowhere else. The result has gone through the bundle's own strict model.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pointsman_schema.badgelist import fold_badge
from pointsman_schema.bundle import LOCAL, Config
from pointsman_schema.canonical import canonical_model
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES

from pointsman_compiler.attachments import Attachments
from pointsman_compiler.badges import WrittenBadge, written_badges
from pointsman_compiler.document import Path
from pointsman_compiler.grouping import Grouping, WrittenGroup
from pointsman_compiler.layers import BUILT_IN, LayeredSite, Origin
from pointsman_compiler.rules.listeners import DEFAULT_LISTENERS
from pointsman_compiler.urls import STATION, parse_proxy_url, parse_supervision_url

SUPERVISION_DEFAULTS: Final[dict[str, Any]] = {
    "pingInterval": 30,
    "messageTimeout": 30,
    "connectTimeout": 10,
    "forwardSecurityEvents": False,
    "condemn": "any",
    "whenLost": "disconnect",
    "protocols": None,
}
AUTHENTICATION_DEFAULTS: Final[dict[str, Any]] = {"online": "known", "offline": "none", "concurrent": "allow"}
STATION_DEFAULTS: Final[dict[str, Any]] = {"protocols": None, "assumeProtocol": None, "pingInterval": 30}
LISTENER_DEFAULTS: Final[dict[str, Any]] = {
    "address": None,
    "port": 9000,
    "securityProfile": 0,
    "minimumTls": "1.2",
    "legacyCiphers": False,
}
ACTIVATION_DEFAULTS: Final[dict[str, Any]] = {"spread": 30, "probation": 120, "drainLimit": 3600}
JOURNAL_DEFAULTS: Final[dict[str, Any]] = {"keepDays": 400}


OTHER_BYTES: Final = 64 * 1024
"""Room in a bundle for all but the configuration and the list of files: most of it for three hundred signatures."""
INPUT_BYTES: Final = 128
"""What a file takes in a bundle's lock, but for its name."""

GAP: Final = "correct the value that is named, and report this gap in the rules of pointsman"


class Unbundled(Exception):
    """A site without errors that makes no bundle: it is too large, or the rules have a gap and the model refuses it."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True)
class ResolvedSite:
    """One site with nothing implicit: its configuration, and where each of its values was written.

    A value comes from the path in the site that is its own in `config` (in the bundle's camelCase), unless `moved`
    names another one for it or for what holds it, or an origin of its own; `origin` answers for any path.
    """

    site: str
    file: str
    config: Config
    canonical: bytes
    """The canonical form of `config`."""
    inputs: tuple[str, ...]
    """All files that went in, sorted, relative to the root."""
    layered: LayeredSite
    moved: Mapping[Path, Path | Origin]

    def origin(self, path: Path) -> Origin:
        """Return where the value at `path` of the configuration was written; what nobody wrote is built in."""
        source = path
        for length in range(len(path), 0, -1):
            found = self.moved.get(path[:length])
            if isinstance(found, Origin):
                return found
            if found is not None:
                source = found + path[length:]
                break
        return BUILT_IN if self.layered.at(source, _ABSENT) is _ABSENT else self.layered.origin(source)


def resolve(site: LayeredSite, grouping: Grouping, attachments: Attachments, fleet_file: str | None) -> ResolvedSite:
    """Return `site` resolved; it must be free of errors. Raises Unbundled."""
    writer = _Writer(site, grouping, attachments)
    plain = writer.config()
    try:
        config = msgspec.convert(plain, Config, strict=True)
    except msgspec.ValidationError as error:
        raise Unbundled(f"it breaks the bundle's model: {error}", GAP) from error
    canonical = canonical_model(config)
    inputs = tuple(sorted({site.file, *attachments.files, *([fleet_file] if fleet_file else [])}))
    _demand_room(len(canonical), inputs)
    return ResolvedSite(site.site, site.file, config, canonical, inputs, site, writer.moved)


def _demand_room(config_bytes: int, inputs: Collection[str]) -> None:
    """An envelope holds its payload in base64; what else is in there is the lock, names and signatures."""
    room = LARGEST_ENVELOPE_BYTES // 4 * 3 - OTHER_BYTES - sum(map(len, inputs)) - INPUT_BYTES * len(inputs)
    if config_bytes > room:
        raise Unbundled(
            f"its configuration has {config_bytes} bytes, and a bundle has room for {room}",
            "keep its badges in a secret list on the controller (`badges: [{secret: <name>}]`)",
        )


class _Writer:
    """Writes each value of a configuration out, and notes where it comes from."""

    def __init__(self, site: LayeredSite, grouping: Grouping, attachments: Attachments) -> None:
        self.site = site
        self.grouping = grouping
        self.attachments = attachments
        self.moved: dict[Path, Path | Origin] = {("mode",): ("supervision",)}

    def config(self) -> dict[str, Any]:
        site = self.site
        return {
            "title": site.at(("title",), site.site),
            "labels": site.at(("labels",), {}),
            "timeZone": site.at(("timeZone",)),
            "mode": site.at(("supervision",)),
            "supervisions": self._each(("supervisions",), self._supervision),
            "groups": self._groups(),
            "stations": self._each(("stations",), self._station),
            "badges": self._badges(),
            "badgeLists": self._badge_lists(),
            "listeners": self._listeners(),
            "activation": self._defaulted(("activation",), ACTIVATION_DEFAULTS),
            "journal": self._defaulted(("journal",), JOURNAL_DEFAULTS),
        }

    def _defaulted(self, path: Path, defaults: Mapping[str, Any]) -> dict[str, Any]:
        found = self.site.map_at(path)
        return {key: found.get(key, value) for key, value in defaults.items()}

    def _each(self, path: Path, write: Callable[[Path, str], Any]) -> dict[str, Any]:
        return {name: write((*path, name), name) for name in self.site.map_at(path)}

    def _supervision(self, path: Path, name: str) -> dict[str, Any]:
        values = self._defaulted(path, SUPERVISION_DEFAULTS)
        values["url"] = str(parse_supervision_url(self.site.at((*path, "url"), "")))
        values["trust"] = self._roots((*path, "trust")) or None
        values["clientCertificate"] = self._key_pair((*path, "clientCertificate"))
        values["password"] = self._uplink_password((*path, "password"))
        values["proxy"] = self._proxy((*path, "proxy"))
        return values

    def _roots(self, path: Path) -> list[str]:
        found = [
            certificate.pem
            for index in range(len(self.site.list_at(path)))
            for certificate in self.attachments.certificates[(*path, index)]
        ]
        return sorted(set(found))

    def _key_pair(self, path: Path) -> dict[str, Any] | None:
        if self.site.at(path) is None:
            return None
        chain = "".join(certificate.pem for certificate in self.attachments.certificates[(*path, "chain")])
        return {"chain": chain, "key": self.site.at((*path, "key", "secret"))}

    def _uplink_password(self, path: Path) -> dict[str, Any] | None:
        return self._password(path, path)

    def _proxy(self, path: Path) -> dict[str, Any] | None:
        if self.site.at(path) is None:
            return None
        url = parse_proxy_url(self.site.at((*path, "url")))
        return {"url": str(url), "password": self.site.at((*path, "password", "secret"))}

    def _groups(self) -> dict[str, Any]:
        groups: dict[str, Any] = {}
        for name, group in self.grouping.groups.items():
            for expanded in self.grouping.expansions[name]:
                groups[expanded] = self._group(("groups", expanded), group)
        return groups

    def _group(self, to: Path, group: WrittenGroup) -> dict[str, Any]:
        self.moved[to] = group.path or BUILT_IN
        authentication = None
        if group.is_local:
            path = (*group.path, "authentication")
            authentication = self._defaulted(path, AUTHENTICATION_DEFAULTS)
            self.moved[(*to, "authentication")] = path
        return {
            "operator": self.site.at((*group.path, "operator"), LOCAL),
            "authentication": authentication,
            "stationKeys": self.site.at((*group.path, "stationKeys"), {}),
        }

    def _station(self, path: Path, name: str) -> dict[str, Any]:
        values = self._defaulted(path, STATION_DEFAULTS)
        membership = self.grouping.of(name)
        if membership is None:
            (values["operator"],) = self.site.map_at(("supervisions",))
            values["group"] = None
            self.moved[(*path, "operator")] = ("supervisions", values["operator"])
        else:
            values["operator"], values["group"] = membership.written.operator, membership.group
            self.moved[(*path, "operator")] = (*membership.written.path, "operator")
            self.moved[(*path, "group")] = membership.path
        values["certificateName"] = self.site.at((*path, "certificateName"), name)
        values["password"] = self._station_password((*path, "password"), name)
        return values

    def _station_password(self, path: Path, station: str) -> dict[str, Any] | None:
        source = path if self.site.at(path) is not None else ("stationPassword",)
        values = self._password(path, source)
        if values is not None:
            values["secret"] = values["secret"].replace(STATION, station)
        return values

    def _password(self, to: Path, path: Path) -> dict[str, Any] | None:
        written = self.site.at(path)
        if not isinstance(written, Mapping):
            return None
        key = "secret" if "secret" in written else "secretPerStation"
        if not isinstance(secret := written.get(key), str):
            raise Unbundled("a password names no secret", GAP)
        if to != path:
            self.moved[to] = path
        if key != "secret":
            self.moved[(*to, "secret")] = (*path, key)
        return {"secret": secret, "format": written.get("format", "text")}

    def _badges(self) -> dict[str, Any]:
        badges: dict[str, Any] = {}
        for badge in written_badges(self.site, self.attachments.badge_lists):
            number = fold_badge(badge.number)
            self.moved[("badges", number)] = badge.origin(self.site)
            badges[number] = self._badge(badge)
        return badges

    def _badge(self, badge: WrittenBadge) -> dict[str, Any]:
        names = badge.groups or tuple(self.grouping.groups)
        return {
            "groups": sorted({group for name in names for group in self.grouping.expansions[name]}),
            "type": badge.type,
            "authorized": badge.authorized,
            "vip": badge.vip,
            "until": badge.until,
            "comment": badge.comment,
        }

    def _badge_lists(self) -> list[str]:
        return sorted(self._secret_lists())

    def _secret_lists(self) -> Iterator[str]:
        for index in range(len(self.site.list_at(("badges",)))):
            name = self.site.text_at(("badges", index, "secret"))
            if name is not None:
                self.moved[("badgeLists",)] = ("badges",)
                yield name

    def _listeners(self) -> dict[str, Any]:
        if not self.site.map_at(("listeners",)):
            return {name: self._listener(("listeners", name), entry) for name, entry in DEFAULT_LISTENERS.items()}
        return self._each(("listeners",), lambda path, _: self._listener(path, {}))

    def _listener(self, path: Path, built_in: Mapping[str, Any]) -> dict[str, Any]:
        values = self._defaulted(path, {**LISTENER_DEFAULTS, **built_in})
        values["certificate"] = self._key_pair((*path, "certificate"))
        values["stationTrust"] = self._roots((*path, "stationTrust"))
        return values


class _Absent:
    """What is at no path."""


_ABSENT: Final = _Absent()
