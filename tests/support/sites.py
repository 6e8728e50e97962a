"""Configurations and bundles of tests as plain values: each helper fills in what a test does not care about."""

import itertools
import os
import socket
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pointsman_schema.bundle import (
    LOCAL,
    Activation,
    Authentication,
    Badge,
    Config,
    Group,
    JournalPolicy,
    Listener,
    Lock,
    PasswordReference,
    Source,
    Station,
    Supervision,
    bundle_of,
    write_payload,
)
from pointsman_schema.envelope import seal

SITE = "test-site"
LISTENER = "lan"
STAFF_BADGE = "04a2b1c3d4e580"


def a_supervision(url: str, **changes: Any) -> Supervision:
    """Return a supervision with the defaults of the site format."""
    fields: dict[str, Any] = {
        "url": url,
        "ping_interval": 30,
        "message_timeout": 30,
        "connect_timeout": 10,
        "forward_security_events": False,
        "condemn": "any",
        "when_lost": "disconnect",
        "protocols": None,
        "trust": None,
        "client_certificate": None,
        "password": None,
        "proxy": None,
    }
    return Supervision(**(fields | changes))


def a_station(operator: str = LOCAL, group: str | None = "staff", **changes: Any) -> Station:
    """Return a station without a password that pings every 30 s."""
    fields: dict[str, Any] = {
        "group": group,
        "operator": operator,
        "protocols": None,
        "assume_protocol": None,
        "password": None,
        "ping_interval": 30,
        "certificate_name": "any",
    }
    return Station(**(fields | changes))


def a_local_group(online: str = "known", concurrent: str = "allow") -> Group:
    """Return a group that the controller operates."""
    authentication = Authentication(online=online, offline="known", concurrent=concurrent)  # type: ignore[arg-type]  # plain words in tests
    return Group(operator=LOCAL, authentication=authentication, station_keys={})


def a_remote_group(operator: str) -> Group:
    """Return a group of a supervision."""
    return Group(operator=operator, authentication=None, station_keys={})


def a_badge(*groups: str, authorized: bool = True, vip: bool = False, until: str | None = None) -> Badge:
    """Return a badge of `groups`."""
    return Badge(groups=list(groups), type="ISO14443", authorized=authorized, vip=vip, until=until, comment="")


def a_listener(port: int, **changes: Any) -> Listener:
    """Return a listener on loopback without TLS."""
    fields: dict[str, Any] = {
        "address": "127.0.0.1",
        "port": port,
        "security_profile": 0,
        "certificate": None,
        "station_trust": [],
        "minimum_tls": "1.2",
        "legacy_ciphers": False,
    }
    return Listener(**(fields | changes))


def a_config(**changes: Any) -> Config:
    """Return a configuration of one local station; `changes` replace whole fields."""
    fields: dict[str, Any] = {
        "title": "",
        "labels": {},
        "time_zone": "Europe/Paris",
        "mode": "multiple",
        "supervisions": {},
        "groups": {"staff": a_local_group()},
        "stations": {"LOC-01": a_station()},
        "badges": {STAFF_BADGE: a_badge("staff")},
        "badge_lists": [],
        "listeners": {LISTENER: a_listener(9000)},
        "activation": Activation(spread=0, probation=10, drain_limit=0),
        "journal": JournalPolicy(keep_days=400),
    }
    return Config(**(fields | changes))


def a_unique_config(url: str, *identities: str, **supervision: Any) -> Config:
    """Return a configuration in which one supervision manages all stations."""
    return a_config(
        mode="unique",
        supervisions={"acme": a_supervision(url, **supervision)},
        groups={},
        badges={},
        stations={identity: a_station("acme", None) for identity in identities or ("CP-1",)},
    )


def a_bundle(config: Config, *, keys: tuple[Ed25519PrivateKey, ...] = (), sequence: int = 1, site: str = SITE) -> bytes:
    """Return the bytes of a bundle file."""
    source, lock = Source(revision=None, file="test.yaml"), Lock(compiler="0", tzdata="0", inputs=[])
    return seal(write_payload(bundle_of(config, site=site, sequence=sequence, source=source, lock=lock)), keys)


def a_password(secret: str, form: str = "text") -> PasswordReference:
    """Return a reference to a secret."""
    return PasswordReference(secret=secret, format=form)  # type: ignore[arg-type]  # plain words in tests


_FIRST_PORT, _PORTS = 10_000, 20_000  # below the range from which the system gives ports to outgoing connections
_ports = itertools.count(os.getpid() * 97)  # processes that test beside each other begin apart


def free_port() -> int:
    """Return a TCP port of loopback that nobody has, and that the system gives nobody by itself."""
    for number in itertools.islice(_ports, _PORTS):
        port = _FIRST_PORT + number % _PORTS
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no port is free")


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in place of `path` by a rename, as deployments do."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)
