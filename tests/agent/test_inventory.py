"""What stations say they are, in both families of versions, also when they say it badly."""

import json
from typing import Any

import pytest
from pointsman_agent.inventory import inventory_of
from pointsman_agent.inventorytables import inventory_text
from pointsman_agent.observation import Observation
from pointsman_agent.ocpp.frame import parse

NOTHING: dict[str, Any] = {
    "vendor": None,
    "model": None,
    "serialNumber": None,
    "firmware": None,
    "protocol": None,
    "connectors": [],
}


def heard(protocol: str, *calls: tuple[str, object]) -> dict[str, Any]:
    """Return the inventory of a station that made these CALLs."""
    observation = Observation()
    for number, (action, payload) in enumerate(calls):
        observation.hear(protocol, parse(json.dumps([2, str(number), action, payload])), 0.0)
    return inventory_of(observation)


def test_a_station_of_16_is_known_by_its_boot_and_its_connectors() -> None:
    boot = {
        "chargePointVendor": "Électrons",
        "chargePointModel": "Gleis 11",
        "chargeBoxSerialNumber": "SN-1",
        "firmwareVersion": "1.0",
    }
    connector = {"connectorId": 2, "status": "Faulted", "errorCode": "GroundFailure", "info": "wet"}
    itself = {"connectorId": 0, "status": "Available", "errorCode": "NoError", "timestamp": "2026-11-22T12:00:00Z"}
    found = heard(
        "ocpp1.6", ("BootNotification", boot), ("StatusNotification", connector), ("StatusNotification", itself)
    )

    assert found == {
        "vendor": "Électrons",
        "model": "Gleis 11",
        "serialNumber": "SN-1",
        "firmware": "1.0",
        "protocol": "ocpp1.6",
        "connectors": [
            {
                "evse": None,
                "connector": 0,
                "status": "Available",
                "error": None,
                "detail": None,
                "at": "2026-11-22T12:00:00Z",
            },
            {
                "evse": None,
                "connector": 2,
                "status": "Faulted",
                "error": "GroundFailure",
                "detail": "wet",
                "at": None,
            },
        ],
    }


def test_a_station_of_2x_names_itself_and_its_evses_in_other_words() -> None:
    station = {"vendorName": "Électrons", "model": "Gleis 20", "serialNumber": "SN-2", "firmwareVersion": "2.0"}
    status = {"evseId": 1, "connectorId": 1, "connectorStatus": "Occupied", "timestamp": "2026-11-22T12:00:00Z"}
    found = heard(
        "ocpp2.0.1",
        ("BootNotification", {"reason": "PowerUp", "chargingStation": station}),
        ("StatusNotification", status),
    )

    assert (found["vendor"], found["serialNumber"], found["firmware"]) == ("Électrons", "SN-2", "2.0")
    assert [(row["evse"], row["connector"], row["status"]) for row in found["connectors"]] == [(1, 1, "Occupied")]


def test_of_a_station_that_never_said_anything_nothing_is_known() -> None:
    assert inventory_of(Observation()) == NOTHING


@pytest.mark.parametrize(
    "payload",
    [{}, {"chargePointVendor": 7}, {"chargingStation": []}, {"chargePointModel": ["x"]}, {"firmwareVersion": ""}],
)
def test_what_is_said_in_another_form_is_not_known(payload: object) -> None:
    assert heard("ocpp1.6", ("BootNotification", payload)) == {**NOTHING, "protocol": "ocpp1.6"}


def test_the_table_fits_80_columns_and_acts_on_no_terminal() -> None:
    boot = {"chargePointVendor": "\x1b[2J" + "V" * 20, "chargePointModel": "M" * 20, "firmwareVersion": "f" * 50}
    states = [("Available", 1), ("Charging", 2), ("Available", 3)]
    connectors = [("StatusNotification", {"connectorId": n, "status": status}) for status, n in states]
    row = {"station": "S" * 36, **heard("ocpp1.6", ("BootNotification", boot), *connectors)}

    text = inventory_text([row, {"station": "CP-2", **NOTHING}])

    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "2Available" in "".join(text.split())
