"""Look-up tables of a bundle, and where an uplink goes."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.routing import Route, Routing, UplinkTarget, offered_upstream, uplink_target
from pointsman_schema.bundle import Bundle, Config, read_payload
from pointsman_schema.envelope import open_unverified
from support.sites import (
    STAFF_BADGE,
    a_badge,
    a_bundle,
    a_config,
    a_local_group,
    a_remote_group,
    a_station,
    a_supervision,
)

identities = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=":/"), min_size=1)


def bundle_of(config: Config) -> Bundle:
    return read_payload(open_unverified(a_bundle(config)))


def a_routing(*identities: str) -> Routing:
    return Routing(bundle_of(a_config(stations={identity: a_station() for identity in identities})))


@pytest.mark.parametrize(
    ("url", "identity", "target"),
    [
        ("ws://h/ocpp", "CP-1", UplinkTarget(False, "h", 80, "h", "/ocpp/CP-1")),
        ("ws://h/ocpp/", "CP-1", UplinkTarget(False, "h", 80, "h", "/ocpp/CP-1")),
        ("ws://h", "CP-1", UplinkTarget(False, "h", 80, "h", "/CP-1")),
        ("ws://h/", "CP-1", UplinkTarget(False, "h", 80, "h", "/CP-1")),
        ("wss://h/a//", "CP-1", UplinkTarget(True, "h", 443, "h", "/a/CP-1")),
        ("wss://H.Example:443/a", "CP-1", UplinkTarget(True, "h.example", 443, "h.example", "/a/CP-1")),
        ("ws://h:443/a", "CP-1", UplinkTarget(False, "h", 443, "h:443", "/a/CP-1")),
        ("wss://h:8443/a", "CP-1", UplinkTarget(True, "h", 8443, "h:8443", "/a/CP-1")),
        ("ws://[::1]/a", "CP-1", UplinkTarget(False, "::1", 80, "[::1]", "/a/CP-1")),
        (
            "wss://[2001:db8::1]:9000/a",
            "CP-1",
            UplinkTarget(True, "2001:db8::1", 9000, "[2001:db8::1]:9000", "/a/CP-1"),
        ),
        ("ws://h/a/b?tok=1", "CP1", UplinkTarget(False, "h", 80, "h", "/a/b/CP1?tok=1")),
        ("ws://h/a/?tok=1&x=%20", "CP1", UplinkTarget(False, "h", 80, "h", "/a/CP1?tok=1&x=%20")),
        ("ws://h?tok=1", "CP1", UplinkTarget(False, "h", 80, "h", "/CP1?tok=1")),
        ("ws://h/x/{station}/ws", "CP1", UplinkTarget(False, "h", 80, "h", "/x/CP1/ws")),
        ("ws://h/{station}?a={station}", "CP1", UplinkTarget(False, "h", 80, "h", "/CP1?a={station}")),
        ("ws://h/a", "RDAM|123", UplinkTarget(False, "h", 80, "h", "/a/RDAM%7C123")),
        ("ws://h/a", "RDAM 123", UplinkTarget(False, "h", 80, "h", "/a/RDAM%20123")),
        ("ws://h/a", "50%?#{station}", UplinkTarget(False, "h", 80, "h", "/a/50%25%3F%23%7Bstation%7D")),
        ("ws://h/{station}", "{station}", UplinkTarget(False, "h", 80, "h", "/%7Bstation%7D")),
        ("ws://h/a%20b", "CP1", UplinkTarget(False, "h", 80, "h", "/a%20b/CP1")),
    ],
)
def test_r4_where_an_uplink_goes(url: str, identity: str, target: UplinkTarget) -> None:
    assert uplink_target(url, identity) == target


@given(identities)
def test_r4_every_identity_survives_the_way_as_one_segment(identity: str) -> None:
    for url in ("wss://h/ocpp", "wss://h/x/{station}?q=1"):
        path = urlsplit("wss://h" + uplink_target(url, identity).resource).path

        assert path.count("/") == 2
        assert unquote(path.rpartition("/")[2]) == identity


def test_r1_a_route_names_the_supervision_of_its_operator_and_none_where_that_is_local() -> None:
    acme = a_supervision("ws://acme/")
    routing = Routing(
        bundle_of(
            a_config(
                supervisions={"acme": acme},
                groups={"staff": a_local_group(), "visitors": a_remote_group("acme")},
                stations={"L": a_station(), "R": a_station("acme", "visitors")},
            )
        )
    )
    local, remote = routing.routes["L"], routing.routes["R"]

    assert (local.supervision_name, local.supervision) == (None, None)
    assert (remote.supervision_name, remote.supervision) == ("acme", acme)
    assert routing.group_of(local).operator == "local"
    assert routing.stations_of("staff") == {"L"}
    assert routing.stations_of("visitors") == {"R"}
    assert routing.stations_of("nobody") == frozenset()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("CP-1", "CP-1"),
        ("cp-1", "CP-1"),
        ("Cp-1", "CP-1"),
        ("cp-2", "cp-2"),
        ("CP-2", "CP-2"),
        ("Cp-2", None),
        ("", None),
    ],
)
def test_r3_an_identity_is_matched_exactly_else_by_its_only_folded_match(asked: str, found: str | None) -> None:
    route = a_routing("CP-1", "CP-2", "cp-2").find(asked)

    assert (route.identity if route else None) == found


def test_r34_badges_are_found_without_regard_to_ascii_case_and_the_bundle_wins_over_secret_lists() -> None:
    listed, secret = a_badge("staff"), a_badge("staff", vip=True)
    bundle = bundle_of(a_config(badges={STAFF_BADGE: listed}))
    routing = Routing(bundle, {STAFF_BADGE: secret, "ff": secret})

    assert routing.badge(STAFF_BADGE.upper()) == listed
    assert routing.badge("FF") == secret
    assert routing.badge("İ") is None


def a_route(station: list[str] | None, supervision: list[str] | None, assume: str | None = None) -> Route:
    described = a_station("acme", None, protocols=station, assume_protocol=assume)
    return Route("CP-1", described, "acme", a_supervision("ws://h/", protocols=supervision))


OFFERED = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@pytest.mark.parametrize(
    ("station", "supervision", "offered", "protocols"),
    [
        (None, None, OFFERED, list(OFFERED)),
        (None, None, OFFERED[::-1], list(OFFERED[::-1])),
        (["ocpp1.6"], None, OFFERED, ["ocpp1.6"]),
        (["ocpp2.1", "ocpp1.6"], None, OFFERED, ["ocpp1.6", "ocpp2.1"]),
        (None, ["ocpp2.0.1", "ocpp1.6"], OFFERED, ["ocpp2.0.1", "ocpp1.6"]),
        (["ocpp2.0.1"], ["ocpp1.6"], OFFERED, []),
        (None, None, ("ocpp1.5", "ocpp1.6", "mqtt"), ["ocpp1.6"]),
        (None, None, ("ocpp1.6", "ocpp1.6"), ["ocpp1.6"]),
        (None, None, ("OCPP1.6",), []),
        (None, None, (), []),
    ],
)
def test_r5_what_is_offered_upstream(
    station: list[str] | None, supervision: list[str] | None, offered: tuple[str, ...], protocols: list[str]
) -> None:
    assert offered_upstream(a_route(station, supervision), offered) == protocols


def test_r5_a_station_that_offers_none_speaks_what_is_assumed_of_it() -> None:
    assert offered_upstream(a_route(None, None, "ocpp1.6"), ()) == ["ocpp1.6"]
    assert offered_upstream(a_route(None, None, "ocpp1.6"), ("ocpp2.1",)) == ["ocpp2.1"]
    assert offered_upstream(a_route(["ocpp2.1"], None, "ocpp1.6"), ()) == []


def test_r5_a_local_station_is_offered_what_the_agent_speaks_itself() -> None:
    route = Route("L", a_station(protocols=["ocpp2.0.1", "ocpp1.6"]), None, None)

    assert offered_upstream(route, OFFERED) == ["ocpp1.6", "ocpp2.0.1"]
