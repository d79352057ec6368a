"""ET55, the meter's configuration: where its few fields stand that nesgw looks at.

The first part of the table is one byte longer from firmware 4.00 on, and in the middle is a list with four bytes for
each tier but the first. Source: OPG and MEPG, ET55.
"""

from __future__ import annotations

from typing import Final

from nesgw.tables.firmware import ENERGY_UNIT, knows
from nesgw.tables.register import EXTENDED, Part
from nesgw.values import Firmware

ET55: Final = EXTENDED + 55

_PRIMARY_PROFILE: Final = 109
_TIER_LIST: Final = 146
_ENERGY_UNIT: Final = 39  # behind the list
_LENGTH: Final = 101  # behind the list, up to the last field that the guides name


def _longer(firmware: Firmware) -> int:
    return 1 if firmware.major >= 4 else 0


def _behind_tiers(firmware: Firmware, most_tiers: int) -> int:
    return _TIER_LIST + _longer(firmware) + 4 * (most_tiers - 1)


def primary_profile(firmware: Firmware) -> Part:
    """The index of the set of load profile channels that the meter calls its primary one."""
    return Part("ET55", ET55, _PRIMARY_PROFILE + _longer(firmware), 1)


def energy_unit(firmware: Firmware, most_tiers: int) -> Part | None:
    """The unit of the energy registers; ``most_tiers`` is BT20.7. None where the firmware has no such setting."""
    if not knows(firmware, ENERGY_UNIT):
        return None
    return Part("ET55", ET55, _behind_tiers(firmware, most_tiers) + _ENERGY_UNIT, 1)


def length(firmware: Firmware, most_tiers: int) -> int:
    """Bytes of the table up to the last field that the guides name."""
    return _behind_tiers(firmware, most_tiers) + _LENGTH
