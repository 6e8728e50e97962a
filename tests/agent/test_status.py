"""What runs, since when, and why not otherwise: one object, in the keys that others rely on."""

import json

import pytest
from pointsman_agent.ports import Failure
from pointsman_agent.routing import Routing
from pointsman_agent.status import BundleInForce, Status
from pointsman_schema.bundle import Config, read_payload
from pointsman_schema.envelope import open_unverified
from support.fakes import FakeClock
from support.sites import a_bundle, a_config, a_local_group, a_remote_group, a_station, a_supervision

AT = "2026-11-22T12:00:00Z"
CONFIG = a_config(
    supervisions={"volt": a_supervision("ws://volt/"), "acme": a_supervision("ws://acme/")},
    groups={"staff": a_local_group("any"), "visitors": a_remote_group("acme")},
    stations={"R-1": a_station("acme", "visitors"), "L-1": a_station()},
)
ACTIVE = BundleInForce("sha256:a", 7, AT)


def a_routing(config: Config = CONFIG) -> Routing:
    return Routing(read_payload(open_unverified(a_bundle(config))))


def a_status(clock: FakeClock | None = None) -> Status:
    status = Status("0.1.0", clock or FakeClock())
    status.site = "test-site"
    return status


def test_r48_without_a_bundle_the_agent_waits() -> None:
    status = a_status()
    snapshot = status.snapshot(None, {})

    assert (snapshot["site"], snapshot["version"], snapshot["state"]) == ("test-site", "0.1.0", "waiting")
    assert snapshot["bundle"] == {"desired": None, "active": None, "lastFailed": None, "quarantine": None}
    assert (snapshot["supervisions"], snapshot["stations"]) == ([], [])
    assert (snapshot["stationsTotal"], snapshot["stationsConnected"]) == (0, 0)
    status.last_failed = Failure(None, None, AT, "unsigned", "m")
    assert status.state() == "waiting"


def test_r50_running_until_something_but_an_absent_station_is_wrong() -> None:
    status = a_status()
    status.active = ACTIVE
    status.station("L-1").last_error = status.error("ping", "silent")
    status.supervision("acme").is_reachable = True

    assert status.state() == "running"


@pytest.mark.parametrize("fault", ["supervision", "bundle", "journal", "listener"])
def test_r50_degraded_says_that_something_is_wrong(fault: str) -> None:
    status = a_status()
    status.active = ACTIVE
    match fault:
        case "supervision":
            status.supervision("acme").is_reachable = False
        case "bundle":
            status.last_failed = Failure(None, None, AT, "unsigned", "m")
        case "journal":
            status.journal_fault = "the disk is full"
        case _:
            status.listener_faults["lan"] = "taken"

    assert status.state() == "degraded"


def test_the_bundle_rows() -> None:
    status = a_status()
    status.desired, status.active = BundleInForce("sha256:b", 8, AT), ACTIVE
    status.last_failed = Failure("sha256:b", 8, AT, "secret-missing", "secret 'x' is missing")

    assert status.snapshot(a_routing(), {})["bundle"] == {
        "desired": {"digest": "sha256:b", "sequence": 8, "at": AT},
        "active": {"digest": "sha256:a", "sequence": 7, "at": AT},
        "lastFailed": {
            "digest": "sha256:b",
            "sequence": 8,
            "at": AT,
            "code": "secret-missing",
            "message": "secret 'x' is missing",
        },
        "quarantine": None,
    }


def test_a_fault_of_the_source_stands_beside_the_bundle_that_failed_until_a_good_look() -> None:
    status = a_status()
    status.active = ACTIVE
    status.source_failed("tampered", "not what was signed")
    alone = status.snapshot(None, {})
    status.last_failed = Failure("sha256:b", 8, AT, "secret-missing", "secret 'x' is missing")
    both = status.snapshot(None, {})
    status.source_looked(is_stale=False, trouble=None)
    lifted = status.snapshot(None, {})

    assert (alone["state"], alone["bundle"]["lastFailed"]["code"]) == ("degraded", "tampered")
    assert both["bundle"]["lastFailed"]["digest"] == "sha256:b"
    assert both["source"]["lastError"]["class"] == "tampered"
    assert lifted["source"] == {"stale": False, "lastError": None}
    assert lifted["bundle"] == both["bundle"]


def test_what_has_ended_is_stale_whatever_was_refused_and_said_beside_a_dead_link() -> None:
    status = a_status()
    status.active = ACTIVE
    status.source_failed("tampered", "not what was signed")
    status.last_failed = Failure("sha256:b", 8, AT, "wrong-site", "m")
    status.source_looked(is_stale=True, trouble=("stale", "it has ended"))
    assert status.state() == "stale"
    assert status.source_fault is None

    status.supervision("acme").is_reachable = False

    assert status.state() == "degraded"
    assert status.snapshot(None, {})["source"]["stale"]


def test_trouble_that_lasts_keeps_the_time_when_it_began() -> None:
    clock = FakeClock()
    status = a_status(clock)
    status.source_looked(is_stale=False, trouble=("unreachable", "HTTP 403"))
    began = status.source_error
    clock.advance(seconds=60)
    status.source_looked(is_stale=False, trouble=("unreachable", "HTTP 403"))

    assert status.source_error == began


STATION_KEYS = {
    "station", "group", "operator", "connected", "protocol", "uplink", "strategy", "since", "lastError",
    "lastReceived", "lastSent", "queue", "openTransactions", "pendingMove",
}  # fmt: skip
SUPERVISION_KEYS = {
    "name", "reachable", "stationsUp", "clockOffsetSeconds", "certificateExpires", "keyDiffers", "lastError",
}  # fmt: skip


def test_r50_rows_have_the_keys_that_others_rely_on_and_are_sorted() -> None:
    snapshot = a_status().snapshot(a_routing(), {})

    assert [row["station"] for row in snapshot["stations"]] == ["L-1", "R-1"]
    assert [row["name"] for row in snapshot["supervisions"]] == ["acme", "volt"]
    assert all(set(row) >= STATION_KEYS for row in snapshot["stations"])
    assert all(set(row) >= SUPERVISION_KEYS for row in snapshot["supervisions"])
    assert json.loads(json.dumps(snapshot)) == snapshot


def test_r50_a_local_and_a_relayed_station() -> None:
    clock = FakeClock()
    status = a_status(clock)
    local, relayed = status.station("L-1"), status.station("R-1")
    local.is_connected, local.protocol, local.since = True, "ocpp1.6", status.stamp()
    relayed.is_connected, relayed.protocol, relayed.uplink_protocol = True, "ocpp2.0.1", "ocpp2.0.1"
    relayed.queue = 3
    clock.advance(seconds=90.7)
    relayed.last_error = status.error("message-timeout", "Heartbeat unanswered")
    for why in ("repeated", "envelope", "repeated"):
        relayed.count_drop(why)
    status.supervision("acme").stations_up = 1
    snapshot = status.snapshot(a_routing(), {"L-1": 2, "R-1": 5})
    local_row, relayed_row = snapshot["stations"]

    assert (snapshot["stationsTotal"], snapshot["stationsConnected"]) == (2, 2)
    assert (local_row["connected"], local_row["protocol"], local_row["since"]) == (True, "ocpp1.6", AT)
    assert (local_row["uplink"], local_row["strategy"]["online"], local_row["group"]) == (None, "any", "staff")
    assert local_row["openTransactions"] == 2
    assert (relayed_row["operator"], relayed_row["strategy"], relayed_row["queue"]) == ("acme", None, 3)
    assert relayed_row["uplink"] == {"connected": True, "protocol": "ocpp2.0.1"}
    assert relayed_row["lastError"] == {
        "class": "message-timeout",
        "message": "Heartbeat unanswered",
        "at": "2026-11-22T12:01:30Z",
    }
    assert list(relayed_row["dropped"].items()) == [("envelope", 1), ("repeated", 2)]
    assert snapshot["supervisions"][0]["stationsUp"] == 1


def test_what_the_bundle_no_longer_names_is_forgotten() -> None:
    status = a_status()
    status.active = ACTIVE
    status.station("R-1").queue = 1
    status.station("L-1").queue = 2
    status.supervision("acme").is_reachable = False
    status.forget_absent(a_routing(a_config(stations={"L-1": a_station()})))

    assert status.state() == "running"
    assert status.station("L-1").queue == 2
    assert status.station("R-1").queue == 0
