"""The status as people read it: 80 columns, whatever peers and sites call things."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.tables import WIDTH, station_text, stations_text, status_text
from rich.cells import cell_len

DIGEST = "sha256:" + "0123456789abcdef" * 4
AT = "2026-11-22T12:00:00Z"


def a_bundle(sequence: int = 1795512000) -> dict[str, Any]:
    return {"digest": DIGEST, "sequence": sequence, "at": AT}


def a_status(**changes: Any) -> dict[str, Any]:
    status = {
        "site": "lyon-part-dieu",
        "version": "0.1.0",
        "state": "running",
        "bundle": {"desired": a_bundle(), "active": a_bundle(), "lastFailed": None, "quarantine": None},
        "supervisions": [],
        "source": {"stale": False, "lastError": None},
        "journal": {"fault": None},
        "stations": [],
        "stationsTotal": 3,
        "stationsConnected": 2,
    }
    return status | changes


def a_supervision(**changes: Any) -> dict[str, Any]:
    supervision = {
        "name": "acme",
        "reachable": True,
        "stationsUp": 2,
        "clockOffsetSeconds": None,
        "certificateExpires": None,
        "lastError": None,
    }
    return supervision | changes


def a_station(**changes: Any) -> dict[str, Any]:
    station = {
        "station": "LYO-01",
        "group": "staff",
        "operator": "local",
        "connected": True,
        "protocol": "ocpp1.6",
        "uplink": None,
        "strategy": None,
        "since": AT,
        "queue": 0,
        "openTransactions": 1,
        "lastReceived": AT,
        "lastSent": None,
        "lastError": None,
        "dropped": {},
        "noticed": {},
        "pendingMove": None,
        "inventory": {**dict.fromkeys(("vendor", "model", "firmware", "serialNumber")), "connectors": []},
    }
    return station | changes


def an_error(message: str, error: str = "tcp") -> dict[str, str]:
    return {"class": error, "message": message, "at": AT}


def test_the_status_in_a_few_lines() -> None:
    text = status_text(
        a_status(
            supervisions=[
                a_supervision(clockOffsetSeconds=31.2, certificateExpires="2027-01-31T00:00:00Z"),
                a_supervision(name="volt", reachable=None, stationsUp=0),
            ]
        )
    )

    assert text == (
        "site      lyon-part-dieu\n"
        "state     running\n"
        f"bundle    1795512000  sha256:0123456789ab  since {AT}\n"
        "stations  2 of 3 connected\n"
        "\n"
        "supervision  reachable  up  clock  certificate  last error\n"
        "acme         yes        2   +31 s  2027-01-31   -\n"
        "volt         not tried  0   -      -            -\n"
    )


def test_a_bundle_that_is_wanted_and_one_that_was_refused_are_told() -> None:
    failed = a_bundle(7) | {
        "code": "wrong-site",
        "message": "the bundle is for 'other', this is 'lyon-part-dieu', " * 3,
    }
    lines = status_text(
        a_status(bundle={"desired": a_bundle(8), "active": None, "lastFailed": failed, "quarantine": None})
    ).splitlines()

    assert lines[2:4] == ["bundle    none", f"desired   8  sha256:0123456789ab  since {AT}"]
    assert lines[4].startswith(f"refused   {AT}  wrong-site: the bundle is for 'other',")
    assert lines[5][:10].isspace()


def test_the_stations_as_a_table() -> None:
    down = a_station(
        station="LYO-02", group=None, operator="acme", connected=False, protocol=None, openTransactions=None, queue=3,
        lastError=an_error("connection refused"),
    )  # fmt: skip

    assert stations_text([a_station(), down]) == (
        "station  group  operator  link  protocol  queue  open  last error\n"
        "LYO-01   staff  local     up    1.6       0      1     -\n"
        "LYO-02   -      acme      down  -         3      -     tcp: connection refused\n"
    )


def test_a_journal_that_does_not_store_is_told() -> None:
    assert "journal   does not store: disk is full" in status_text(a_status(journal={"fault": "disk is full"}))


def test_r50_all_that_is_known_of_a_local_station() -> None:
    strategy = {
        "online": "known",
        "offline": "any",
        "state": "refused",
        "why": ["LocalAuthListEnabled: Rejected"],
        "notes": [],
    }
    row = a_station(strategy=strategy, dropped={"envelope": 2, "unanswered": 1}, lastError=an_error("silent", "ping"))

    assert station_text(row) == (
        "station        LYO-01\n"
        "group          staff\n"
        "operator       local\n"
        f"link           up since {AT}\n"
        "protocol       ocpp1.6\n"
        f"last received  {AT}\n"
        "last sent      -\n"
        "queue          0 waiting\n"
        "transactions   1 open\n"
        "strategy       online known, offline any: refused\n"
        "               LocalAuthListEnabled: Rejected\n"
        f"last error     {AT}  ping: silent\n"
        "dropped        envelope 2, unanswered 1\n"
        "noticed        -\n"
        "says it is     -\n"
    )


def test_r50_all_that_is_known_of_a_relayed_station() -> None:
    up = a_station(operator="acme", uplink={"connected": True, "protocol": "ocpp2.0.1"}, openTransactions=None)
    down = a_station(connected=False, uplink={"connected": False, "protocol": None}, since=None)

    assert "uplink         up, ocpp2.0.1\n" in station_text(up)
    assert "transactions" not in station_text(up)
    assert "link           down since the agent began\n" in station_text(down)
    assert "uplink         down\n" in station_text(down)


@pytest.mark.parametrize("message", ["[/red]", "[2,1]", "[bold]x[/bold]", ":warning: [link=x]", "\\[", "[", "[]"])
def test_brackets_and_colons_are_shown_as_they_are(message: str) -> None:
    assert f"tcp: {message}" in stations_text([a_station(lastError=an_error(message))])
    assert message in stations_text([a_station(station=message)])
    assert message in status_text(a_status(supervisions=[a_supervision(lastError=an_error(message))]))


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\r", "\x00", "\u202e"])
def test_what_a_terminal_would_act_on_is_not_printed(character: str) -> None:
    error = an_error(f"a{character}[31mb")
    failed = a_bundle() | {"code": "no-envelope", "message": f"a{character}b"}
    shown = (
        stations_text([a_station(lastError=error)])
        + status_text(a_status(supervisions=[a_supervision(lastError=error)]))
        + status_text(a_status(bundle={"desired": None, "active": None, "lastFailed": failed, "quarantine": None}))
    )

    assert character not in shown
    assert "a\ufffd" in shown


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b[" in stations_text([a_station()], colour=True)
    assert "\x1b[" not in stations_text([a_station()])


words = st.text(max_size=200) | st.text("漢字 a", max_size=200)
identities = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=48)


@given(identities, identities, words)
def test_no_line_is_wider_than_80_columns(station: str, group: str, message: str) -> None:
    error = an_error(message, "message-timeout")
    failed = a_bundle() | {"code": "sequence-conflict", "message": message}
    status = a_status(
        bundle={**a_status()["bundle"], "lastFailed": failed},
        supervisions=[a_supervision(name=group, lastError=error)],
    )
    text = status_text(status) + stations_text(
        [a_station(station=station, group=group, operator=group, lastError=error)]
    )

    text += station_text(a_station(station=station, group=group, operator=group, lastError=error))

    assert max(cell_len(line) for line in text.splitlines()) <= WIDTH


def test_a_bundle_that_is_held_back_and_moves_that_wait_are_said() -> None:
    bundle = {**a_status()["bundle"], "quarantine": {"digest": DIGEST, "until": AT, "why": "half of the stations left"}}
    move = {"from": "acme", "to": "volt", "since": AT, "deadline": AT, "returned": False}
    text = status_text(a_status(bundle=bundle, stations=[a_station(pendingMove=move), a_station()]))

    assert f"held back until {AT}: half of the stations left\n" in text
    assert "moves     1 stations have yet to move to another operator\n" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, f"by {AT} at the latest"),
        ({"deadline": None}, "once it was seen"),
        ({"returned": True}, "went back until another bundle comes"),
    ],
)
def test_a_station_shows_its_move(changes: dict[str, Any], words: str) -> None:
    move = {"from": "acme", "to": "volt", "since": AT, "deadline": AT, "returned": False}

    text = station_text(a_station(pendingMove={**move, **changes}))

    assert (
        f"moves                from acme to volt, {words}\n".split()
        == next(line for line in text.splitlines() if line.startswith("moves")).split()
    )


def test_a_station_shows_what_it_says_it_is() -> None:
    said = {"vendor": "Électrons", "model": "Gleis 11", "firmware": None, "serialNumber": "SN-1"}
    status = {"status": "Faulted", "error": "GroundFailure", "detail": None, "at": AT}
    connectors = [{"evse": None, "connector": 1, **status}, {"evse": 2, "connector": 1, **status}]
    lines = station_text(a_station(inventory={**said, "connectors": connectors})).splitlines()

    assert lines[-3].split(maxsplit=3)[-1] == "Électrons, Gleis 11, SN-1"
    assert lines[-2].split() == ["connector", "1", "Faulted,", "GroundFailure"]
    assert lines[-1].split() == ["EVSE", "2", "connector", "1", "Faulted,", "GroundFailure"]
