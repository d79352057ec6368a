"""What a meter can do by its firmware version: every version that nesgw decides something by.

Control Point modules count their firmware from 1 and have what generation 4 has.
Sources: OPG and MEPG, the notes "from firmware ... on" at the tables.
"""

from __future__ import annotations

from typing import Final

from nesgw.values import Firmware

ALL: Final = Firmware(0, 0)
V2_00: Final = Firmware(2, 0)
V2_04: Final = Firmware(2, 4)
V2_10: Final = Firmware(2, 10)
V2_12: Final = Firmware(2, 12)
V2_13: Final = Firmware(2, 13)
V3_01: Final = Firmware(3, 1)
V3_10: Final = Firmware(3, 10)
V3_13: Final = Firmware(3, 13)
V3_30: Final = Firmware(3, 30)
V3_50: Final = Firmware(3, 50)
V3_60: Final = Firmware(3, 60)
V3_70: Final = Firmware(3, 70)
V3_80: Final = Firmware(3, 80)
V4_00: Final = Firmware(4, 0)
V4_10: Final = Firmware(4, 10)
V4_20: Final = Firmware(4, 20)
V4_30: Final = Firmware(4, 30)

ALTERNATE_LOG: Final = V3_70  # ET79, the second event log
SEVERAL_PROFILES: Final = V3_50  # more than one set of load profile channels
EARTH_FAULT: Final = V4_00  # ET29 says whether the meter watches for earth faults
ENERGY_UNIT: Final = V3_70  # ET55 has a unit of the energy registers


def knows(firmware: Firmware, since: Firmware) -> bool:
    """Whether a meter has what came with ``since``."""
    return firmware.major == 1 or since <= firmware


def counts_outages_in_minutes(firmware: Firmware) -> bool:
    """Whether BT23's outage duration is in minutes: on 2.0x. Whether that is all of 2.00 to 2.09 is not certain."""
    return V2_00 <= firmware < V2_10
