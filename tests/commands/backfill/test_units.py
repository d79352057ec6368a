"""What Home Assistant's units of energy are in kWh."""

from __future__ import annotations

import pytest

from nesgw.commands.backfill.units import UNITS


@pytest.mark.parametrize(
    ("unit", "of_1000_kwh"),
    [
        ("mWh", 1e9),
        ("Wh", 1e6),
        ("kWh", 1000.0),
        ("MWh", 1.0),
        ("GWh", 0.001),
        ("TWh", 0.000001),
        ("J", 3.6e9),
        ("kJ", 3.6e6),
        ("MJ", 3600.0),
        ("GJ", 3.6),
        ("cal", 860_420_650.095602),
        ("kcal", 860_420.650095602),
        ("Mcal", 860.420650095602),
        ("Gcal", 0.860420650095602),
        ("varh", 1e6),
        ("kvarh", 1000.0),
    ],
)
def test_a_thousand_kilowatt_hours_in_each_unit(unit: str, of_1000_kwh: float) -> None:
    assert UNITS[unit].of(1000.0) == of_1000_kwh


@pytest.mark.parametrize("unit", UNITS)
def test_a_watt_hour_of_a_large_register_survives_each_unit(unit: str) -> None:
    back = UNITS[unit].of(9_999_999.999) / UNITS[unit].per_base
    assert back == pytest.approx(9_999_999.999, abs=1e-6)


@pytest.mark.parametrize("unit", ["W", "m³", "thm", "", "MWH"])
def test_what_is_no_unit_of_energy_here(unit: str) -> None:
    assert unit not in UNITS
