"""A value → the bytes that are hashed and signed: canonical JSON.

Sorted keys, no white space, UTF-8. Only strings, integers, booleans, null, lists and objects with ASCII keys are
admitted; over that subset the output equals RFC 8785 (JSON Canonicalization Scheme): sorting by code point and by
UTF-16 unit agree on ASCII, and integers have one form.
"""

import hashlib
import json

import msgspec

# RFC 8785 section 3.2.2.3 writes numbers as IEEE doubles: integers are exact up to here.
LARGEST_INTEGER = 2**53 - 1


class CanonicalError(ValueError):
    """A value that has no canonical form, or bytes that are not one. The author of the value is at fault."""


def canonical_bytes(value: object) -> bytes:
    """Return the canonical JSON of `value`: a msgspec struct or plain data.

    Raises CanonicalError for floats, for integers beyond ±(2**53 - 1), for keys that are not ASCII strings, for lone
    surrogates and for any other type.
    """
    plain = msgspec.to_builtins(value, str_keys=False)
    _demand_canonical(plain)
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("canonical JSON holds no lone surrogates") from error


def digest_of(data: bytes) -> str:
    """Return `sha256:` and the hex digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _demand_canonical(value: object) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > LARGEST_INTEGER:
                raise CanonicalError(f"canonical JSON holds no integer beyond 2**53 - 1, got {value}")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not key.isascii():
                    raise CanonicalError(f"canonical JSON has ASCII keys only, got {key!r}")
                _demand_canonical(item)
        case list() | tuple():
            for item in value:
                _demand_canonical(item)
        case _:
            raise CanonicalError(f"canonical JSON holds no {type(value).__name__}")
