"""What the demo expects is read from the bundle, whatever the bundle says."""

from datetime import date

import pytest
from pointsman_schema.bundle import (
    Activation,
    Authentication,
    Badge,
    Config,
    Group,
    JournalPolicy,
    Listener,
    PasswordReference,
    Station,
    Supervision,
    UplinkPassword,
)
from pointsman_simulator.demo.plan import (
    UNKNOWN_BADGE,
    StationPlan,
    identity_reader,
    plan_stations,
    secrets_needed,
    uplink_passwords,
)

TODAY = date(2026, 11, 22)


def group(operator: str, online: str | None = None) -> Group:
    authentication = None
    if online is not None:
        authentication = Authentication(
            online="known" if online == "known" else "any", offline="known", concurrent="allow"
        )
    return Group(operator=operator, authentication=authentication, station_keys={})


def station(operator: str, group_name: str | None, **changes: object) -> Station:
    given: dict[str, object] = {
        "group": group_name,
        "operator": operator,
        "protocols": None,
        "assume_protocol": None,
        "password": None,
        "ping_interval": 30,
        "certificate_name": "x",
    }
    return Station(**(given | changes))  # type: ignore[arg-type]  # the values' types differ


def badge(*groups: str, authorized: bool = True, until: str | None = None) -> Badge:
    return Badge(groups=list(groups), type="ISO14443", authorized=authorized, vip=False, until=until, comment="")


def supervision(*, forwards: bool, password: UplinkPassword | None = None) -> Supervision:
    return Supervision(
        url="wss://csms.example/ocpp",
        ping_interval=30,
        message_timeout=30,
        connect_timeout=10,
        forward_security_events=forwards,
        condemn="any",
        when_lost="disconnect",
        protocols=None,
        trust=None,
        client_certificate=None,
        password=password,
        proxy=None,
    )


def config(
    stations: dict[str, Station],
    *,
    groups: dict[str, Group] | None = None,
    badges: dict[str, Badge] | None = None,
    badge_lists: list[str] | None = None,
    password: UplinkPassword | None = None,
) -> Config:
    listener = Listener(
        address=None,
        port=9000,
        security_profile=0,
        certificate=None,
        station_trust=[],
        minimum_tls="1.2",
        legacy_ciphers=False,
    )
    return Config(
        title="t",
        labels={},
        time_zone="UTC",
        mode="multiple",
        supervisions={"acme": supervision(forwards=True, password=password), "volt": supervision(forwards=False)},
        groups=groups or {"staff": group("local", "known")},
        stations=stations,
        badges=badges or {},
        badge_lists=badge_lists or [],
        listeners={"lan": listener},
        activation=Activation(spread=0, probation=10, drain_limit=0),
        journal=JournalPolicy(keep_days=1),
    )


def plan_of(configured: Config, identity: str = "A") -> StationPlan:
    secrets = secrets_needed(configured, lambda: "ab" * 16)
    return next(each for each in plan_stations(configured, secrets, TODAY) if each.identity == identity)


@pytest.mark.parametrize(("operator", "forwards"), [("acme", True), ("volt", False), ("local", False)])
def test_security_events_are_expected_where_the_operator_wants_them(operator: str, forwards: bool) -> None:
    plan = plan_of(config({"A": station(operator, "staff")}))

    assert plan.forwards_security_events is forwards
    assert plan.is_local is (operator == "local")


def test_only_an_authorized_badge_of_the_own_group_that_is_still_valid_is_shown() -> None:
    badges = {
        "aa": badge("staff", authorized=False),
        "bb": badge("others"),
        "cc": badge("staff", until="2026-11-22"),
        "dd": badge("staff", until="2026-11-23"),
    }

    plan = plan_of(config({"A": station("local", "staff")}, badges=badges))

    assert (plan.badge, plan.charges, plan.refuses_unknown) == ("dd", True, True)


def test_without_an_authorized_badge_a_strict_group_is_expected_to_refuse() -> None:
    plan = plan_of(config({"A": station("local", "staff")}))

    assert (plan.badge, plan.charges) == (UNKNOWN_BADGE, False)


def test_a_group_that_takes_any_badge_is_expected_to_take_a_strangers() -> None:
    plan = plan_of(config({"A": station("local", "staff")}, groups={"staff": group("local", "any")}))

    assert (plan.badge, plan.charges, plan.refuses_unknown) == (UNKNOWN_BADGE, True, False)


def test_stations_of_a_group_show_different_badges_as_far_as_there_are() -> None:
    stations = {name: station("local", "staff") for name in "ABC"}
    configured = config(stations, badges={"aa": badge("staff"), "bb": badge("staff")})

    assert [plan_of(configured, name).badge for name in "ABC"] == ["aa", "bb", "aa"]


def test_a_secret_badge_list_gets_badges_for_every_local_group() -> None:
    configured = config(
        {"A": station("local", "staff")},
        groups={"staff": group("local", "known"), "night": group("local", "known"), "paid": group("acme")},
        badge_lists=["first", "second"],
    )

    values = secrets_needed(configured, lambda: "00")

    assert values["first"].splitlines()[:2] == ["badge,groups,authorized", "DE000001,night|staff,true"]
    assert values["second"] == "badge\n"
    assert plan_of(configured).badge == "DE000001"


def test_a_hex_password_is_shown_as_its_bytes_and_a_text_password_as_its_text() -> None:
    stations = {
        "A": station("local", "staff", password=PasswordReference(secret="a", format="hex")),
        "B": station("local", "staff", password=PasswordReference(secret="b", format="text")),
    }
    configured = config(stations)

    assert plan_of(configured, "A").password == b"\xab" * 16
    assert plan_of(configured, "B").password == b"ab" * 16


def test_each_uplink_is_expected_to_show_its_own_password() -> None:
    template = UplinkPassword(secret="acme-{station}", format="text")
    configured = config({"A": station("acme", "x"), "B": station("volt", "y")}, password=template)
    numbers = iter(range(100))

    values = secrets_needed(configured, lambda: f"{next(numbers):032d}")

    assert uplink_passwords(configured, values, "acme") == {"A": values["acme-A"].encode()}
    assert uplink_passwords(configured, values, "volt") is None
    assert uplink_passwords(configured, values, "nobody") is None


def test_a_station_without_a_subprotocol_offers_none_and_speaks_what_is_assumed() -> None:
    plan = plan_of(config({"A": station("acme", "x", assume_protocol="ocpp1.6")}))

    assert (plan.offers, plan.speaks) == ((), "ocpp1.6")


def test_the_newest_common_protocol_is_expected_of_a_supervision_and_the_first_of_the_controller() -> None:
    stations = {
        "A": station("acme", "x", protocols=["ocpp1.6", "ocpp2.0.1"]),
        "B": station("local", "staff", protocols=["ocpp1.6", "ocpp2.0.1"]),
    }

    assert [plan_of(config(stations), name).speaks for name in "AB"] == ["ocpp2.0.1", "ocpp1.6"]


def test_stations_that_may_speak_anything_take_turns() -> None:
    stations = {name: station("acme", "x") for name in "AB"}

    assert [plan_of(config(stations), name).offers for name in "AB"] == [("ocpp1.6",), ("ocpp2.0.1",)]


@pytest.mark.parametrize(
    ("url", "path", "identity"),
    [
        ("wss://h/ocpp", "/ocpp/RDAM%7C123", "RDAM|123"),
        ("wss://h/ocpp/{station}/ara", "/ocpp/RDAM%7C123/ara", "RDAM|123"),
        ("wss://h/{station}?x=1", "/LYO-01?x=1", "LYO-01"),
        ("wss://h/ocpp/{station}/ara", "/elsewhere/LYO-01/ara", ""),
    ],
)
def test_the_identity_is_found_where_the_url_puts_it(url: str, path: str, identity: str) -> None:
    assert identity_reader(url)(path) == identity
