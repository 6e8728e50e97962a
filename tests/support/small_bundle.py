"""The smallest bundle with something in every part, for tests of the format itself."""

from typing import Any

import msgspec
from pointsman_schema.bundle import Bundle, Config, Lock, Source, bundle_of

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def small_config() -> Config:
    """Return a configuration of one station under one supervision."""
    return msgspec.convert(_CONFIG, Config)


def small_bundle(sequence: int = 7) -> Bundle:
    """Return a bundle of `small_config`."""
    source = Source(revision=None, file="a.yaml")
    lock = Lock(compiler="0.1.0", tzdata="2026.6", inputs=[])
    return bundle_of(small_config(), site="a", sequence=sequence, source=source, lock=lock)


_CONFIG: dict[str, Any] = {
    "title": "Küche",
    "labels": {"region": "ara"},
    "timeZone": "Europe/Paris",
    "mode": "multiple",
    "supervisions": {
        "acme": {
            "url": "wss://csms.acme.example/ocpp",
            "pingInterval": 30,
            "messageTimeout": 30,
            "connectTimeout": 10,
            "forwardSecurityEvents": False,
            "condemn": "any",
            "whenLost": "disconnect",
            "protocols": None,
            "trust": [PEM],
            "clientCertificate": None,
            "password": {"secret": "acme-{station}", "format": "text"},
            "proxy": None,
        }
    },
    "groups": {"visitors": {"operator": "acme", "authentication": None, "stationKeys": {}}},
    "stations": {
        "LYO-01": {
            "group": "visitors",
            "operator": "acme",
            "protocols": ["ocpp1.6"],
            "assumeProtocol": None,
            "password": None,
            "pingInterval": 0,
            "certificateName": "LYO-01",
        }
    },
    "badges": {},
    "badgeLists": [],
    "listeners": {
        "lan": {
            "address": None,
            "port": 9000,
            "securityProfile": 0,
            "certificate": None,
            "stationTrust": [],
            "minimumTls": "1.2",
            "legacyCiphers": False,
        }
    },
    "activation": {"spread": 30, "probation": 120, "drainLimit": 3600},
    "journal": {"keepDays": 400},
}
