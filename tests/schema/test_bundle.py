"""The payload of a bundle: written and read back, and every way in which bytes are no bundle."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_schema.bundle import (
    READ_REASONS,
    BundleFormatError,
    Input,
    Lock,
    Source,
    bundle_of,
    bundle_schema,
    read_payload,
    write_payload,
    write_payload_of,
)
from pointsman_schema.canonical import CanonicalError, canonical_bytes, canonical_model, digest_of
from support.small_bundle import small_bundle, small_config


def plain_payload() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(write_payload(small_bundle()))
    return plain


def refusal_of(payload: bytes) -> str:
    with pytest.raises(BundleFormatError) as caught:
        read_payload(payload)
    assert caught.value.reason in READ_REASONS
    return caught.value.reason


def with_fresh_digest(plain: dict[str, Any]) -> bytes:
    return canonical_bytes({**plain, "configDigest": digest_of(canonical_bytes(plain["config"]))})


def test_what_is_written_is_read_back() -> None:
    assert read_payload(write_payload(small_bundle())) == small_bundle()


@given(st.text(max_size=20), st.integers(0, 2**53 - 1))
def test_the_quick_way_to_a_payload_gives_the_same_bytes(title: str, sequence: int) -> None:
    config = msgspec.structs.replace(small_config(), title=title)
    lock = Lock(compiler="1.0.0", tzdata="2026.6", inputs=[Input(file="é.yaml", digest=digest_of(b""))])
    source = Source(revision=title, file="é.yaml")
    bundle = bundle_of(config, site="a", sequence=sequence, source=source, lock=lock)

    canonical = canonical_model(config)
    digest, payload = write_payload_of(canonical, site="a", sequence=sequence, source=source, lock=lock)

    assert (digest, payload) == (bundle.config_digest, write_payload(bundle))


def test_the_model_admits_nothing_that_the_quick_way_does_not_look_for() -> None:
    def numbers(schema: Any) -> Iterator[dict[str, Any]]:
        inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        for part in inner:
            yield from numbers(part)
        if isinstance(schema, dict) and schema.get("type") in ("number", "integer"):
            yield schema

    found = list(numbers(bundle_schema()))

    assert len(found) > 5
    assert all(each["type"] == "integer" and 0 <= each["minimum"] <= each["maximum"] < 2**53 for each in found)


@pytest.mark.parametrize("name", ["é", "a\ud800"])
def test_the_quick_way_finds_keys_that_are_not_ascii(name: str) -> None:
    with pytest.raises(CanonicalError):
        canonical_model(msgspec.structs.replace(small_config(), labels={name: ""}))


def test_the_digest_covers_the_configuration_alone() -> None:
    expected = digest_of(canonical_bytes(small_config()))

    assert small_bundle(sequence=7).config_digest == small_bundle(sequence=8).config_digest == expected


def test_a_payload_fits_its_published_schema() -> None:
    jsonschema.Draft202012Validator(bundle_schema()).validate(plain_payload())


@pytest.mark.parametrize("version", [0, 2, "1", True, None, [1]])
def test_another_format_is_refused_before_its_content(version: Any) -> None:
    assert refusal_of(canonical_bytes({"format": version, "new": "field"})) == "unknown-format"


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 200_000, b'{"format":1,"format":1}', b'{"format": 1}'])
def test_bytes_that_are_not_canonical_json_are_refused(payload: bytes) -> None:
    assert refusal_of(payload) in ("not-canonical", "unknown-format")


def test_a_second_spelling_of_the_same_bundle_is_refused() -> None:
    plain = plain_payload()

    assert refusal_of(json.dumps(plain).encode()) == "not-canonical"
    assert refusal_of(write_payload(small_bundle()) + b"\n") == "not-canonical"
    assert refusal_of(write_payload(small_bundle()).replace(b"K\xc3\xbcche", b"K\\u00fcche")) == "not-canonical"
    assert refusal_of(write_payload(small_bundle()).replace(b'"site":"a"', b'"site":"a","site":"a"')) == "not-canonical"
    assert refusal_of(write_payload(small_bundle()).replace(b'"sequence":7', b'"sequence":7.0')) == "not-canonical"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("surprise", 1),
        ("timeZone", None),
        ("mode", "central"),
        ("stations", {}),
        ("journal", {"keepDays": 0}),
        ("journal", {"keepDays": True}),
        ("activation", {"spread": 601, "probation": 120, "drainLimit": 0}),
    ],
)
def test_what_breaks_the_model_is_refused_whatever_its_digest(part: str, value: Any) -> None:
    plain = plain_payload()
    plain["config"][part] = value

    assert refusal_of(with_fresh_digest(plain)) == "breaks-model"


def test_a_missing_field_breaks_the_model() -> None:
    plain = plain_payload()
    del plain["config"]["labels"]

    assert refusal_of(with_fresh_digest(plain)) == "breaks-model"


def test_a_configuration_under_the_digest_of_another_is_refused() -> None:
    plain = plain_payload()
    plain["config"]["supervisions"]["acme"]["url"] = "wss://evil.example/ocpp"

    assert refusal_of(canonical_bytes(plain)) == "digest-mismatch"


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_reason(payload: bytes) -> None:
    assert refusal_of(payload)
