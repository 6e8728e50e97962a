"""What must happen, read from a compiled bundle (pure)."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import quote, unquote, urlsplit

from pointsman_schema.bundle import LOCAL, Config, PasswordReference, UplinkPassword
from pointsman_schema.bundle import Station as ConfiguredStation

from pointsman_simulator.supervision import PREFERRED, last_segment

BADGE_OF_A_DRIVER = "04A2B1C3D4E580"  # a remote supervision accepts any
UNKNOWN_BADGE = "DEAD00BEEF"
LISTED_BADGE = "DE0000"  # with a number: badges of the lists that come as secrets
LISTED_BADGES = 20


@dataclass(frozen=True, slots=True)
class StationPlan:
    """What one station does, and what must come of it."""

    identity: str
    operator: str
    group: str | None
    offers: tuple[str, ...]
    speaks: str
    password: bytes | None
    badge: str
    charges: bool
    refuses_unknown: bool
    forwards_security_events: bool

    @property
    def is_local(self) -> bool:
        """Whether the controller itself is its operator."""
        return self.operator == LOCAL


def plan_stations(config: Config, secrets: dict[str, str], today: date) -> list[StationPlan]:
    """Return what each station of the site must do, in the order of their identities."""
    badges = _BadgePicker(config, today)
    return [
        _plan(config, identity, station, number, secrets, badges)
        for number, (identity, station) in enumerate(sorted(config.stations.items()))
    ]


def secrets_needed(config: Config, new_secret: Callable[[], str]) -> dict[str, str]:
    """Return a value for every secret that the configuration refers to: passwords, and badge lists as CSV."""
    passwords = {
        reference.secret: new_secret()
        for station in config.stations.values()
        if (reference := station.password) is not None
    }
    for identity, station in sorted(config.stations.items()):
        name = _uplink_secret(config, identity, station.operator)
        if name is not None:
            passwords.setdefault(name, new_secret())
    lists = {name: _badge_list(config) if index == 0 else "badge\n" for index, name in enumerate(config.badge_lists)}
    return passwords | lists


def uplink_passwords(config: Config, secrets: dict[str, str], supervision: str) -> dict[str, bytes] | None:
    """Return the Basic password that each station's uplink must show to `supervision`, or None where it shows none."""
    configured = config.supervisions.get(supervision)
    if configured is None or configured.password is None:
        return None
    reference = configured.password
    return {
        identity: _bytes_of(reference, secrets[reference.secret.replace("{station}", identity)])
        for identity, station in config.stations.items()
        if station.operator == supervision
    }


def identity_reader(url: str) -> Callable[[str], str]:
    """Return how the identity is found in a request's path, given the configured URL (with or without {station})."""
    template = urlsplit(url).path
    if "{station}" not in template:
        return last_segment
    before, _, after = (quote(part, safe="/%") for part in template.partition("{station}"))

    def identity_in(path: str) -> str:
        bare = path.partition("?")[0]
        is_match = bare.startswith(before) and bare.endswith(after)
        return unquote(bare[len(before) : len(bare) - len(after)]) if is_match else ""

    return identity_in


def _plan(
    config: Config,
    identity: str,
    station: ConfiguredStation,
    number: int,
    secrets: dict[str, str],
    badges: "_BadgePicker",
) -> StationPlan:
    allowed = _allowed(config, station)
    offers = _offers(station, allowed, number)
    supervision = config.supervisions.get(station.operator)
    badge, charges = (BADGE_OF_A_DRIVER, True) if supervision else badges.pick(station.group)
    return StationPlan(
        identity=identity,
        operator=station.operator,
        group=station.group,
        offers=offers,
        speaks=_agreed(offers or (station.assume_protocol or "",), is_remote=supervision is not None),
        password=_bytes_of(station.password, secrets[station.password.secret]) if station.password else None,
        badge=badge,
        charges=charges,
        refuses_unknown=supervision is None and badges.is_strict(station.group),
        forwards_security_events=supervision is not None and supervision.forward_security_events,
    )


def _allowed(config: Config, station: ConfiguredStation) -> list[str]:
    """The protocols that both the station and its supervision may speak, in the order that counts."""
    own: Iterable[str] = station.protocols or PREFERRED
    supervision = config.supervisions.get(station.operator)
    theirs = supervision.protocols if supervision else None
    return [protocol for protocol in own if theirs is None or protocol in theirs]


def _offers(station: ConfiguredStation, allowed: list[str], number: int) -> tuple[str, ...]:
    """A station that may speak anything is one of 1.6 or one of 2.0.1, in turn; a silent one offers nothing."""
    if station.assume_protocol is not None:
        return ()
    if station.protocols is None:
        usual = ("ocpp1.6",) if number % 2 == 0 else ("ocpp2.0.1",)
        return usual if set(usual) <= set(allowed) else tuple(allowed)
    return tuple(station.protocols)


def _agreed(offers: tuple[str, ...], *, is_remote: bool) -> str:
    """The simulated supervision takes the newest; the controller takes the station's first."""
    return next(protocol for protocol in PREFERRED if protocol in offers) if is_remote else offers[0]


class _BadgePicker:
    """Hands out the authorized badges of each local group, one after the other."""

    def __init__(self, config: Config, today: date) -> None:
        tomorrow = today + timedelta(days=1)  # the site's zone may be a day ahead
        self._config = config
        self._used: dict[str | None, int] = {}
        self._good = {
            name: [
                number
                for number, badge in sorted(config.badges.items())
                if name in badge.groups and badge.authorized and (badge.until is None or badge.until >= str(tomorrow))
            ]
            + (_listed() if config.badge_lists else [])
            for name in config.groups
        }

    def is_strict(self, group: str | None) -> bool:
        """Whether only known badges may charge in `group`."""
        authentication = self._config.groups[group].authentication if group in self._config.groups else None
        return authentication is not None and authentication.online == "known"

    def pick(self, group: str | None) -> tuple[str, bool]:
        """Return the next badge of `group`, and whether it may charge."""
        good = self._good.get(group or "", [])
        if not good:
            return UNKNOWN_BADGE, not self.is_strict(group)
        index = self._used.get(group, 0)
        self._used[group] = index + 1
        return good[index % len(good)], True


def _badge_list(config: Config) -> str:
    groups = "|".join(sorted(name for name, group in config.groups.items() if group.operator == LOCAL))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["badge", "groups", "authorized"])
    rows.writerows([badge, groups, "true"] for badge in _listed())
    return text.getvalue()


def _listed() -> list[str]:
    return [f"{LISTED_BADGE}{number:02d}" for number in range(1, LISTED_BADGES + 1)]


def _uplink_secret(config: Config, identity: str, operator: str) -> str | None:
    supervision = config.supervisions.get(operator)
    if supervision is None or supervision.password is None:
        return None
    return supervision.password.secret.replace("{station}", identity)


def _bytes_of(reference: PasswordReference | UplinkPassword, secret: str) -> bytes:
    return bytes.fromhex(secret) if reference.format == "hex" else secret.encode()
