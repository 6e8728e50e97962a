"""Flags of the agent: checked before anything runs, each refusal with its remedy."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pointsman_agent.bundleurl import BundleUrl
from pointsman_agent.settings import (
    KeyFiles,
    PushSettings,
    SettingsError,
    admin_address,
    admin_tls,
    bundle_place,
    push_settings,
    rollout_settings,
    trusted_keys,
)
from pointsman_schema.envelope import key_id


def a_key_file(folder: Path, name: str) -> tuple[Path, Ed25519PublicKey]:
    key = Ed25519PrivateKey.generate().public_key()
    path = folder / name
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path, key


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9100", ("127.0.0.1", 9100)),
        ("127.8.9.1:0", ("127.8.9.1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:9100", ("::1", 9100)),
        ("::1:9100", ("::1", 9100)),
    ],
)
def test_a_loopback_address_is_taken(text: str, address: tuple[str, int]) -> None:
    assert admin_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "9100", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "[::1]", "127.0.0.1:-1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--admin .*127\.0\.0\.1"):
        admin_address(text)


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9100", ":9100", "192.168.1.1:9100", "[::]:9100", "example.org:9100", "[2001:db8::1]:1"]
)
def test_an_address_that_others_reach_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        admin_address(text)


def test_an_address_that_others_reach_is_taken_where_it_is_made_safe_or_said_to_be() -> None:
    assert admin_address("0.0.0.0:9100", is_exposable=True) == ("0.0.0.0", 9100)
    assert admin_address("[::]:9100", is_exposable=True) == ("::", 9100)


def test_certificate_and_key_of_the_admin_interface_belong_together(tmp_path: Path) -> None:
    assert admin_tls(None, None) is None
    assert admin_tls(tmp_path / "a.pem", tmp_path / "a.key") == KeyFiles(tmp_path / "a.pem", tmp_path / "a.key")
    for files in ((tmp_path / "a.pem", None), (None, tmp_path / "a.key")):
        with pytest.raises(SettingsError, match="belong together"):
            admin_tls(*files)


def test_trusted_keys_are_read_in_their_order(tmp_path: Path) -> None:
    (first, first_key), (second, second_key) = a_key_file(tmp_path, "a.pub"), a_key_file(tmp_path, "b.pub")

    keys = trusted_keys((first, second), allow_unsigned=False)

    assert keys is not None
    assert [key_id(key) for key in keys] == [key_id(first_key), key_id(second_key)]


def test_unsigned_bundles_are_taken_only_when_allowed_and_never_beside_a_key(tmp_path: Path) -> None:
    path, _ = a_key_file(tmp_path, "a.pub")

    assert trusted_keys((), allow_unsigned=True) is None
    with pytest.raises(SettingsError, match="--trust FILE is needed"):
        trusted_keys((), allow_unsigned=False)
    with pytest.raises(SettingsError, match="exclude each other"):
        trusted_keys((path,), allow_unsigned=True)


def test_a_key_file_that_is_none_is_refused_with_its_name(tmp_path: Path) -> None:
    missing, text, other = tmp_path / "missing", tmp_path / "text", tmp_path / "other"
    text.write_text("no key")
    public = generate_private_key(SECP256R1()).public_key()
    other.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    for path in (missing, text, other, tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            trusted_keys((path,), allow_unsigned=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://config.example/harbour.bundle",
        "https://config.example:8443/a?signature=x",
        "https://[2001:db8::1]/a",
        "http://localhost:8080/a",
        "http://127.0.0.1/a",
        "http://[::1]:80/a",
    ],
)
def test_a_bundle_by_https_or_from_this_machine_is_taken(url: str) -> None:
    assert bundle_place(url, token="token") == BundleUrl(url, token="token")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://config.example/a", "only https"),
        ("http://localhost.example/a", "only https"),
        ("http://10.0.0.1/a", "only https"),
        ("ftp://config.example/a", "only https"),
        ("file:///etc/site.bundle", "names no host"),
        ("https:///a", "names no host"),
        ("https://config.example:0/a", "names no host and port"),
        ("https://config.example:99999/a", "ort"),
        ("https://[::1/a", "IPv6"),
        ("https://a..b/a", "label"),
        ("https://config.example/a b", "white space"),
        ("https://config.example/a\n", "white space"),
        ("https://config.example/a#b", "fragment"),
        ("https://user:hush@config.example/a", "--bundle-token"),
    ],
)
def test_a_bundle_from_anywhere_else_is_refused_and_no_secret_in_it_repeated(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        bundle_place(url)

    assert "hush" not in str(caught.value)


def test_what_proves_a_controller_is_for_a_url_and_is_whole(tmp_path: Path) -> None:
    assert bundle_place("site.bundle") == Path("site.bundle")
    with pytest.raises(SettingsError, match="for a --bundle that is a URL"):
        bundle_place("site.bundle", token="token")
    with pytest.raises(SettingsError, match="need each other"):
        bundle_place("https://config.example/a", key="key")
    assert BundleUrl("https://config.example/a?signature=x").shown == "https://config.example/a"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://metrics..example/push", "label"),
        ("https://metrics.example:99999/push", "ort"),
        ("https://[::1/push", "IPv6"),
        ("https:///push", "names no host"),
        ("metrics.example/push", "names no host"),
        ("ftp://metrics.example/push", "write https://"),
        ("https://metrics.example/a b", "white space"),
        ("https://user:hush@metrics.example/push", "-token"),
        ("https://metrics..example/push?token=hush", "label"),
    ],
)
def test_a_mistyped_url_of_a_rollout_or_a_push_is_refused_and_no_secret_in_it_repeated(url: str, words: str) -> None:
    for flag, read in (("--push", pushed_to), ("--rollout", rolled_out_from)):
        with pytest.raises(SettingsError, match=f"^{flag} .*{words}") as caught:
            read(url)

        assert "hush" not in str(caught.value)


def pushed_to(url: str) -> object:
    return push_settings(url, None)


def rolled_out_from(url: str) -> object:
    return rollout_settings(url, Path("root.json"), None, 60, None, ())


def test_a_token_goes_over_https_or_stays_on_this_machine() -> None:
    assert push_settings("http://metrics.example/push", None) == PushSettings("http://metrics.example/push")
    for url in ("https://metrics.example/push", "http://127.0.0.2/push"):
        assert push_settings(url, "token") == PushSettings(url, "token")
    with pytest.raises(SettingsError, match="https:// only"):
        push_settings("http://metrics.example/push", "token")
