"""Plain values that travel through nesgw. Imports nothing of ours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

Number = int | float

KEY_LENGTH: Final = 20  # bytes of the optical port's key: Security carries so many


class Firmware(NamedTuple):
    """A meter's firmware version; 3.84.06 prints as such and compares as a tuple (BT01.14/15)."""

    major: int
    minor: int
    build: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor:02d}.{self.build:02d}"


def plain_id(serial: str) -> str:
    """Return a serial number as it stands in topics and unique ids."""
    return re.sub("[^a-z0-9]", "", serial.lower())


def printable(text: object, width: int = 80) -> str:
    """Return what others wrote as one line for a terminal or a log, of ``width`` characters at the most.

    What steers a terminal or turns the direction of writing is shown as an escape: control, format and private
    characters (Unicode's categories C), and line and paragraph separators.
    """
    shown = ""
    for char in str(text):
        shown += char if unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029" else ascii(char)[1:-1]
        if len(shown) > width:
            return shown[: max(width - 1, 0)] + "…"
    return shown


@dataclass(frozen=True, slots=True)
class MeterIdentity:
    """Who the meter is (BT01, ET03): the same whatever Pi, port or configuration it is read with."""

    manufacturer: str
    model: str
    firmware: Firmware
    utility_serial: str  # "" where ET03 is blank
    manufacturer_serial: str
    hardware: str | None = None

    @property
    def serial(self) -> str:
        """The serial number that people know it by: the utility's, else the manufacturer's."""
        return self.utility_serial or self.manufacturer_serial

    @property
    def id(self) -> str:
        """The meter's name in topics and unique ids: its serial number in lower case, ``[a-z0-9]`` only."""
        for serial in (self.utility_serial, self.manufacturer_serial):
            if plain := plain_id(serial):
                return plain
        return ""

    def has_taken_over_from(self, former: MeterIdentity) -> bool:
        """Whether it is another meter to which the utility has given the number of the former one."""
        numbers = self.manufacturer_serial, former.manufacturer_serial
        return self.id == former.id and all(numbers) and numbers[0] != numbers[1]


@dataclass(frozen=True, slots=True)
class Reading:
    """One accepted poll of one meter.

    ``values`` has every field that the meter has, in catalogue order and in Home Assistant's native units; ``None``
    where this poll could not obtain it. ``tables`` has the raw bytes from offset 0, by name ("BT23", "BT28").
    """

    time: datetime  # aware, UTC: when the last byte had arrived
    values: Mapping[str, Number | None]
    tables: Mapping[str, bytes]
