"""Sub-meters on the M-Bus: what each one's telegrams say, and how its counter moves (OPG and MEPG, ET16; EN 13757-3).

Telegrams are written out as bytes; only the main counter in them follows the days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesgw.simulator.household import utc_offset

HOUR: Final = 3_600_000
DAY: Final = 86_400_000
FIRST_READ: Final = 100 * DAY  # a device whose readings go to ET45 was installed so long before the start


@dataclass(frozen=True, slots=True)
class SubMeter:
    """A device: what stands in ET16 behind the time stamp, from the flags on."""

    describes: str
    data: str  # hex
    counter_at: int = 0  # where in ``data`` its counter stands: eight BCD digits; 0: it never moves
    daily: int = 0  # what the counter gains in a day
    nightly: bool = False  # read at 0:05 each night and kept in ET45, ET16 being its first read; else read hourly
    up: bool = True
    alarms: int = 0x0001  # ET14: billing data collected
    device_alarms: int = 0
    key_length: int = 0

    def reading(self, at: int, origin: int) -> bytes:
        """What the device says at a time; at ``origin`` its counter stood as written."""
        data = bytearray.fromhex(self.data)
        if self.counter_at:
            data[self.counter_at : self.counter_at + 4] = self.counter(at, origin)
        return bytes(data)

    def counter(self, at: int, origin: int) -> bytes:
        """The counter's four bytes: BCD, least significant pair first."""
        written = bytes.fromhex(self.data)[self.counter_at : self.counter_at + 4]
        value = int(written[::-1].hex()) + self.daily * (at - origin) // DAY
        return bytes.fromhex(f"{value % 10**8:08d}")[::-1]

    def read_at(self, at: int) -> int:
        """When it was last read."""
        if not self.nightly:
            return at // HOUR * HOUR
        return last_night(at)


def last_night(at: int) -> int:
    """The last 0:05 by local time."""
    local = at + utc_offset(at) * 60_000
    night = (local - 300_000) // DAY * DAY + 300_000
    return night - utc_offset(night - HOUR) * 60_000


# The guide's way of writing, as one device: 12 345 kWh, 6 016.277 m³, 62 °C there, 36 °C back.
HEAT: Final = SubMeter(
    "heat meter, serial 12345678",
    "00 21 78 56 34 12 2d 2c 01 04 2a 00 00 00 04 06 39 30 00 00 04 13 15 cd 5b 00 02 5a 6c 02 02 5e 68 01 00",
)
# 1 234.567 m³, no flow; the electricity meter has decrypted it.
WATER: Final = SubMeter(
    "water meter, serial 87654321, decrypted",
    "04 18 21 43 65 87 a5 11 40 07 05 00 00 00 0c 13 67 45 23 01 0b 3b 00 00 00 00",
    counter_at=16,
    daily=412,
    nightly=True,
    key_length=16,
)
# Mode 5, one block of 16 bytes.
ENCRYPTED_GAS: Final = SubMeter(
    "gas meter, serial 55667788, encrypted",
    "00 1d 88 77 66 55 93 15 0a 03 33 00 10 05 3e 91 c7 08 5d f2 a4 6b 19 d0 77 e5 42 8c b6 2f 00",
)
# Two telegrams: 456 789 kWh, 123 456.78 m³, 23.4 kW; then 0.312 m³/h, 62.1 °C, 35.8 °C, 26.3 K.
HEAT_IN_TWO: Final = SubMeter(
    "heat meter, serial 66112233, two telegrams",
    "00 1e 33 22 11 66 a7 32 07 04 2a 00 00 00 0c 06 89 67 45 00 0c 14 78 56 34 12 0b 2d 34 02 00 00"
    "1e 33 22 11 66 a7 32 07 04 2b 00 00 00 0b 3b 12 03 00 0a 5a 21 06 0a 5e 58 03 0a 62 63 02 00",
    counter_at=16,
    daily=38,
)
# Fixed structure: 12 345 l now, 12 201 l at the fixed date; BCD.
FIXED_WATER: Final = SubMeter(
    "water meter, serial 44556677, fixed structure",
    "02 10 77 66 55 44 07 00 e9 7e 45 23 01 00 01 22 01 00",
    counter_at=10,
    daily=300,
)
# 12 345.67 m³, battery low.
GAS: Final = SubMeter(
    "gas meter, serial 11223344, battery low",
    "00 13 44 33 22 11 93 15 0a 03 11 04 00 00 0c 14 67 45 23 01 00",
    counter_at=16,
    daily=350,
    nightly=True,
    alarms=0x0011,  # and communication failed once
)
