"""One sound reading of a three-phase house, to be spoilt by the tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Values = dict[str, int | float | None]
House = Callable[..., Values]


def _house(energy: float = 5000.0, power: float = 600, **changes: float | None) -> Values:
    """Draw ``power`` W (negative: feed in), a third on each phase, at a meter that stands at ``energy`` kWh."""
    drawn, fed = max(power, 0), max(-power, 0)
    values: Values = {
        "energy_import": energy,
        "energy_export": 0.201,
        "reactive_energy_import": 40.0,
        "reactive_energy_export": 70.0,
        "outage_duration": 23_315_499,
        "outage_count": 10,
        "energy_total": round(energy + 0.201, 3),
        "energy_net": 2.5,
        "pulse_input_1": 7,
        "error_count": 0,
        "energy_import_t1": energy,
        "power_import": drawn,
        "power_export": fed,
        "power": power,
        "current_l1": 1.5,
        "current_l2": 1.5,
        "current_l3": 1.5,
        "voltage_l1": 230.1,
        "voltage_l2": 229.4,
        "voltage_l3": 231.0,
        "frequency": 50.0,
        "power_factor_l1": 0.93,
        "sin_phi_l1": -0.45,
        **{f"power_import_l{n}": drawn / 3 for n in (1, 2, 3)},
        **{f"power_export_l{n}": fed / 3 for n in (1, 2, 3)},
    }
    return values | changes


@pytest.fixture(scope="session")
def house() -> House:
    return _house
