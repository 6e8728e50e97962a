"""Canonical JSON: one value has one form, and what has none is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_schema.canonical import LARGEST_INTEGER, CanonicalError, canonical_bytes, digest_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
KEYS = st.text(st.characters(max_codepoint=127), max_size=6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


def test_keys_are_sorted_and_nothing_stands_between() -> None:
    assert canonical_bytes({"b": [1, True, None], "a": "é\n"}) == '{"a":"é\\n","b":[1,true,null]}'.encode()


@given(VALUES)
def test_a_decoded_form_has_the_same_form(value: Any) -> None:
    canonical = canonical_bytes(value)

    assert json.loads(canonical) == value
    assert canonical_bytes(json.loads(canonical)) == canonical


def test_every_character_is_written_as_the_standard_librarys_json_writes_it() -> None:
    # RFC 8785 section 3.2.2.2 demands what ECMAScript does; Python's json does the same with ensure_ascii off.
    for first in range(0, 0x110000, 0x400):
        text = "".join(map(chr, range(first, first + 0x400)))
        if not 0xD800 <= first <= 0xDFFF:
            assert canonical_bytes([text]) == json.dumps([text], ensure_ascii=False, separators=(",", ":")).encode()


@given(VALUES)
def test_the_form_is_that_of_an_independent_writer(value: Any) -> None:
    other = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    assert canonical_bytes(value) == other


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical_bytes(dict(reversed(value.items()))) == canonical_bytes(value)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1, {"é": 1}, {1: 2}, "\ud800", {"a": [{"b": 0.5}]}],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(CanonicalError):
        canonical_bytes(value)


def test_the_digest_is_sha256_in_hex() -> None:
    # FIPS 180-4, the digest of the empty message.
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
