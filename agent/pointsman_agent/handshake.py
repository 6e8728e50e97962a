"""A station's opening handshake → the station that it is, or a refusal (rules 2, 3, 5, 8). No I/O, no clock."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from pointsman_agent.routing import Route, Routing

MUTUAL_TLS: Final = 3
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")


class OpeningRequest(msgspec.Struct, frozen=True):
    """What a station shows when it connects. `target` is the request target as sent, `offered` its subprotocols."""

    target: str
    authorization: bytes | None
    offered: tuple[str, ...]
    certificate_name: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """An HTTP status before the upgrade. `error` is the reason class of rule 50; `why` is for the log and no secret."""

    status: int
    error: str
    why: str
    identity: str | None = None


def admit(
    request: OpeningRequest, routing: Routing, secrets: Mapping[str, bytes], *, security_profile: int
) -> Route | Refused:
    """Return who asks, a known station with good credentials, or the refusal. `secrets` holds all that the bundle
    names."""
    credentials = basic_credentials(request.authorization)
    try:
        identity = identity_of(request.target)
    except ValueError:
        return Refused(404, "http-404", "the request's target is malformed")
    if identity is None and credentials is not None:
        identity = credentials[0].decode(errors="replace")
    if identity is None:
        return Refused(404, "http-404", "the request names no station")
    route = routing.find(identity)
    if route is None:
        return Refused(404, "http-404", "unknown station", identity)
    why = _fault_of_credentials(request, route, credentials, secrets, security_profile)
    if why is not None:
        return Refused(401, "auth", why, route.identity)
    return route


def identity_of(target: str) -> str | None:
    """Return the last segment of a request target's path, percent-decoded once (rule 3); None where there is none.

    Prefixes, a trailing slash, a query and an absolute-form target change nothing. Raises ValueError for broken
    percent-encoding, which is nobody's identity.
    """
    path = target if target.startswith("/") else urlsplit(target).path
    segment = path.partition("?")[0].rstrip("/").rpartition("/")[2]
    if not _is_percent_encoded(segment):
        raise ValueError("broken percent-encoding")
    return unquote_to_bytes(segment).decode() or None


def basic_credentials(authorization: bytes | None) -> tuple[bytes, bytes] | None:
    """Return user name and password of a Basic header, as bytes, split at the first colon (RFC 7617); else None."""
    if authorization is None:
        return None
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def key_bytes(secret: bytes, form: str) -> bytes:
    """Return the key that a secret stands for: `text` as it is, `hex` decoded (OCPP 1.6 security white paper, 2.3).

    Raises ValueError for an empty secret, which would let in everybody, and for a `hex` one that is none.
    """
    if not secret:
        raise ValueError("empty: a key has one character at least")
    if form == "text":
        return secret
    if len(secret) % 2 or not _HEX_DIGITS.issuperset(secret):
        raise ValueError("not hex: an even number of the digits 0-9, a-f")
    return bytes.fromhex(secret.decode())


def basic_header(identity: str, key: bytes) -> bytes:
    """Return the value of an Authorization header: `Basic base64(identity ":" key)`."""
    return b"Basic " + base64.b64encode(identity.encode() + b":" + key)


def _fault_of_credentials(
    request: OpeningRequest,
    route: Route,
    credentials: tuple[bytes, bytes] | None,
    secrets: Mapping[str, bytes],
    security_profile: int,
) -> str | None:
    if security_profile == MUTUAL_TLS and request.certificate_name != route.station.certificate_name:
        return f"its certificate says {request.certificate_name!r}"
    reference = route.station.password
    if credentials is not None and credentials[0].lower() != route.identity.encode().lower():
        return "the Basic user name is not the identity of the path"
    if reference is None:
        return None
    if credentials is None:
        return "no Basic credentials"
    wanted = key_bytes(secrets[reference.secret], reference.format)
    return None if hmac.compare_digest(credentials[1], wanted) else "wrong password"


def _is_percent_encoded(segment: str) -> bool:
    """Whether every `%` starts an escape of two hex digits."""
    return all(
        len(part) >= 2 and all(digit in "0123456789abcdefABCDEF" for digit in part[:2])
        for part in segment.split("%")[1:]
    )
