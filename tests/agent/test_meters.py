"""The energy register out of meter values of either version, and out of nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pointsman_agent.ocpp.meters import energy_wh


def values(*samples: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"timestamp": "2026-11-22T12:00:00Z", "sampledValue": list(samples)}]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([{"value": "1500"}], 1500),
        ([{"value": "1.5", "unit": "kWh", "measurand": "Energy.Active.Import.Register"}], 1500),
        ([{"value": "7", "measurand": "Power.Active.Import"}, {"value": "1"}], 1),
        ([{"value": "1"}, {"value": "2"}], 2),
        ([{"value": "1"}, {"value": "2", "phase": "L1"}], 1),
        ([{"value": "1"}, {"value": "2", "location": "Inlet"}], 1),
        ([{"value": 1.25, "unitOfMeasure": {"unit": "kWh"}}], 1250),
        ([{"value": 15, "unitOfMeasure": {"multiplier": 2}}], 1500),
        ([{"value": 1500, "unitOfMeasure": {"unit": "Wh", "multiplier": -3}}], 2),
        ([{"value": "1", "unit": "varh"}], None),
        ([{"value": "1_000"}], None),
        ([{"value": "nan"}], None),
        ([{"value": "1e999"}], None),
        ([{"value": 1e300}], None),
        ([{"value": True}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_the_last_reading_of_the_whole_register_counts(samples: list[dict[str, Any]], expected: int | None) -> None:
    assert energy_wh(values(*samples)) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
samples = st.dictionaries(
    st.sampled_from(["value", "unit", "unitOfMeasure", "multiplier", "measurand", "phase", "location"]), json_values
)


@given(json_values | st.lists(st.fixed_dictionaries({"sampledValue": st.lists(samples) | json_values})))
def test_nonsense_is_no_reading_or_one_that_can_be_stored(meter_values: object) -> None:
    reading = energy_wh(meter_values)

    assert reading is None or abs(reading) <= 2**53
