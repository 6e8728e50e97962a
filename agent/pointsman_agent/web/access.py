"""Who may ask the admin interface what: bearer tokens of two roles, sessions of browsers, the names it goes by.

A token reads, or operates, which is reading and asking stations, bundles and connections to do something. A browser
cannot show a token with an address, so it trades one, or a ticket that is good once, for a cookie. A cookie only reads,
so that no page of others can make a browser do anything here.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SESSION_LASTS_S: Final = 12 * 3600.0
TICKET_LASTS_S: Final = 120.0
MOST_SESSIONS: Final = 64  # the oldest goes when one more comes
_TOKEN_BYTES: Final = 32
_HTTP_PORT: Final = 80
_HTTPS_PORT: Final = 443
_LONGEST_PORT: Final = 5  # digits
_NO_PORT: Final = -1


class Role(IntEnum):
    """What one may do."""

    READ = 1
    OPERATE = 2


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Tokens:
    """The bearer tokens that are taken."""

    def __init__(self, tokens: Mapping[str, Role]) -> None:
        self._tokens = [(token.encode(), role) for token, role in tokens.items()]

    def role_of(self, shown: str) -> Role | None:
        """Return what `shown` opens; None: nothing. Takes as long whichever it is."""
        given = shown.strip().encode()
        found = [role for token, role in self._tokens if hmac.compare_digest(given, token)]
        return found[0] if found else None


class BrowserSessions:
    """Browsers that have shown a token or a ticket; what they have may read. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[str, float] = {}
        self._tickets: dict[str, float] = {}
        self._under_way: dict[str, list[Callable[[], None]]] = {}

    def ticket(self) -> str:
        """Return what opens one session, once and soon."""
        return _issue(self._tickets, self._now() + TICKET_LASTS_S)

    def redeem(self, ticket: str) -> bool:
        """Whether `ticket` opens a session; it does so once."""
        return self._tickets.pop(ticket, float("-inf")) > self._now()

    def open(self) -> str:
        """Return the name of a new session."""
        while len(self._sessions) >= MOST_SESSIONS:
            self.close(next(iter(self._sessions)))
        return _issue(self._sessions, self._now() + SESSION_LASTS_S)

    def close(self, name: str) -> None:
        """End a session, and what is under way in it."""
        self._sessions.pop(name, None)
        for end in self._under_way.pop(name, []):
            end()

    def is_open(self, name: str) -> bool:
        """Whether a session of that name has begun, and not ended."""
        return self.lasts_s(name) > 0

    def lasts_s(self, name: str) -> float:
        """Return for how long a session lasts, if nobody closes it; less than nothing where it does not."""
        return self._sessions.get(name, float("-inf")) - self._now()

    @contextmanager
    def under_way(self, name: str, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called if the open session `name` is closed before the block ends."""
        ends = self._under_way.setdefault(name, [])
        ends.append(end)
        try:
            yield
        finally:
            ends.remove(end)
            if not ends and self._under_way.get(name) is ends:
                del self._under_way[name]


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is let in, and where: `hosts` are Host headers, `cookie` the name of the cookie that holds a session."""

    tokens: Tokens
    sessions: BrowserSessions
    hosts: Container[str]
    cookie: str
    is_tls: bool


def _issue(kept: dict[str, float], until: float) -> str:
    while len(kept) >= MOST_SESSIONS:
        del kept[next(iter(kept))]
    name = new_token()
    kept[name] = until
    return name


class Hosts:
    """The Host headers under which the interface answers: `authorities` (`host:port`), names on `port`.

    `takes_addresses`: also any IP address with any port. A name may be bound to our address by whoever owns it, so that
    a page of theirs would count as ours (DNS rebinding); an address cannot.
    """

    def __init__(self, names: Iterable[str], port: int, *, is_tls: bool = False, takes_addresses: bool = False) -> None:
        self._default = _HTTPS_PORT if is_tls else _HTTP_PORT
        known = (_split(name.lower()) for name in names)
        self._known = frozenset((name, port if given is None else given) for name, given in known)
        self._takes_addresses = takes_addresses

    def __contains__(self, authority: object) -> bool:
        if not isinstance(authority, str):
            return False
        name, port = _split(authority.lower())
        if (name, self._default if port is None else port) in self._known:
            return True
        return self._takes_addresses and port != _NO_PORT and _is_address(name)


def _split(authority: str) -> tuple[str, int | None]:
    """The name and the port of `host:port`; None without one, `_NO_PORT` where it is none."""
    name, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority.removeprefix("[").removesuffix("]"), None
    is_number = port.isascii() and port.isdecimal() and len(port) <= _LONGEST_PORT
    return name.removeprefix("[").removesuffix("]"), int(port) if is_number else _NO_PORT


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
