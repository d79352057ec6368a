"""How this meter is wired and set up, as far as it decides what is published: BT15, ET04, ET42 and ET55.

A meter may refuse any of these tables; each has a value that goes without it. Nothing here is ever multiplied into a
power or a voltage: the meter has the primary side ready (BT23; the twins in BT28).
Sources: OPG and MEPG, BT15, ET04, ET42, ET55.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nesgw.tables.identity import ByteOrder
from nesgw.tables.register import EXTENDED, Part, nonsense

BT15: Final = Part("BT15", 15, 0, 17)  # meters behind transformers only
ET04_PHASES: Final = Part("ET04", EXTENDED + 4, 62, 1)
ET04_VERSION: Final = Part("ET04", EXTENDED + 4, 116, 1)  # of the dimensions: another one, other dimensions
ET42_TIER_SIZE: Final = Part("ET42", EXTENDED + 42, 21, 2)

ENERGY_UNITS: Final = (1, 10, 100)

MOST_CURRENT: Final = 50_000  # ratios
MOST_VOLTAGE: Final = 15_000


class Ratios(NamedTuple):
    """The transformers' ratios (BT15)."""

    current: int
    voltage: int
    applied: bool  # the meter's own flag, for display only: its meaning for the values is not clear from the guides

    @property
    def possible(self) -> bool:
        """Whether there are such transformers: to 1 A from 50 kA, to 57 V from 765 kV at the most."""
        return self.current <= MOST_CURRENT and self.voltage <= MOST_VOLTAGE


class AbsentPhases(NamedTuple):
    """Phases that are not installed (ET04.62)."""

    voltage: frozenset[int] = frozenset()
    current: frozenset[int] = frozenset()


class Installation(NamedTuple):
    """What could be learnt; the defaults are a three-phase meter without transformers."""

    ratios: Ratios | None = None
    energy_unit: int = 1
    absent: AbsentPhases = AbsentPhases()
    tier_size: int | None = None

    @property
    def power_ratio(self) -> float:
        """What the transformers multiply a power by: current ratio times voltage ratio; 1 without them."""
        return self.ratios.current * self.ratios.voltage if self.ratios and self.ratios.possible else 1


def decode_ratios(data: bytes, byteorder: ByteOrder) -> Ratios:
    """BT15; a ratio of zero was never set and counts as 1."""
    data = BT15.whole(data)
    current, voltage = (int.from_bytes(data[at : at + 4], byteorder, signed=True) for at in (9, 13))
    if current < 0 or voltage < 0:
        raise nonsense("BT15", f"transformer ratios {current} and {voltage}")
    return Ratios(current=current or 1, voltage=voltage or 1, applied=bool(data[8] & 1))


def decode_absent_phases(data: bytes) -> AbsentPhases:
    """ET04.62; a mask that leaves no phase at all is not believed."""
    mask = ET04_PHASES.whole(data)[0]
    voltage = _phases(mask)
    return AbsentPhases(voltage=voltage, current=_phases(mask >> 4) if mask & 0x08 else voltage)


def _phases(mask: int) -> frozenset[int]:
    absent = frozenset(phase for phase in (1, 2, 3) if mask >> (phase - 1) & 1)
    return absent if len(absent) < 3 else frozenset()


def decode_tier_size(data: bytes, byteorder: ByteOrder) -> int:
    """ET42.21: the meter's own word for ``Dimensions.block``."""
    return int.from_bytes(ET42_TIER_SIZE.whole(data), byteorder)


def decode_energy_unit(data: bytes) -> int:
    """1, 10 or 100 Wh; anything else is not that setting, and the unit is 1."""
    return data[0] if data and data[0] in ENERGY_UNITS else 1
