"""A value → the bytes that are hashed and signed: canonical JSON.

Sorted keys, no white space, UTF-8. Only strings, integers, booleans, null, lists and objects with ASCII keys are
admitted; over that subset the output equals RFC 8785 (JSON Canonicalization Scheme): sorting by code point and by
UTF-16 unit agree on ASCII, and integers have one form.
"""

import hashlib
from collections.abc import Mapping

import msgspec

# RFC 8785 section 3.2.2.3 writes numbers as IEEE doubles: integers are exact up to here.
LARGEST_INTEGER = 2**53 - 1

_ALWAYS = frozenset({str, bool, type(None)})
"""Types of which every value has a canonical form (lone surrogates aside)."""


class CanonicalError(ValueError):
    """A value that has no canonical form, or bytes that are not one. The author of the value is at fault."""


def canonical_bytes(value: object) -> bytes:
    """Return the canonical JSON of `value`: a msgspec struct or plain data.

    Raises CanonicalError for floats, for integers beyond ±(2**53 - 1), for keys that are not ASCII strings, for lone
    surrogates and for any other type.
    """
    _demand_canonical(msgspec.to_builtins(value, str_keys=False))
    return _encoded(value)


def canonical_model(value: msgspec.Struct) -> bytes:
    """Return the canonical JSON of `value`, in a fifth of the time where it is all ASCII.

    `value` is of a type whose fields admit texts, whole numbers up to 2**53 - 1, truth values, null, and lists and
    maps with texts as keys of them, and came from a decoder that held it to that type: of what `canonical_bytes`
    refuses, only keys that are not ASCII are left to look for. Raises CanonicalError for them and for lone surrogates.
    """
    encoded = _encoded(value)
    return encoded if encoded.isascii() else canonical_bytes(value)


def canonical_object(members: Mapping[str, object], canonical: Mapping[str, bytes]) -> bytes:
    """Return the canonical JSON of an object of `members` and of those whose canonical bytes are at hand already.

    Raises CanonicalError for what has none among `members`; `canonical` is taken as it is.
    """
    plain = msgspec.to_builtins(members, str_keys=False)
    _demand_canonical(plain)
    raw = {key: msgspec.Raw(value) for key, value in canonical.items()}
    return msgspec.json.encode({**plain, **raw}, order="sorted")


def digest_of(data: bytes) -> str:
    """Return `sha256:` and the hex digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError as error:
        raise CanonicalError("canonical JSON holds no lone surrogates") from error


def _demand_canonical(value: object) -> None:
    """Walks without recursion and without `match`: a bundle has thousands of values, and each is asked here."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            _demand_ascii_keys(item)
            waiting += [inner for inner in item.values() if type(inner) not in _ALWAYS]
        elif isinstance(item, list | tuple):
            waiting += [inner for inner in item if type(inner) not in _ALWAYS]
        elif isinstance(item, int):
            if abs(item) > LARGEST_INTEGER:
                raise CanonicalError(f"canonical JSON holds no integer beyond 2**53 - 1, got {item}")
        elif item is not None and not isinstance(item, str):
            raise CanonicalError(f"canonical JSON holds no {type(item).__name__}")


def _demand_ascii_keys(value: dict[str, object]) -> None:
    try:
        is_ascii = "".join(value).isascii()  # one call for all keys
    except TypeError as error:
        raise CanonicalError("canonical JSON has texts as keys only") from error
    if not is_ascii:
        raise CanonicalError(f"canonical JSON has ASCII keys only, got {sorted(value)}")
