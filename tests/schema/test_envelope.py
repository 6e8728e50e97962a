"""The signed envelope, with securesystemslib (the DSSE authors' own library) as its oracle."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pointsman_schema.bundle import PAYLOAD_TYPE
from pointsman_schema.envelope import (
    LARGEST_ENVELOPE_BYTES,
    EnvelopeError,
    add_signature,
    key_id,
    load_private_key,
    load_public_key,
    open_unverified,
    open_verified,
    pre_authentication_encoding,
    seal,
)
from securesystemslib import dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import SSlibKey

# Keys from fixed seeds: the same run on every machine.
KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"2" * 32)
PAYLOAD = b'{"format":1}'


def oracle_key(key: Ed25519PrivateKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.public_key(), keyid=key_id(key.public_key()))


def changed(envelope: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    plain = json.loads(envelope)
    change(plain)
    return json.dumps(plain).encode()


def refusal_of(envelope: bytes, *trusted: Ed25519PrivateKey) -> str:
    with pytest.raises(EnvelopeError) as caught:
        open_verified(envelope, [key.public_key() for key in trusted or (KEY,)])
    return caught.value.reason


@given(st.text(max_size=20), st.binary(max_size=50))
def test_the_signed_bytes_are_those_of_the_oracle(kind: str, payload: bytes) -> None:
    assert pre_authentication_encoding(kind, payload) == dsse.Envelope(payload, kind, {}).pae()


def test_the_signed_bytes_are_those_of_the_protocol() -> None:
    # DSSE protocol 1.0, "Test Vectors" in implementation/README of secure-systems-lab/dsse.
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"

    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == expected


def test_the_oracle_verifies_our_signatures() -> None:
    envelope = dsse.Envelope.from_dict(json.loads(seal(PAYLOAD, [KEY, OTHER_KEY])))

    accepted = envelope.verify([oracle_key(KEY), oracle_key(OTHER_KEY)], threshold=2)

    assert len(accepted) == 2
    assert (envelope.payload, envelope.payload_type) == (PAYLOAD, PAYLOAD_TYPE)


def test_the_oracle_refuses_what_we_sealed_for_another_payload() -> None:
    envelope = dsse.Envelope.from_dict(json.loads(seal(PAYLOAD, [KEY])))
    envelope.payload = b'{"format":2}'

    with pytest.raises(VerificationError):
        envelope.verify([oracle_key(KEY)], threshold=1)


def test_we_verify_the_oracles_signatures() -> None:
    envelope = dsse.Envelope(PAYLOAD, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(KEY, oracle_key(KEY)))

    assert open_verified(json.dumps(envelope.to_dict()).encode(), [KEY.public_key()]) == PAYLOAD


@given(st.binary(max_size=100))
def test_any_payload_comes_out_as_it_went_in(payload: bytes) -> None:
    envelope = seal(payload, [KEY])

    assert open_verified(envelope, [KEY.public_key()]) == open_unverified(envelope) == payload


def test_the_same_input_gives_the_same_bytes_whatever_the_order_of_keys() -> None:
    assert seal(PAYLOAD, [KEY, OTHER_KEY]) == seal(PAYLOAD, [OTHER_KEY, KEY])


def test_one_trusted_signature_among_strangers_is_enough() -> None:
    assert open_verified(seal(PAYLOAD, [OTHER_KEY, KEY]), [KEY.public_key()]) == PAYLOAD


def test_a_signature_can_be_added_and_is_replaced_when_added_again() -> None:
    once = add_signature(seal(PAYLOAD), KEY)

    assert once == seal(PAYLOAD, [KEY]) == add_signature(once, KEY)
    assert add_signature(once, OTHER_KEY) == seal(PAYLOAD, [KEY, OTHER_KEY])


def test_an_unsigned_envelope_opens_only_unverified() -> None:
    assert refusal_of(seal(PAYLOAD)) == "unsigned"
    assert open_unverified(seal(PAYLOAD)) == PAYLOAD


def test_a_stranger_signature_is_not_trusted() -> None:
    assert refusal_of(seal(PAYLOAD, [OTHER_KEY])) == "untrusted"


def test_a_strangers_signature_under_the_trusted_key_id_is_not_trusted() -> None:
    forged = changed(
        seal(PAYLOAD, [OTHER_KEY]), lambda plain: plain["signatures"][0].update(keyid=key_id(KEY.public_key()))
    )

    assert refusal_of(forged) == "untrusted"


def test_a_changed_payload_is_not_trusted() -> None:
    forged = changed(
        seal(PAYLOAD, [KEY]), lambda plain: plain.update(payload=base64.b64encode(b'{"format":2}').decode())
    )

    assert refusal_of(forged) == "untrusted"


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_never_gives_another_payload(position: int, change: int) -> None:
    envelope = bytearray(seal(PAYLOAD, [KEY]))
    envelope[position % len(envelope)] ^= change

    try:
        opened = open_verified(bytes(envelope), [KEY.public_key()])
    except EnvelopeError:
        return
    assert opened == PAYLOAD  # a change of white space, or of base64 bits that carry nothing


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"payload":"e30=","payloadType":"application/json","signatures":[]}',
        b'{"payload":"e30","payloadType":"application/vnd.pointsman.bundle.v1+json","signatures":[]}',
        '{"payload":"é","payloadType":"application/vnd.pointsman.bundle.v1+json","signatures":[]}'.encode(),
        b'{"payload":"e30=","payloadType":"application/vnd.pointsman.bundle.v1+json","signatures":[],"more":1}',
    ],
)
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    assert refusal_of(envelope) == "no-envelope"


@pytest.mark.parametrize("sig", ["", "!!!", "é", "AAAA"])
def test_a_signature_that_is_none_is_not_trusted(sig: str) -> None:
    broken = changed(seal(PAYLOAD, [KEY]), lambda plain: plain["signatures"][0].update(sig=sig))

    assert refusal_of(broken) == "untrusted"


def test_more_than_eight_mib_is_refused_unread() -> None:
    assert refusal_of(b" " * (LARGEST_ENVELOPE_BYTES + 1)) == "too-large"


def test_keys_come_from_pem() -> None:
    private = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    assert load_private_key(private).sign(b"x") == KEY.sign(b"x")
    assert key_id(load_public_key(public)) == key_id(KEY.public_key())


def test_keys_of_another_kind_are_refused() -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    private = elliptic.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = elliptic.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    with pytest.raises(ValueError, match="not Ed25519"):
        load_private_key(private)
    with pytest.raises(ValueError, match="not Ed25519"):
        load_public_key(public)
    with pytest.raises(ValueError, match="no PEM public key"):
        load_public_key(b"nonsense")
