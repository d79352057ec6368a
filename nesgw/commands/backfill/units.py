"""The units that an owner may have chosen for a statistic. Pure.

Home Assistant converts what it is asked for, but takes what is imported as it comes: that has to be in the statistic's
own unit. Source: the energy and reactive energy converters of Home Assistant 2026.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_JOULES: Final = 3_600_000.0  # in 1 kWh
_CALORIES: Final = _JOULES / 4.184  # of thermochemistry
_DIGITS: Final = 15  # of a floating point number that are sure: 1 Wh is there in any of the units


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a statistic: its class, the unit in which we reckon, and how many of it are one of those."""

    unit_class: str
    base: str
    per_base: float

    def of(self, value: float) -> float:
        """Convert from kWh (or kvarh)."""
        return float(f"{value * self.per_base:.{_DIGITS}g}")


_ENERGY: Final = {
    "mWh": 1e6,
    "Wh": 1e3,
    "kWh": 1.0,
    "MWh": 1e-3,
    "GWh": 1e-6,
    "TWh": 1e-9,
    "J": _JOULES,
    "kJ": _JOULES / 1e3,
    "MJ": _JOULES / 1e6,
    "GJ": _JOULES / 1e9,
    "cal": _CALORIES,
    "kcal": _CALORIES / 1e3,
    "Mcal": _CALORIES / 1e6,
    "Gcal": _CALORIES / 1e9,
}

UNITS: Final[Mapping[str, Unit]] = MappingProxyType(
    {name: Unit("energy", "kWh", per_base) for name, per_base in _ENERGY.items()}
    | {"varh": Unit("reactive_energy", "kvarh", 1e3), "kvarh": Unit("reactive_energy", "kvarh", 1.0)}
)
