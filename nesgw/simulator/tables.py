"""Table images, one function a table: bytes at the offsets that the guides (OPG, MEPG) print.

A function gets a ``Moment`` and returns the whole table, or None where this meter has none. ``TABLES`` finds it by
its number on the wire; a further table is one more decorated function.
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nesgw.simulator.household import utc_offset
from nesgw.simulator.profiles import PRESENT_SOURCES, SUMMATION_SOURCES, Profile
from nesgw.simulator.registers import Truth, short_local_time

EXTENDED: Final = 2048


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the event log."""

    at: int
    sequence: int
    user: int
    number: int
    argument: bytes = b"\0\0"


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a table can show: the meter's kind, its registers now, and what has happened to it."""

    profile: Profile
    at: int  # UTC by the meter's clock, ms
    tier: int
    truth: Truth
    serial: str
    alarms: bytes  # 13 bytes, BT03's form
    events: tuple[Event, ...] = ()  # oldest first
    sequence: int = 0


Image = Callable[[Moment], bytes | None]
TABLES: Final[dict[int, Image]] = {}


def basic(number: int) -> Callable[[Image], Image]:
    """Register the image of BT ``number``."""

    def register(image: Image) -> Image:
        TABLES[number] = image
        return image

    return register


def extended(number: int) -> Callable[[Image], Image]:
    """Register the image of ET ``number``."""
    return basic(EXTENDED + number)


def integers(values: list[int]) -> bytes:
    """INT32s, little-endian."""
    return struct.pack(f"<{len(values)}i", *values)


def fields(length: int, *placed: tuple[int, str, int | bytes]) -> bytes:
    """A table of zeros with (offset, struct format, value) written into it."""
    table = bytearray(length)
    for offset, form, value in placed:
        struct.pack_into("<" + form, table, offset, value)
    return bytes(table)


def long_time(at: int) -> bytes:
    """LTIME_DATE of milliseconds since 1970."""
    moment = datetime.datetime.fromtimestamp(at // 1000, datetime.UTC)
    return bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute, moment.second))


def weekday(at: int) -> int:
    """0 = Sunday."""
    return (at // 86_400_000 + 4) % 7


# --- identification and status -------------------------------------------------------------------------------------


@basic(0)
def bt00(now: Moment) -> bytes:
    """General configuration, followed by the bitmaps that C12.19 puts behind it."""
    profile = now.profile
    basic_bytes, extended_bytes = 10, 20 if profile.generation_4 else 13
    head = struct.pack(
        "<BBB4s12B",
        0b0000_0010,  # little-endian, ASCII
        0b0010_1010,  # time format 2, offset-count reads, BCD ids
        0x88,
        profile.manufacturer.encode().ljust(4, b"\0"),
        *(2, 0, 255, 12, 1, 0),
        *(basic_bytes, extended_bytes, 2, 12),
        *(profile.alarm_bytes, 4 if profile.generation_4 else 3),
    )
    bits = bytearray(basic_bytes + extended_bytes)
    for number in present_tables(now):
        if number < 8 * basic_bytes:
            bits[number // 8] |= 1 << number % 8
        elif 0 <= number - EXTENDED < 8 * extended_bytes:
            bits[basic_bytes + (number - EXTENDED) // 8] |= 1 << number % 8
    return head + bytes(bits)


def present_tables(now: Moment) -> list[int]:
    """The numbers of the tables that this meter has."""
    return [0, *(number for number, image in TABLES.items() if number and image(now) is not None)]


@basic(1)
def bt01(now: Moment) -> bytes:
    """Manufacturer identification."""
    profile = now.profile
    major, minor, build = profile.firmware
    firmware = struct.pack(">H", major << 12 | minor << 5 | build)
    model = profile.model.encode().ljust(8)
    maker = profile.manufacturer.encode().ljust(4, b"\0")
    return maker + model + firmware + firmware + bytes.fromhex(profile.maker_serial)


@basic(3)
def bt03(now: Moment) -> bytes:
    """Mode and alarms."""
    return now.alarms[: 4 + now.profile.alarm_bytes]


@extended(3)
def et03(now: Moment) -> bytes:
    """Utility information: the serial number, NUL-terminated; the image CRC."""
    return fields(143, (0, "30s", now.serial.encode()), (137, "H", 55331))


@extended(4)
def et04(now: Moment) -> bytes:
    """System information."""
    absent = {3: 0b000, 1: 0b110}[now.profile.phases]
    return fields(
        128,
        *((13, "B", 50), (14, "8s", b"PROGRAM1"), (53, "B", 10), (56, "H", 20), (58, "H", 80), (60, "H", 230)),
        *((62, "B", absent), (98, "H", 60), (111, "B", 50), (116, "B", 1)),
    )


@extended(29)
def et29(now: Moment) -> bytes:
    """Hardware configuration."""
    profile = now.profile
    shared = profile.mep_first_packet != "off"
    options = (1 << 5) | (1 << 8) | (1 << 9)  # disconnect, M-Bus, cover tamper
    options |= (1 << 10) if shared or profile.generation_4 else 0
    options |= (1 << 17) if profile.ct_ratio > 1 else 0
    options |= (1 << 23) if profile.generation_4 else 0
    return fields(
        48,
        *((0, "B", options & 0xFF), (1, "B", options >> 8 & 0xFF), (2, "B", options >> 16)),
        (5, "B", 1 if profile.phases == 1 else 2),
    )


@extended(54)
def et54(now: Moment) -> bytes:
    """Meter status: no second load profile set in ET42, no alternate event log."""
    return fields(82, (0, "H", 1 << 8 if now.profile.generation_4 else 0))


@extended(55)
def et55(now: Moment) -> bytes:
    """Meter configuration; most of it lies behind a list as long as the most tiers a meter could have."""
    profile = now.profile
    four = profile.generation_4
    tail = (147 if four else 146) + 4 * (profile.maxima.tiers - 1)
    placed: list[tuple[int, str, int | bytes]] = [
        (79 if four else 78, "H", 30),
        (94 if four else 93, "B", 5),
        (110 if four else 109, "B", 0),
    ]
    if profile.since(3, 70):
        placed += [(tail + 12, "H", 600), (tail + 39, "B", profile.energy_unit)]
    if four:
        timed = 1 if profile.session_limit else 0
        placed += [
            (22, "B", profile.failures_allowed),
            (23, "B", profile.lockout_minutes),
            (tail + 41, "B", timed),
            (tail + 42, "H", int(profile.session_limit) or 600),
            (tail + 44, "H", int(profile.hold_off)),
        ]
    return fields(tail + (100 if four else 60), *placed)


# --- registers -----------------------------------------------------------------------------------------------------


@basic(15)
def bt15(now: Moment) -> bytes | None:
    """Constants: transformer ratios, on CT meters only."""
    profile = now.profile
    if profile.ct_ratio == 1:
        return None
    return struct.pack("<iiBii", 1, 0, profile.ratios_applied, profile.ct_ratio, profile.vt_ratio)


@basic(20)
def bt20(now: Moment) -> bytes:
    """Dimensions, maxima."""
    return now.profile.maxima.image()


@basic(21)
def bt21(now: Moment) -> bytes | None:
    """Dimensions, actual."""
    return now.profile.actual.image() if now.profile.has_actual else None


@basic(22)
def bt22(now: Moment) -> bytes | None:
    """Sources of summations, demands and coincidents."""
    profile = now.profile
    if not profile.has_sources:
        return None
    demands = [demand.source for demand in profile.demands]
    maximum = (1 << len(demands)) - 1
    return (
        bytes(SUMMATION_SOURCES[: profile.actual.summations])
        + bytes(demands)
        + maximum.to_bytes((len(demands) + 7) // 8, "little")
        + bytes(coincident.source for coincident in profile.coincidents)
        + bytes(coincident.demand for coincident in profile.coincidents)
    )


@basic(23)
def bt23(now: Moment) -> bytes:
    """Current register data: the totals' block, then one a tier; demands are kept for the totals only."""
    actual, truth = now.profile.actual, now.truth
    image = bytes((truth.reset_count,)) if actual.flags0 & 0x04 else b""
    for number, block in enumerate((truth.summations, *truth.tiers)):
        image += integers([block[index] for index in range(actual.summations)])
        for demand in truth.demands:
            maximum, cumulative = (demand.maximum, demand.cumulative) if number == 0 else (0, 0)
            if actual.flags0 & 0x02:
                image += bytes(demand.time) if number == 0 else bytes(5)
            if actual.flags0 & 0x10:
                image += integers([cumulative])
            if actual.flags0 & 0x20:
                image += integers([cumulative + maximum])
            image += integers([maximum])
        image += integers([coincident.value if number == 0 else 0 for coincident in truth.coincidents])
    return image


@basic(27)
def bt27(now: Moment) -> bytes | None:
    """Sources of the present demands and values."""
    profile = now.profile
    if not profile.has_sources:
        return None
    return bytes(profile.present_demand_sources) + bytes(PRESENT_SOURCES[number] for number in profile.present_numbers)


@basic(28)
def bt28(now: Moment) -> bytes:
    """Present demands, each with the time left where the flag says so, then the present values."""
    profile, truth = now.profile, now.truth
    minutes, seconds = divmod(truth.time_left, 60)
    left = bytes((0, minutes, seconds)) if profile.actual.flags0 & 0x40 else b""
    demands = b"".join(left + integers([demand]) for demand in truth.present_demands)
    return demands + integers([truth.present[number] for number in profile.present_numbers])


# --- clocks --------------------------------------------------------------------------------------------------------


@basic(52)
def bt52(now: Moment) -> bytes:
    """The clock in UTC."""
    summer = 0x08 if utc_offset(now.at) == 120 else 0
    return long_time(now.at) + bytes((weekday(now.at) | summer | 0x10,))


@basic(55)
def bt55(now: Moment) -> bytes:
    """Local time, renewed each minute; tier in force, season."""
    offset = utc_offset(now.at)
    local = now.at // 60_000 * 60_000 + offset * 60_000
    summer = 0x48 if offset == 120 else 0
    season = 3 if short_local_time(now.at)[1] in (10, 11, 12) else 0
    return long_time(local) + bytes((weekday(local) | 0x20 | summer, now.tier, season << 4))


# --- logs ----------------------------------------------------------------------------------------------------------


def _log_dimensions(now: Moment) -> bytes:
    return struct.pack("<BBBBBHH", 0b0000_0110, 8, 19, 2, 2, now.profile.event_entries, 0)


@basic(70)
def bt70(now: Moment) -> bytes:
    """Dimensions of the logs, maxima."""
    return _log_dimensions(now)


@basic(71)
def bt71(now: Moment) -> bytes | None:
    """Dimensions of the logs, actual."""
    return _log_dimensions(now) if now.profile.has_actual else None


@basic(74)
def bt74(now: Moment) -> bytes:
    """The event log: a ring of records behind a header."""
    capacity = now.profile.event_entries
    kept = now.events[-capacity:]
    newest = (now.sequence - 1) % capacity if kept else 0
    overflow = 0x02 if now.sequence > capacity else 0
    table = bytearray(
        struct.pack("<BHHIH", 0x04 | overflow, len(kept), newest, now.sequence, min(now.sequence, capacity))
    ) + bytearray(14 * capacity)
    for event in kept:
        record = long_time(event.at) + struct.pack("<HHH", event.sequence & 0xFFFF, event.user, event.number)
        start = 11 + 14 * ((event.sequence - 1) % capacity)
        table[start : start + 14] = record + event.argument
    return bytes(table)
