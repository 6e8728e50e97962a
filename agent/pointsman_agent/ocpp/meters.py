"""Meter values of any version → the energy register in Wh. Pure, and tolerant: what makes no sense is no reading."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

ENERGY: Final = "Energy.Active.Import.Register"
"""The default measurand of both versions (OCPP 1.6 section 7.43; 2.0.1 part 2, SampledValueType)."""

_WH: Final = {"Wh": 1.0, "kWh": 1000.0}
_LARGEST: Final = 2.0**53


def energy_wh(meter_values: object) -> int | None:
    """Return the last reading of the whole energy register in a `meterValue` list, in Wh; None where there is none.

    Readings of one phase and of other places than the outlet do not count.
    """
    last = None
    for sample in _samples(meter_values):
        reading = _reading(sample)
        last = last if reading is None else reading
    return last


def _samples(meter_values: object) -> Iterator[Mapping[str, Any]]:
    for meter_value in meter_values if isinstance(meter_values, list) else ():
        samples = meter_value.get("sampledValue") if isinstance(meter_value, dict) else None
        for sample in samples if isinstance(samples, list) else ():
            if isinstance(sample, dict):
                yield sample


def _reading(sample: Mapping[str, Any]) -> int | None:
    if sample.get("measurand", ENERGY) != ENERGY or "phase" in sample or sample.get("location", "Outlet") != "Outlet":
        return None
    factor = _factor(sample)
    value = _number(sample.get("value"))
    if factor is None or value is None or not abs(value * factor) < _LARGEST:
        return None
    return round(value * factor)


def _factor(sample: Mapping[str, Any]) -> float | None:
    """1.6 has `unit`; 2.x has `unitOfMeasure` with a power of ten (multiplier)."""
    unit = sample.get("unitOfMeasure")
    if not isinstance(unit, dict):
        return _named(sample.get("unit", "Wh"))
    multiplier = unit.get("multiplier", 0)
    base = _named(unit.get("unit", "Wh"))
    if base is None or not isinstance(multiplier, int) or abs(multiplier) > 12:
        return None
    return float(base * 10.0**multiplier)


def _named(unit: object) -> float | None:
    return _WH.get(unit) if isinstance(unit, str) else None


def _number(value: object) -> float | None:
    """1.6 writes numbers as text. `float` would take `1_000` and `nan` as well."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 40 or not set(value) <= set("0123456789.+-eE")):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
