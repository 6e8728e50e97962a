"""Who is it that connects? Every sane spelling of the path is the same station, every bad credential a 401."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.handshake import (
    OpeningRequest,
    Refused,
    admit,
    basic_credentials,
    basic_header,
    identity_of,
    key_bytes,
)
from pointsman_agent.routing import Route, Routing
from pointsman_schema.bundle import Station, read_payload
from pointsman_schema.envelope import open_unverified
from support.sites import a_bundle, a_config, a_password, a_station

SECRETS = {"door": b"open sesame", "hex": b"00010203FF"}
MUTUAL_TLS = 3


@pytest.mark.parametrize(
    "target",
    [
        "/ocpp/RDAM%7C123",
        "/ocpp/RDAM|123",
        "/RDAM%7c123",
        "/ocpp/RDAM%7C123/",
        "/ocpp/RDAM%7C123//",
        "//RDAM%7C123",
        "/a/b/c/d/RDAM%7C123",
        "/ocpp/RDAM%7C123?x=1",
        "/ocpp/RDAM%7C123/?x=/y/z",
        "ws://controller:9000/ocpp/RDAM%7C123",
        "wss://[::1]:9000/ocpp/RDAM%7C123/?x=1",
        "http://controller/RDAM%7C123",
        "/%2e%2e/%52DAM%7C123",
    ],
)
def test_r3_an_identity_comes_from_any_sane_path(target: str) -> None:
    assert identity_of(target) == "RDAM|123"


@pytest.mark.parametrize(
    ("target", "identity"),
    [
        ("/ocpp/a%2Fb", "a/b"),
        ("/ocpp/%2541", "%41"),
        ("/ocpp/CP%201", "CP 1"),
        ("/ocpp/K%C3%BCche", "Küche"),
        ("/ocpp/A?B#C", "A"),
        ("/ocpp/A+B", "A+B"),
        ("/", None),
        ("", None),
        ("//", None),
        ("/?CP-1", None),
        ("ws://controller:9000", None),
        ("ws://controller:9000/", None),
        ("*", "*"),
    ],
)
def test_r3_the_last_segment_is_decoded_once(target: str, identity: str | None) -> None:
    assert identity_of(target) == identity


@pytest.mark.parametrize("target", ["/a/%", "/a/%4", "/a/%zz", "/a/%-1", "/a/%FF", "/a/%C3", "ws://[oops/CP-1"])
def test_r3_a_broken_target_is_nobodys_identity(target: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        identity_of(target)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=":/"), min_size=1))
def test_r3_every_identity_that_a_site_may_have_is_read_back(identity: str) -> None:
    for path in (f"/ocpp/{quote(identity, safe='')}", f"/{quote(identity, safe='')}/?q=1"):
        assert identity_of(path) == identity


@given(st.text(max_size=30))
def test_any_target_is_an_identity_none_or_a_value_error(target: str) -> None:
    try:
        identity = identity_of(target)
    except ValueError:
        return
    assert identity is None or identity


# --- Basic credentials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        (b"Basic " + base64.b64encode(b"CP-1:secret"), (b"CP-1", b"secret")),
        (b"basic  " + base64.b64encode(b"CP-1:a:b:c"), (b"CP-1", b"a:b:c")),
        (b"BASIC " + base64.b64encode(b"CP-1:") + b" ", (b"CP-1", b"")),
        (b"Basic " + base64.b64encode(b":\x00\xff"), (b"", b"\x00\xff")),
        (b"Basic " + base64.b64encode(b"no colon"), None),
        (b"Basic not base64!", None),
        (b"Basic", None),
        (b"Bearer " + base64.b64encode(b"CP-1:secret"), None),
        (b"", None),
        (None, None),
    ],
)
def test_basic_credentials_are_bytes_split_at_the_first_colon(
    header: bytes | None, credentials: tuple[bytes, bytes] | None
) -> None:
    assert basic_credentials(header) == credentials


@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])), st.binary())
def test_a_basic_header_is_read_back(identity: str, key: bytes) -> None:
    assert basic_credentials(basic_header(identity, key)) == (identity.encode(), key)


def test_the_header_of_a_hex_key_is_that_of_the_white_paper() -> None:
    # OCPP 1.6 security white paper, edition 3, section 2.3, completed: its own sample is cut.
    key = key_bytes(b"0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF", "hex")

    assert basic_header("AL1000", key) == b"Basic QUwxMDAwOgABAgMEBQYH////////////////"


@pytest.mark.parametrize(
    ("secret", "form", "key"),
    [
        (b"any \xff thing", "text", b"any \xff thing"),
        (b"00ff", "hex", b"\x00\xff"),
        (b"00FFaB", "hex", b"\x00\xff\xab"),
    ],
)
def test_r21_a_key_is_what_its_secret_stands_for(secret: bytes, form: str, key: bytes) -> None:
    assert key_bytes(secret, form) == key


@pytest.mark.parametrize(
    ("secret", "form"),
    [(b"", "text"), (b"", "hex"), (b"0", "hex"), (b"0g", "hex"), (b"00 ff", "hex"), (b"\xff\xff", "hex")],
)
def test_a_secret_that_is_no_key_is_refused(secret: bytes, form: str) -> None:
    with pytest.raises(ValueError, match=r"hex|empty"):
        key_bytes(secret, form)


# --- Admission -----------------------------------------------------------------------------------------------------


def ask(
    station: Station,
    *,
    target: str = "/ocpp/CP-1",
    user: str | None = None,
    password: bytes = b"",
    profile: int = 0,
    name: str | None = None,
    offered: tuple[str, ...] = ("ocpp1.6",),
) -> Route | Refused:
    authorization = None if user is None else basic_header(user, password)
    routing = Routing(read_payload(open_unverified(a_bundle(a_config(stations={"CP-1": station})))))
    return admit(OpeningRequest(target, authorization, offered, name), routing, SECRETS, security_profile=profile)


def refusal(answer: Route | Refused) -> tuple[int, str]:
    assert isinstance(answer, Refused)
    return answer.status, answer.error


OPEN = a_station()
LOCKED = a_station(password=a_password("door"))
HEX = a_station(password=a_password("hex", "hex"))
CERTIFIED = a_station(certificate_name="SN0815")


@pytest.mark.parametrize(
    ("station", "user", "password"),
    [
        (OPEN, None, b""),
        (OPEN, "CP-1", b"anything"),
        (LOCKED, "CP-1", b"open sesame"),
        (LOCKED, "cp-1", b"open sesame"),
        (HEX, "CP-1", b"\x00\x01\x02\x03\xff"),
    ],
    ids=["none wanted", "not wanted", "text", "user in another case", "hex"],
)
def test_r2_good_credentials_are_admitted(station: Station, user: str | None, password: bytes) -> None:
    answer = ask(station, user=user, password=password)

    assert isinstance(answer, Route)
    assert answer.identity == "CP-1"


@pytest.mark.parametrize(
    ("station", "user", "password"),
    [
        (LOCKED, None, b""),
        (LOCKED, "CP-1", b""),
        (LOCKED, "CP-1", b"Open sesame"),
        (LOCKED, "CP-1", b"open sesame "),
        (LOCKED, "CP-2", b"open sesame"),
        (LOCKED, "", b"open sesame"),
        (OPEN, "CP-2", b""),
        (HEX, "CP-1", b"00010203FF"),
    ],
    ids=["none", "empty", "case", "blank", "other user", "no user", "other user, none wanted", "hex as text"],
)
@pytest.mark.parametrize("profile", [0, 1, 2])
def test_r2_bad_credentials_are_401_on_every_listener(
    station: Station, user: str | None, password: bytes, profile: int
) -> None:
    answer = ask(station, user=user, password=password, profile=profile)

    assert refusal(answer) == (401, "auth")
    assert isinstance(answer, Refused)
    assert answer.identity == "CP-1"
    assert not password.strip() or password.decode(errors="replace").lower() not in answer.why


@pytest.mark.parametrize("name", [None, "", "CP-1", "sn0815"])
def test_r8_on_a_profile_3_listener_the_certificate_must_name_the_station(name: str | None) -> None:
    assert refusal(ask(CERTIFIED, profile=MUTUAL_TLS, name=name)) == (401, "auth")


def test_r8_the_name_of_the_certificate_admits_and_a_password_is_still_wanted() -> None:
    both = a_station(certificate_name="SN0815", password=a_password("door"))

    assert isinstance(ask(CERTIFIED, profile=MUTUAL_TLS, name="SN0815"), Route)
    assert refusal(ask(both, profile=MUTUAL_TLS, name="SN0815")) == (401, "auth")
    assert isinstance(ask(both, profile=MUTUAL_TLS, name="SN0815", user="CP-1", password=b"open sesame"), Route)


@pytest.mark.parametrize("target", ["/ocpp/CP-2", "/ocpp/%", "/ocpp/CP-1/x", "/ocpp/%C3", "*"])
def test_r2_and_r3_who_is_unknown_is_404_with_any_credentials(target: str) -> None:
    assert refusal(ask(LOCKED, target=target)) == (404, "http-404")
    assert refusal(ask(LOCKED, target=target, user="CP-1", password=b"open sesame")) == (404, "http-404")


def test_r3_without_an_identity_in_the_path_the_user_name_counts() -> None:
    assert refusal(ask(LOCKED, target="/")) == (404, "http-404")
    assert refusal(ask(LOCKED, target="/", user="CP-2", password=b"open sesame")) == (404, "http-404")
    assert refusal(ask(LOCKED, target="/", user="CP-1", password=b"wrong")) == (401, "auth")
    assert isinstance(ask(LOCKED, target="/", user="CP-1", password=b"open sesame"), Route)


def test_r3_another_case_of_the_identity_gets_the_configured_spelling() -> None:
    answer = ask(OPEN, target="/ocpp/cp-1")

    assert isinstance(answer, Route)
    assert answer.identity == "CP-1"
