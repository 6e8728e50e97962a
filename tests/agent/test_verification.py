"""A bundle is taken as it was signed, or refused with a code; nothing between."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.verification import CODES, BundleRefused, Expectation, verify
from pointsman_schema.bundle import Bundle, read_payload
from pointsman_schema.canonical import canonical_bytes
from pointsman_schema.envelope import LARGEST_ENVELOPE_BYTES, open_unverified, seal
from support.sites import SITE, a_bundle, a_config

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"2" * 32)
CONFIG = a_config()
GOOD = a_bundle(CONFIG, keys=(KEY,), sequence=7)
BUNDLE = read_payload(open_unverified(GOOD))

SIGNED = Expectation(site=SITE, trusted=(KEY.public_key(),), highest_sequence=-1, highest_digest="")
UNSIGNED = msgspec.structs.replace(SIGNED, trusted=None)


def refusal(envelope: bytes, expected: Expectation = SIGNED) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        verify(envelope, expected)
    assert caught.value.code in CODES
    assert str(caught.value)
    return caught.value


def with_payload(change: Callable[[dict[str, Any]], object]) -> bytes:
    plain: dict[str, Any] = json.loads(open_unverified(GOOD))
    change(plain)
    return seal(canonical_bytes(plain), (KEY,))


def test_a_signed_bundle_of_this_site_is_taken() -> None:
    assert verify(GOOD, SIGNED) == BUNDLE
    assert verify(a_bundle(CONFIG, sequence=7), UNSIGNED) == BUNDLE


def test_one_trusted_key_is_enough() -> None:
    both = msgspec.structs.replace(SIGNED, trusted=(OTHER.public_key(), KEY.public_key()))

    assert verify(GOOD, both) == BUNDLE
    assert verify(a_bundle(CONFIG, keys=(OTHER, KEY), sequence=7), SIGNED) == BUNDLE


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b" " * (LARGEST_ENVELOPE_BYTES + 1), "too-large"),
        (b"", "no-envelope"),
        (b"\xff\xfe", "no-envelope"),
        (b"{}", "no-envelope"),
        (b"[" * 100_000, "no-envelope"),
        (GOOD[:-20], "no-envelope"),
        (a_bundle(CONFIG), "unsigned"),
        (a_bundle(CONFIG, keys=(OTHER,)), "untrusted"),
        (seal(b"null", (KEY,)), "unknown-format"),
        (seal(b"[]", (KEY,)), "unknown-format"),
        (seal(b'{"format":2}', (KEY,)), "unknown-format"),
        (seal(b'{"format":true}', (KEY,)), "unknown-format"),
        (seal(b"", (KEY,)), "not-canonical"),
        (seal(b"\xff", (KEY,)), "not-canonical"),
        (seal(b'{"format": 1}', (KEY,)), "not-canonical"),
        (seal(b'{"format":1,"format":1}', (KEY,)), "not-canonical"),
        (seal(b'{"format":1,"x":1.5}', (KEY,)), "not-canonical"),
        (seal(b'{"format":1}', (KEY,)), "breaks-model"),
        (with_payload(lambda plain: plain.update(more=1)), "breaks-model"),
        (with_payload(lambda plain: plain["config"].update(mode="other")), "breaks-model"),
        (with_payload(lambda plain: plain["config"].update(title="x")), "digest-mismatch"),
        (a_bundle(CONFIG, keys=(KEY,), site="another-site"), "wrong-site"),
    ],
)
def test_r49_what_is_refused_and_why(envelope: bytes, code: str) -> None:
    assert refusal(envelope).code == code


def test_r49_what_breaks_is_told_without_a_signature_too() -> None:
    assert refusal(b"{}", UNSIGNED).code == "no-envelope"
    assert refusal(seal(b'{"format":1}'), UNSIGNED).code == "breaks-model"
    assert refusal(GOOD, msgspec.structs.replace(SIGNED, trusted=())).code == "untrusted"


@pytest.mark.parametrize(
    ("highest", "digest", "code"),
    [
        (6, "sha256:x", None),
        (7, BUNDLE.config_digest, None),
        (7, "sha256:x", "sequence-conflict"),
        (8, BUNDLE.config_digest, "old-sequence"),
    ],
)
def test_r49_a_sequence_never_goes_back_nor_means_two_things(highest: int, digest: str, code: str | None) -> None:
    expected = msgspec.structs.replace(SIGNED, highest_sequence=highest, highest_digest=digest)

    if code is None:
        assert verify(GOOD, expected) == BUNDLE
    else:
        error = refusal(GOOD, expected)
        assert (error.code, error.digest, error.sequence) == (code, BUNDLE.config_digest, 7)


def test_a_refusal_before_the_bundle_is_read_knows_neither_digest_nor_sequence() -> None:
    error = refusal(a_bundle(CONFIG))

    assert (error.digest, error.sequence) == (None, None)


def test_nesting_of_any_depth_is_refused_and_never_a_crash() -> None:
    for depth in (1, 100, *range(500, 1010), 5000):  # each layer of the reader has a limit of its own
        payload = b'{"format":1,"x":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(BundleRefused) as caught:
            verify(seal(payload), UNSIGNED)
        assert caught.value.code in ("breaks-model", "not-canonical")


@pytest.mark.parametrize("signature", ["é", "\u0661", "%%%%", "", "AAAA"])
def test_a_signature_that_is_none_is_untrusted_and_never_a_crash(signature: str) -> None:
    plain = json.loads(GOOD)
    plain["signatures"][0]["sig"] = signature

    assert refusal(json.dumps(plain).encode()).code == "untrusted"


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_nothing(position: int, mask: int) -> None:
    flipped = bytearray(GOOD)
    flipped[position] ^= mask

    assert _taken(bytes(flipped)) in (None, BUNDLE)


@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=5))
def test_a_cut_or_patched_envelope_is_refused_or_changes_nothing(start: int, end: int, patch: bytes) -> None:
    assert _taken(GOOD[:start] + patch + GOOD[end:]) in (None, BUNDLE)


@given(st.integers(0, 2000), st.integers(1, 255))
def test_a_flipped_byte_of_the_payload_is_refused(position: int, mask: int) -> None:
    plain = json.loads(GOOD)
    payload = bytearray(base64.b64decode(plain["payload"]))
    payload[position % len(payload)] ^= mask
    plain["payload"] = base64.b64encode(payload).decode()

    assert refusal(json.dumps(plain).encode()).code == "untrusted"


def _taken(envelope: bytes) -> Bundle | None:
    try:
        return verify(envelope, SIGNED)
    except BundleRefused:
        return None
