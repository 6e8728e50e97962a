"""The signed envelope: DSSE (https://github.com/secure-systems-lab/dsse, protocol version 1.0) with Ed25519.

Sign and verify, pure: keys come in as objects, bytes go out. The signature covers the payload's type and bytes
(PAE), never its JSON, so no parser runs before the verdict.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pointsman_schema.bundle import PAYLOAD_TYPE

LARGEST_ENVELOPE_BYTES = 8 * 1024 * 1024


class EnvelopeError(ValueError):
    """Bytes that are no envelope, or none that a trusted key signed. `reason` is a stable code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signature: `keyid` is the SHA-256 of the public key's raw bytes in hex, `sig` is base64."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outer JSON of a bundle file (DSSE envelope)."""

    payload: str
    payloadType: str
    signatures: Annotated[list[Signature], msgspec.Meta(max_length=16)]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that a signature covers (DSSE protocol, section "Signature Definition")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the key's 32 raw bytes in hex."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()


def seal(payload: bytes, keys: Sequence[Ed25519PrivateKey] = ()) -> bytes:
    """Return an envelope round `payload`, signed by each of `keys`; with none it is unsigned."""
    return _encode(payload, [_signature(payload, key) for key in keys])


def add_signature(envelope: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return `envelope` with a signature by `key` added; an older one by the same key is replaced.

    Raises EnvelopeError when `envelope` is none.
    """
    opened, payload = _open(envelope)
    new = _signature(payload, key)
    others = [signature for signature in opened.signatures if signature.keyid != new.keyid]
    return _encode(payload, [*others, new])


def open_unverified(envelope: bytes) -> bytes:
    """Return the payload without any look at signatures: to show it, or where unsigned bundles are allowed.

    Raises EnvelopeError when `envelope` is none.
    """
    return _open(envelope)[1]


def open_verified(envelope: bytes, trusted: Iterable[Ed25519PublicKey]) -> bytes:
    """Return the payload when at least one of the `trusted` keys signed it.

    Raises EnvelopeError: `too-large`, `no-envelope`, `unsigned` or `untrusted`. The key id only hints which key to
    try; the verdict is the signature's alone.
    """
    opened, payload = _open(envelope)
    if not opened.signatures:
        raise EnvelopeError("unsigned", "the bundle is not signed")
    by_id = {key_id(key): key for key in trusted}
    signed = pre_authentication_encoding(opened.payloadType, payload)
    for signature in opened.signatures:
        key = by_id.get(signature.keyid)
        if key is not None and _is_valid(key, signature, signed):
            return payload
    raise EnvelopeError("untrusted", "no trusted key has a valid signature on the bundle")


def load_public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 public key in `pem`; raises ValueError when there is none."""
    try:
        key = serialization.load_pem_public_key(pem)
    except Exception as error:  # cryptography raises ValueError and its own UnsupportedAlgorithm, both the file's fault
        raise ValueError("no PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("the public key is not Ed25519")
    return key


def load_private_key(pem: bytes, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Return the Ed25519 private key in `pem`; raises ValueError when there is none or the passphrase is wrong.

    Raises TypeError when a passphrase is missing, or given without need (as `cryptography` does).
    """
    key = serialization.load_pem_private_key(pem, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the private key is not Ed25519")
    return key


def _signature(payload: bytes, key: Ed25519PrivateKey) -> Signature:
    signed = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Signature(keyid=key_id(key.public_key()), sig=base64.b64encode(signed).decode())


def _is_valid(key: Ed25519PublicKey, signature: Signature, signed: bytes) -> bool:
    try:
        raw = base64.b64decode(signature.sig, validate=True)
    except ValueError:  # binascii.Error, or text that is not ASCII
        return False
    try:
        key.verify(raw, signed)
    except InvalidSignature:
        return False
    return True


def _encode(payload: bytes, signatures: Iterable[Signature]) -> bytes:
    ordered = sorted(signatures, key=lambda signature: signature.keyid)
    envelope = Envelope(base64.b64encode(payload).decode(), PAYLOAD_TYPE, ordered)
    return msgspec.json.encode(envelope) + b"\n"


def _open(envelope: bytes) -> tuple[Envelope, bytes]:
    if len(envelope) > LARGEST_ENVELOPE_BYTES:
        raise EnvelopeError("too-large", f"the bundle has {len(envelope)} bytes, more than {LARGEST_ENVELOPE_BYTES}")
    try:
        opened = msgspec.json.decode(envelope, type=Envelope)
        payload = base64.b64decode(opened.payload, validate=True)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:  # ValueError: no base64, no UTF-8
        raise EnvelopeError("no-envelope", f"not a DSSE envelope: {error}") from error
    if opened.payloadType != PAYLOAD_TYPE:
        raise EnvelopeError("no-envelope", f"the envelope holds {opened.payloadType!r}, not a bundle")
    return opened, payload
