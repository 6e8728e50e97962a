"""What becomes of connections when one configuration follows another (rule 43): agent and plan both go by it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_schema.bundle import Config, KeyPair, Listener, Proxy, UplinkPassword
from pointsman_schema.changes import Changes, ListenerKind, StationLink, changes, station_links
from support.sites import a_badge, a_config, a_local_group, a_remote_group, a_station, a_supervision
from support.small_bundle import PEM

ACME = "wss://acme.example/ocpp"
RECONNECTS = {
    "url": "wss://acme.example/v2",
    "trust": [PEM],
    "client_certificate": KeyPair(chain=PEM, key="acme-key"),
    "password": UplinkPassword(secret="acme-{station}", format="text"),
    "proxy": Proxy(url="http://proxy.lan:3128", password="proxy"),
    "protocols": ["ocpp2.0.1"],
}
CAMEL = {"client_certificate": "clientCertificate", "assume_protocol": "assumeProtocol"}
ACTS_AT_ONCE = {
    "ping_interval": 5,
    "message_timeout": 5,
    "connect_timeout": 5,
    "forward_security_events": True,
    "condemn": "silent",
}


def site(acme: dict[str, Any] | None = None, **changes: Any) -> Config:
    """Two stations of acme, one of volt, one local."""
    parts: dict[str, Any] = {
        "supervisions": {
            "acme": a_supervision(**({"url": ACME} | (acme or {}))),
            "volt": a_supervision("wss://volt.example"),
        },
        "groups": {"v": a_remote_group("acme"), "p": a_remote_group("volt"), "staff": a_local_group()},
        "stations": {
            "A-1": a_station("acme", "v"),
            "A-2": a_station("acme", "v"),
            "V-1": a_station("volt", "p"),
            "L-1": a_station(),
        },
    }
    return a_config(**(parts | changes))


def kinds(found: Changes) -> dict[str, str]:
    return {identity: change.kind for identity, change in found.stations.items()}


@pytest.mark.parametrize("field", RECONNECTS)
def test_r43_what_a_handshake_is_made_from_reconnects_exactly_its_stations(field: str) -> None:
    found = changes(site(), site({field: RECONNECTS[field]}))

    assert kinds(found) == {"A-1": "reconnects", "A-2": "reconnects"}
    assert {change.why for change in found.stations.values()} == {(("supervisions", "acme", CAMEL.get(field, field)),)}
    assert not found.listeners


@pytest.mark.parametrize("field", ACTS_AT_ONCE)
def test_r43_intervals_timeouts_and_flags_touch_nobody(field: str) -> None:
    assert changes(site(), site({field: ACTS_AT_ONCE[field]})) == Changes({}, {})


def test_r43_titles_badges_groups_and_strategies_touch_nobody() -> None:
    after = site(
        title="new",
        badges={"aa": a_badge("night")},
        groups={"w": a_remote_group("acme"), "p": a_remote_group("volt"), "night": a_local_group("any")},
        stations={
            "A-1": a_station("acme", "w", ping_interval=0),
            "A-2": a_station("acme", "w", certificate_name="other"),
            "V-1": a_station("volt", "p"),
            "L-1": a_station(group="night"),
        },
    )

    assert changes(site(), after) == Changes({}, {})


def test_a_changed_operator_moves_a_station_and_tells_the_place() -> None:
    stations = {**site().stations, "A-1": a_station("volt", "p"), "L-1": a_station("volt", "p")}

    found = changes(site(), site(stations=stations))

    assert kinds(found) == {"A-1": "moves", "L-1": "moves"}
    assert found.stations["A-1"].why == (("stations", "A-1", "operator"),)


def test_stations_appear_and_disappear() -> None:
    stations = {**site().stations, "A-3": a_station("acme", "v")}
    del stations["L-1"]

    found = changes(site(), site(stations=stations))

    assert kinds(found) == {"A-3": "appears", "L-1": "disappears"}


@pytest.mark.parametrize("field", ["protocols", "assume_protocol"])
def test_what_a_station_may_speak_reconnects_it_also_where_it_is_local(field: str) -> None:
    value: dict[str, Any] = {field: "ocpp1.6" if field == "assume_protocol" else ["ocpp1.6"]}
    stations = {**site().stations, "L-1": a_station(**value)}

    found = changes(site(), site(stations=stations))

    assert kinds(found) == {"L-1": "reconnects"}
    assert found.stations["L-1"].why == (("stations", "L-1", CAMEL.get(field, field)),)


def test_a_secret_with_another_content_reconnects_who_shows_it() -> None:
    same = site({"password": UplinkPassword(secret="acme-{station}", format="text")})

    found = changes(same, same, {"acme-A-2", "V-1", "staff-badges"})

    assert kinds(found) == {"A-2": "reconnects"}
    assert found.stations["A-2"].why == (("secrets", "acme-A-2"),)


@pytest.mark.parametrize("field", ["client_certificate", "proxy"])
def test_a_secret_of_a_whole_supervision_reconnects_all_its_stations(field: str) -> None:
    same = site({field: RECONNECTS[field]})
    secret = "acme-key" if field == "client_certificate" else "proxy"

    assert kinds(changes(same, same, {secret})) == {"A-1": "reconnects", "A-2": "reconnects"}


LISTENER = Listener(
    address=None,
    port=9000,
    security_profile=0,
    certificate=None,
    station_trust=[],
    minimum_tls="1.2",
    legacy_ciphers=False,
)


@pytest.mark.parametrize(
    ("changed", "kind", "is_turned_out"),
    [
        ({"port": 9001}, "reopens", False),
        ({"address": "127.0.0.1"}, "reopens", False),
        ({"security_profile": 1}, "readmits", True),
        ({"station_trust": [PEM], "port": 9001}, "readmits", True),
        ({"certificate": KeyPair(chain=PEM, key="k")}, "renews", False),
        ({"minimum_tls": "1.3"}, "renews", False),
    ],
)
def test_a_listener_keeps_its_stations_unless_it_admits_by_other_rules(
    changed: dict[str, Any], kind: ListenerKind, is_turned_out: bool
) -> None:
    found = changes(
        site(listeners={"lan": LISTENER}), site(listeners={"lan": msgspec.structs.replace(LISTENER, **changed)})
    )

    assert found == Changes({}, {"lan": kind})
    assert found.turned_out == ({"lan"} if is_turned_out else set())


def test_listeners_open_and_close() -> None:
    found = changes(site(listeners={"lan": LISTENER}), site(listeners={"new": LISTENER}))

    assert found.listeners == {"lan": "closes", "new": "opens"}
    assert found.turned_out == {"lan"}


SUPERVISIONS = st.builds(
    a_supervision,
    st.sampled_from([ACME, "ws://127.0.0.1/x"]),
    ping_interval=st.integers(1, 2),
    password=st.sampled_from([None, RECONNECTS["password"]]),
    trust=st.sampled_from([None, [PEM]]),
)
STATIONS = st.builds(
    a_station, st.sampled_from(["local", "acme", "volt"]), protocols=st.sampled_from([None, ["ocpp1.6"]])
)
LISTENERS = st.builds(
    msgspec.structs.replace, st.just(LISTENER), port=st.integers(1, 3), security_profile=st.integers(0, 1)
)
CONFIGS = st.builds(
    a_config,
    title=st.sampled_from("ab"),
    supervisions=st.fixed_dictionaries({"acme": SUPERVISIONS, "volt": SUPERVISIONS}),
    stations=st.dictionaries(st.sampled_from(["A", "B", "C"]), STATIONS, min_size=1),
    listeners=st.dictionaries(st.sampled_from(["lan", "wan"]), LISTENERS, min_size=1),
)


@given(CONFIGS)
def test_nothing_changes_where_nothing_is_changed(config: Config) -> None:
    assert changes(config, config) == Changes({}, {})


@given(CONFIGS, CONFIGS)
def test_what_is_before_and_the_changes_give_what_is_after(before: Config, after: Config) -> None:
    found = changes(before, after)

    assert applied(station_links(before), found) == station_links(after)
    assert changes(after, before).stations.keys() == found.stations.keys()
    assert changes(after, before).listeners.keys() == found.listeners.keys()
    assert all(change.why for change in found.stations.values())


def applied(links: dict[str, StationLink], found: Changes) -> dict[str, StationLink]:
    after = {identity: change.after for identity, change in found.stations.items()}
    return {identity: link for identity, link in (links | after).items() if link is not None}
