"""What becomes of each station when another bundle takes over (rules 43 and 44)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.activation.transition import Transition, transition
from pointsman_agent.inforce import InForce
from pointsman_agent.preparation import prepare
from pointsman_schema.bundle import LOCAL, Activation, Config, UplinkPassword, read_payload
from pointsman_schema.envelope import open_unverified
from support.fakes import FakeSecrets
from support.sites import a_bundle, a_config, a_listener, a_local_group, a_remote_group, a_station, a_supervision

ACTIVATION = Activation(spread=0, probation=10, drain_limit=3600)
OPERATORS = ("acme", "volt", LOCAL)


def site(stations: dict[str, str], *, path: str = "", drain_limit: int = 3600, **acme: Any) -> Config:
    """A site of which `stations` says the operator of each."""
    return a_config(
        supervisions={
            "acme": a_supervision(f"ws://acme.example/{path}", **acme),
            "volt": a_supervision("ws://volt.example"),
        },
        groups={"acme": a_remote_group("acme"), "volt": a_remote_group("volt"), LOCAL: a_local_group()},
        stations={name: a_station(operator, operator) for name, operator in stations.items()},
        badges={},
        activation=Activation(spread=0, probation=10, drain_limit=drain_limit),
    )


def in_force(config: Config, **secrets: bytes) -> InForce:
    return prepare(read_payload(open_unverified(a_bundle(config))), FakeSecrets(**secrets))


THREE = {"A-1": "acme", "A-2": "acme", "V-1": "volt", "L-1": LOCAL}


def test_r43_the_same_touches_nobody() -> None:
    found = transition(in_force(site(THREE)), {}, in_force(site(THREE)))

    assert found == Transition(frozenset(), frozenset(), {}, {}, frozenset(), frozenset())


def test_r43_another_url_reconnects_its_stations_and_puts_them_on_probation() -> None:
    found = transition(in_force(site(THREE)), {}, in_force(site(THREE, path="v2")))

    assert found.reconnecting == {"A-1", "A-2"}
    assert found.touched == {"A-1": "acme", "A-2": "acme"}
    assert found.renewed == {"acme"}
    assert not found.waiting


def test_r44_who_changes_the_operator_waits_and_is_served_as_before() -> None:
    before = in_force(site(THREE))
    found = transition(before, {}, in_force(site(THREE | {"A-1": "volt", "L-1": "acme", "V-1": LOCAL})))

    assert found.waiting == {"A-1": before, "L-1": before, "V-1": before}
    assert not found.touched
    assert not found.reconnecting


def test_r44_without_a_drain_limit_a_move_is_a_reconnect() -> None:
    found = transition(in_force(site(THREE)), {}, in_force(site(THREE | {"A-1": "volt"}, drain_limit=0)))

    assert not found.waiting
    assert found.reconnecting == {"A-1"}
    assert found.touched == {"A-1": "volt"}


def test_a_station_that_is_new_is_on_probation_and_one_that_is_gone_is_named() -> None:
    found = transition(in_force(site(THREE)), {}, in_force(site({"A-1": "acme", "A-9": "acme"})))

    assert found.gone == {"A-2", "V-1", "L-1"}
    assert found.touched == {"A-9": "acme"}


def test_r44_a_second_bundle_finds_a_waiting_station_where_it_is() -> None:
    first, second = in_force(site(THREE)), in_force(site(THREE | {"A-1": "volt"}))
    waiting = {"A-1": first}

    back = transition(second, waiting, in_force(site(THREE)))
    assert not back.waiting
    assert not back.reconnecting

    elsewhere = transition(second, waiting, in_force(site(THREE | {"A-1": LOCAL})))
    assert elsewhere.waiting == {"A-1": first}

    another_url = transition(second, waiting, in_force(site(THREE, path="v2")))
    assert another_url.reconnecting == {"A-1", "A-2"}

    gone = transition(second, waiting, in_force(site({"A-2": "acme"})))
    assert "A-1" in gone.gone


def test_r43_another_content_of_a_secret_reconnects_who_uses_it() -> None:
    config = site(THREE, password=UplinkPassword(secret="up-{station}", format="text"))
    before = in_force(config, **{"up-A-1": b"one", "up-A-2": b"two"})
    found = transition(before, {}, in_force(config, **{"up-A-1": b"one", "up-A-2": b"other"}))

    assert found.reconnecting == {"A-2"}
    assert found.touched == {"A-2": "acme"}
    assert found.renewed == {"acme"}


@pytest.mark.parametrize(("change", "out"), [({"security_profile": 1}, {"lan"}), ({"minimum_tls": "1.3"}, set())])
def test_a_listener_that_admits_otherwise_turns_its_stations_out(change: dict[str, Any], out: set[str]) -> None:
    before, after = (in_force(a_config(listeners={"lan": a_listener(9000, **fields)})) for fields in ({}, change))

    assert transition(before, {}, after).turned_out == out


NAMES = st.sampled_from(["S-1", "S-2", "S-3", "S-4"])
sites = st.dictionaries(NAMES, st.sampled_from(OPERATORS), min_size=1, max_size=4)


@given(first=sites, second=sites, third=sites, path=st.sampled_from(["", "v2"]))
def test_r44_after_each_bundle_every_station_is_served_as_it_was_or_as_it_should_be(
    first: dict[str, str], second: dict[str, str], third: dict[str, str], path: str
) -> None:
    """However many bundles come before anybody moves: who waits keeps its operator, who does not has the new one."""
    bundles = [in_force(site(each, path=where)) for each, where in ((first, ""), (second, path), (third, ""))]
    current, waiting = bundles[0], dict[str, InForce]()
    for after in bundles[1:]:
        served = {identity: waiting.get(identity, current) for identity in current.links}
        found = transition(current, waiting, after)
        for identity, link in after.links.items():
            if identity in found.waiting:
                assert found.waiting[identity] is served[identity]
                assert found.waiting[identity].links[identity].operator != link.operator
            elif identity in served:
                assert served[identity].links[identity].operator == link.operator
                is_same = served[identity].links[identity] == link
                assert (identity in found.reconnecting) == (not is_same)
        assert found.gone == served.keys() - after.links.keys()
        current, waiting = after, dict(found.waiting)
