"""What a bundle needs of the controller is found before the switch, or the bundle is refused with a reason."""

import pytest
import trustme
from pointsman_agent.inforce import InForce
from pointsman_agent.preparation import prepare, secret_names
from pointsman_agent.verification import BundleRefused
from pointsman_schema.bundle import Bundle, Config, KeyPair, Proxy, UplinkPassword, read_payload
from pointsman_schema.envelope import open_unverified
from support.fakes import FakeSecrets
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_bundle,
    a_config,
    a_listener,
    a_local_group,
    a_password,
    a_remote_group,
    a_station,
    a_supervision,
    a_unique_config,
)

AUTHORITY = trustme.CA()
ROOT = AUTHORITY.cert_pem.bytes().decode()
ISSUED = AUTHORITY.issue_cert("controller")
PAIR = KeyPair(chain=ISSUED.cert_chain_pems[0].bytes().decode(), key="tls")
KEY = ISSUED.private_key_pem.bytes()


def bundle_of(config: Config) -> Bundle:
    return read_payload(open_unverified(a_bundle(config, sequence=9)))


def prepared(config: Config, **secrets: bytes) -> InForce:
    return prepare(bundle_of(config), FakeSecrets(**secrets))


def refusal(config: Config, **secrets: bytes) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        prepared(config, **secrets)
    assert caught.value.sequence == 9
    assert caught.value.digest is not None
    return caught.value


def a_listed_config(
    *lists: str, groups: tuple[str, ...] = ("staff",), stations: tuple[str, ...] = ("staff",)
) -> Config:
    """A configuration of local groups that has its badges from secret lists, besides one of its own."""
    return a_config(
        groups={name: a_local_group() for name in groups},
        stations={f"CP-{number}": a_station(group=name) for number, name in enumerate(stations)},
        badge_lists=list(lists),
    )


# --- Secrets -----------------------------------------------------------------------------------------------------


def test_every_secret_of_a_configuration_is_named() -> None:
    config = a_config(
        supervisions={
            "acme": a_supervision(
                "wss://acme/",
                trust=[ROOT],
                password=UplinkPassword(secret="acme-{station}", format="text"),
                client_certificate=KeyPair(chain=PAIR.chain, key="client-key"),
                proxy=Proxy(url="http://user@proxy:3128", password="proxy-password"),
            ),
            "volt": a_supervision("ws://volt/", password=UplinkPassword(secret="volt", format="hex")),
            "none": a_supervision("ws://none/", proxy=Proxy(url="http://proxy:3128", password=None)),
        },
        groups={"a": a_remote_group("acme"), "v": a_remote_group("volt"), "staff": a_local_group()},
        stations={
            "A-1": a_station("acme", "a"),
            "A-2": a_station("acme", "a", password=a_password("door")),
            "V-1": a_station("volt", "v"),
            "L-1": a_station(),
        },
        listeners={"lan": a_listener(9000), "tls": a_listener(9443, security_profile=2, certificate=PAIR)},
        badge_lists=["badges"],
    )

    assert secret_names(config) == {
        "acme-A-1", "acme-A-2", "badges", "client-key", "door", "proxy-password", "tls", "volt",
    }  # fmt: skip


def test_r43_the_values_of_all_secrets_are_read_once_and_kept() -> None:
    config = a_config(stations={"CP-1": a_station(password=a_password("door"))}, badge_lists=["list"])

    assert prepared(config, door=b"open", list=b"badge\n", more=b"not asked").secrets == {
        "door": b"open",
        "list": b"badge\n",
    }


def test_r49_a_missing_secret_refuses_the_bundle_and_is_named() -> None:
    config = a_config(stations={"CP-1": a_station(password=a_password("door"))})

    error = refusal(config)

    assert error.code == "secret-missing"
    assert "'door'" in str(error)


@pytest.mark.parametrize("value", [b"", b"0", b"xy", b"00 11", b"\xff"])
def test_r49_a_hex_secret_that_is_none_refuses_the_bundle_and_its_content_is_not_told(value: bytes) -> None:
    of_station = a_config(stations={"CP-1": a_station(password=a_password("door", "hex"))})
    of_supervision = a_unique_config("ws://h/", password=UplinkPassword(secret="key-{station}", format="hex"))

    for error in (refusal(of_station, door=value), refusal(of_supervision, **{"key-CP-1": value})):
        assert error.code == "secret-missing"
        assert "hex" in str(error) or "empty" in str(error)
        assert not value or value.decode(errors="replace") not in str(error).replace("0-9", "")


def test_an_empty_password_lets_nobody_in_but_refuses_the_bundle() -> None:
    assert (
        refusal(a_config(stations={"CP-1": a_station(password=a_password("door"))}), door=b"").code == "secret-missing"
    )


# --- Badge lists ---------------------------------------------------------------------------------------------------


def test_badges_of_secret_lists_stand_beside_those_of_the_bundle() -> None:
    routing = prepared(
        a_listed_config("list"),
        list=b"badge,groups,authorized,vip,until,type,comment\n04FF,staff,true,true,2027-01-31,eMAID,Front desk\n",
    ).routing
    badge = routing.badge("04ff")

    assert badge is not None
    assert (badge.groups, badge.authorized, badge.vip, badge.until) == (["staff"], True, True, "2027-01-31")
    assert (badge.type, badge.comment) == ("eMAID", "Front desk")
    assert routing.badge(STAFF_BADGE) == a_badge("staff")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"staff", ["staff/CP-1", "staff/CP-2"]),
        (b"staff/CP-1", ["staff/CP-1"]),
        (b"staff|visitors", ["staff/CP-1", "staff/CP-2", "visitors"]),
        (b"staff|staff/CP-2", ["staff/CP-1", "staff/CP-2"]),
    ],
)
def test_a_group_of_each_station_is_meant_by_its_common_name(written: bytes, meant: list[str]) -> None:
    config = a_listed_config(
        "list", groups=("staff/CP-1", "staff/CP-2", "visitors", "staffers"), stations=("visitors",)
    )
    badge = prepared(config, list=b"badge,groups\n04FF," + written + b"\n").routing.badge("04ff")

    assert badge is not None
    assert badge.groups == meant


def test_a_badge_that_names_no_group_belongs_to_the_only_one() -> None:
    badge = prepared(a_listed_config("list"), list=b"badge\n04FF\n").routing.badge("04ff")

    assert badge is not None
    assert badge.groups == ["staff"]


@pytest.mark.parametrize(
    ("config", "content", "line", "why"),
    [
        (a_listed_config("list"), b"badge,colour\n", 1, "colour"),
        (a_listed_config("list"), b"badge,until\n04FF,2027-02-30\n", 2, "no day"),
        (a_listed_config("list"), b"badge\n04FF\n04ff\n", 3, "already"),
        (a_listed_config("list"), b"badge\n\n" + STAFF_BADGE.upper().encode() + b"\n", 3, "another list"),
        (a_listed_config("list"), b"badge,groups\n04FF,nobody\n", 2, "does not serve locally"),
        (a_listed_config("list", groups=("staff", "more")), b"badge\n04FF\n", 2, "does not serve locally"),
        (a_listed_config("list"), b"\xff\xfe", 1, "UTF-8"),
        (a_listed_config("list"), b"", 1, "empty"),
    ],
    ids=["column", "day", "twice", "in the bundle", "unknown group", "which group", "no text", "nothing"],
)
def test_r49_a_faulty_list_refuses_the_bundle_and_names_secret_and_line_but_no_badge(
    config: Config, content: bytes, line: int, why: str
) -> None:
    error = refusal(config, list=content)

    assert error.code == "badge-list"
    assert f"secret 'list', line {line}: " in str(error)
    assert why in str(error)
    assert "04" not in str(error)


def test_a_badge_that_stands_in_two_lists_refuses_the_bundle() -> None:
    error = refusal(a_listed_config("a", "b"), a=b"badge\n04FF\n", b=b"badge\n05FF\n04ff\n")

    assert "secret 'b', line 3" in str(error)


def test_a_group_of_a_supervision_is_no_group_for_badges() -> None:
    config = a_config(
        supervisions={"acme": a_supervision("ws://h/")},
        groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
        stations={"L": a_station(), "R": a_station("acme", "visitors")},
        badge_lists=["list"],
    )

    assert refusal(config, list=b"badge,groups\n04FF,visitors\n").code == "badge-list"
    badge = prepared(config, list=b"badge\n04FF\n").routing.badge("04ff")
    assert badge is not None
    assert badge.groups == ["staff"]


# --- TLS -----------------------------------------------------------------------------------------------------------


def test_contexts_are_made_for_supervisions_on_wss_alone() -> None:
    supervisions = {"safe": a_supervision("wss://h/", trust=[ROOT]), "plain": a_supervision("ws://h/")}
    in_force = prepared(a_config(supervisions=supervisions))

    assert list(in_force.supervision_contexts) == ["safe"]


@pytest.mark.parametrize(
    "config",
    [
        a_config(listeners={"tls": a_listener(9443, security_profile=2, certificate=PAIR)}),
        a_unique_config("wss://h/", trust=[ROOT], client_certificate=PAIR),
        a_config(listeners={"tls": a_listener(9443, security_profile=2)}),
        a_unique_config("wss://h/", trust=["-----BEGIN CERTIFICATE-----"]),
    ],
    ids=["key of the listener", "key of the client", "no certificate", "roots"],
)
def test_r49_material_that_openssl_does_not_take_refuses_the_bundle(config: Config) -> None:
    assert refusal(config, tls=b"no key").code == "tls-material"


def test_material_that_fits_is_prepared() -> None:
    listeners = {"tls": a_listener(9443, security_profile=3, certificate=PAIR, station_trust=[ROOT])}

    assert prepared(a_config(listeners=listeners), tls=KEY).secrets == {"tls": KEY}
