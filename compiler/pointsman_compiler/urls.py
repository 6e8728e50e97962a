"""The URL of a supervision or a proxy: text → parts, or the one fault that its author should mend first.

Stricter than RFC 3986, so that no two readers see different hosts: no user info, no fragment, no bytes that a client
would have to guess about. Pure; places and severities are the rules' business.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final

import idna

STATION: Final = "{station}"

_URL: Final = re.compile(
    r"(?P<scheme>[^:/?#]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.DOTALL)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_BLANK_OR_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_PATH: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%{}]")
_NOT_QUERY: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%?{}]")
DEFAULT_PORTS: Final = {"ws": 80, "wss": 443, "http": 80}
LARGEST_HOST: Final = 253
"""Characters of a DNS name in its text form (RFC 1035 section 2.3.4)."""


class UrlFault(ValueError):
    """Why a text is no URL that Pointsman takes: a stable code, what is wrong, and the remedy."""

    def __init__(self, code: str, message: str, help: str) -> None:
        super().__init__(message)
        self.code = code
        self.help = help


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in parts: `host` is lower case, an A-label or an address without brackets; `path` may hold `{station}`."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None
    user: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether it names this machine alone."""
        address = _address(self.host)
        return address.is_loopback if address else self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def endpoint(self) -> str:
        """The supervision that it names: the same for every way to write where its stations connect."""
        port = None if self.port == DEFAULT_PORTS[self.scheme] else self.port
        path = self.path.rstrip("/").removesuffix(f"/{STATION}")
        return str(replace(self, host=self.host.removesuffix("."), port=port, path=path))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user is not None else ""
        port = "" if self.port is None else f":{self.port}"
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}://{user}{host}{port}{self.path}{query}"


def parse_supervision_url(text: str) -> Url:
    """Return the parts of a supervision's URL; raises UrlFault with the first thing to mend."""
    parts = _split(text, ("ws", "wss"), "write ws:// or wss://, as in wss://csms.example/ocpp")
    _demand_no_user(parts["authority"] or "")
    host, port = _host_and_port(parts["authority"] or "")
    path, query = parts["path"] or "", parts["query"]
    _demand_no_fragment(parts["fragment"])
    _demand_station_once(path, query)
    _demand_whole(path, query)
    return Url((parts["scheme"] or "").lower(), host, port, path, query)


def parse_proxy_url(text: str) -> Url:
    """Return the parts of a proxy's URL, `http://[user@]host:port`; raises UrlFault."""
    parts = _split(text, ("http",), "write http://host:port; the proxy speaks HTTP CONNECT")
    user, at, rest = (parts["authority"] or "").rpartition("@")
    if ":" in user or (at and not re.fullmatch(r"[A-Za-z0-9\-._~%]+", user)):
        raise UrlFault(
            "PM313",
            "a proxy's URL holds a user name at most, no password",
            "put the password into a secret: `password: {secret: <name>}`",
        )
    host, port = _host_and_port(rest)
    if port is None or (parts["path"] or "") not in ("", "/") or parts["query"] or parts["fragment"]:
        raise UrlFault("PM310", "a proxy's URL is http://host:port and nothing more", "write http://host:port")
    return Url("http", host, port, "", None, user if at else None)


def _split(text: str, schemes: tuple[str, ...], help: str) -> dict[str, str | None]:
    if _BLANK_OR_CONTROL.search(text):
        raise UrlFault(
            "PM315", "the URL holds a space or a control character", "remove it, or write a space as %20 in the path"
        )
    match = _URL.fullmatch(text)
    if match is None:
        raise UrlFault("PM310", f"not a URL: there is no {schemes[-1]}:// at its start", help)
    if match["scheme"].lower() not in schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise UrlFault("PM310", f"the URL starts with {match['scheme']}://, not with {wanted}", help)
    return match.groupdict()


def _demand_no_user(authority: str) -> None:
    if "@" in authority:
        raise UrlFault(
            "PM313",
            "the URL holds user info before its host",
            "remove what stands before the @; the user name is the station's identity, and the password "
            "is a secret: `password: {secret: <name>}`",
        )


def _demand_no_fragment(fragment: str | None) -> None:
    if fragment is not None:
        raise UrlFault(
            "PM314", "the URL has a fragment (#…), which a WebSocket URL never has", "remove the # and what follows it"
        )


def _demand_station_once(path: str, query: str | None) -> None:
    if path.count(STATION) > 1 or STATION in (query or ""):
        raise UrlFault(
            "PM316",
            "{station} stands at most once, and in the path",
            "keep one {station} in the path, or none: then the identity is appended to the path",
        )


def _demand_whole(path: str, query: str | None) -> None:
    rest = path.replace(STATION, "")
    if _BAD_ESCAPE.search(rest) or _BAD_ESCAPE.search(query or ""):
        raise UrlFault(
            "PM315", "a % in the URL is not followed by two hex digits", "write %25 for a % that is meant as such"
        )
    if wrong := _NOT_PATH.search(rest) or _NOT_QUERY.search(query or ""):
        raise UrlFault(
            "PM315",
            f"the URL holds {wrong[0]!r}, which a URL must escape",
            "write it as percent escapes of its UTF-8 bytes",
        )
    if "{" in rest or "}" in rest:
        raise UrlFault("PM316", "the only thing in braces that a URL may hold is {station}", "write {station}")


def _host_and_port(authority: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None or ":" in (match["port"] or ""):
        raise UrlFault(
            "PM317",
            f"{authority!r} is no host, or host and port",
            "write host:port; an IPv6 address stands in brackets, as in [2001:db8::1]:443",
        )
    if match["host"] in ("", "[]"):
        raise UrlFault("PM311", "the URL has no host", "write the host after //, as in wss://csms.example/ocpp")
    return _host(match["host"]), _port(match["port"])


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise UrlFault(
            "PM312", f"the port {text!r} is not within 1 to 65535", "correct it, or leave it out: wss is 443, ws is 80"
        )
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        address = _address(text[1:-1])
        if address is None or address.version != 6 or "%" in text:
            raise UrlFault("PM317", f"{text} is no IPv6 address in brackets", "write it as in [2001:db8::1]")
        return address.compressed
    if _address(text) is not None:
        return text
    host = _a_label(text)
    labels = host.removesuffix(".").split(".")
    if len(host) > LARGEST_HOST or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise UrlFault(
            "PM317", f"{text!r} is neither a DNS name nor an IP address", "correct the host, as in csms.example"
        )
    return host


def _a_label(text: str) -> str:
    """The form that DNS knows (RFC 5891); UTS 46 maps what a person types, such as capitals, first."""
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError as error:
        raise UrlFault("PM317", f"{text!r} is no valid internationalised host name", "correct the host") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
