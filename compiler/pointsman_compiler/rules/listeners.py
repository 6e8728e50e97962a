"""Rules on listeners and on the passwords that stations show there."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from pointsman_compiler.document import Path
from pointsman_compiler.layers import LayeredSite
from pointsman_compiler.problems import Problem
from pointsman_compiler.shape_names import meant_by

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

NO_SECURITY: Final = 0
PASSWORD_PROFILES: Final = (1, 2)
TLS_PROFILES: Final = (2, 3)
TLS_KEYS: Final = ("certificate", "minimumTls", "legacyCiphers", "stationTrust")
DEFAULT_LISTENERS: Final[dict[str, Any]] = {"lan": {"port": 9000, "securityProfile": 0}}
"""What the agent opens where neither the site nor the fleet writes a listener."""


def find_listener_problems(site: LayeredSite) -> Iterator[Problem]:
    """Yield what is wrong with each listener, and with the listeners together."""
    for name in site.map_at(("listeners",)):
        path: Path = ("listeners", name)
        yield from _missing(site, path, name)
        yield from _profile(site, path, name)
        yield from _address(site, path)
        yield from _old_tls(site, path, name)
    yield from _same_port(site)
    yield from _none_left(site)


def find_password_problems(site: LayeredSite) -> Iterator[Problem]:
    """Yield a problem for each station that could pass no listener, because it has no password."""
    listeners = site.map_at(("listeners",)) or DEFAULT_LISTENERS
    if any(_profile_of(entry) not in PASSWORD_PROFILES for entry in listeners.values()):
        return
    for station, entry in site.map_at(("stations",)).items():
        if not isinstance(entry, dict) or isinstance(entry.get("password"), dict):
            continue
        if entry.get("password") == "none" or "stationPassword" not in site.data:
            yield _without_password(site, station, is_explicit="password" in entry)


def _profile_of(entry: Any) -> Any:
    """The security profile of a listener; of one of the wrong shape nothing is known."""
    return entry.get("securityProfile", NO_SECURITY) if isinstance(entry, dict) else None


def _without_password(site: LayeredSite, station: str, *, is_explicit: bool) -> Problem:
    path: Path = ("stations", station, "password") if is_explicit else ("stations", station)
    return site.problem(
        "PM374",
        f"the station {station} has no password, and every listener asks for one (security profile 1 or 2)",
        "add `stationPassword: {secretPerStation: …}` for all stations or `password: {secret: <name>}` to this one, or "
        "open a listener with security profile 0 or 3",
        path,
        part="value" if is_explicit else "key",
    )


def _none_left(site: LayeredSite) -> Iterator[Problem]:
    """The built-in listener, which asks for no password, must not stand in for listeners that were taken away."""
    if site.at(("listeners",)) == {}:
        yield site.problem(
            "PM378",
            "no listener is left, so no station could connect",
            "add one, such as `lan: {port: 9000, securityProfile: 1}`, or leave `listeners` out for the built-in one",
            ("listeners",),
            part="key",
        )


def _missing(site: LayeredSite, path: Path, name: str) -> Iterator[Problem]:
    entry = site.at(path)
    if isinstance(entry, dict) and "port" not in entry and not any(meant_by(key, ["port"]) for key in entry):
        yield site.problem(
            "PM377",
            f"the listener `{name}` has no port, neither here nor in the fleet's defaults",
            "add `port: 9000`, or correct the name if it should come from fleet.yaml",
            path,
            part="key",
        )


def _profile(site: LayeredSite, path: Path, name: str) -> Iterator[Problem]:
    entry = site.map_at(path)
    profile = entry.get("securityProfile", NO_SECURITY)
    if profile in TLS_PROFILES and "certificate" not in entry:
        yield site.problem(
            "PM371",
            f"the listener `{name}` has security profile {profile}, which needs a certificate",
            "add `certificate: {chain: <file>, key: {secret: <name>}}`",
            (*path, "securityProfile"),
        )
    if profile == 3 and not entry.get("stationTrust"):
        yield site.problem(
            "PM372",
            f"the listener `{name}` has security profile 3, which needs the roots of the stations' certificates",
            "add `stationTrust: [<file>]`",
            (*path, "securityProfile"),
        )
    useless = TLS_KEYS if profile in (0, 1) else ("stationTrust",) if profile == 2 else ()
    for key in useless:
        if key in entry:
            yield site.problem(
                "PM373",
                f"`{key}` has no effect with security profile {profile}",
                f"remove it, or make the profile {'3' if key == 'stationTrust' else '2 or 3'}",
                (*path, key),
                part="key",
            )


def _address(site: LayeredSite, path: Path) -> Iterator[Problem]:
    text = site.text_at((*path, "address"))
    if text is not None and _ip(text) is None:
        yield site.problem(
            "PM376",
            f"{text!r} is no IP address",
            "write one of the controller's own addresses, or leave `address` out to listen on all of them",
            (*path, "address"),
        )


def _old_tls(site: LayeredSite, path: Path, name: str) -> Iterator[Problem]:
    if site.at((*path, "securityProfile")) not in TLS_PROFILES:
        return
    weak = [key for key in ("minimumTls", "legacyCiphers") if site.at((*path, key)) in ("1.0", "1.1", True)]
    for key in weak:
        yield site.problem(
            "PM375",
            f"the listener `{name}` admits TLS that is out of date (`{key}`)",
            "let only the stations that need it use this listener, and remove it when they are updated",
            (*path, key),
            severity="warning",
            part="key",
        )


def _same_port(site: LayeredSite) -> Iterator[Problem]:
    """Each listener against the first one that takes its port: more would say the same."""
    taken: dict[Any, list[tuple[str, IpAddress | None]]] = {}
    for name, entry in site.map_at(("listeners",)).items():
        port = entry.get("port") if isinstance(entry, dict) else None
        if not isinstance(port, int):
            continue
        address = _ip(entry["address"]) if isinstance(entry.get("address"), str) else None
        others = taken.setdefault(port, [])
        if first := next((other for other, one in others if _overlap(one, address)), None):
            yield site.problem(
                "PM370",
                f"the listeners `{first}` and `{name}` both take port {port}",
                "give one of them another port, or both an `address` of their own",
                ("listeners", name, "port"),
                related=(site.related(f"`{first}` takes it here", ("listeners", first, "port")),),
            )
        else:
            others.append((name, address))


def _overlap(one: IpAddress | None, other: IpAddress | None) -> bool:
    return any(address is None or address.is_unspecified for address in (one, other)) or one == other


def _ip(text: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
