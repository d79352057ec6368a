"""Identification, status, hardware and the clocks: BT00 to BT04, BT50 to BT55, ET03, ET04, ET29, ET54, ET55."""

from __future__ import annotations

import struct

from nesgw.simulator.household import utc_offset
from nesgw.simulator.registers import season
from nesgw.simulator.tables.registry import (
    EXTENDED,
    Moment,
    basic,
    extended,
    fields,
    long_local_time,
    long_time,
    present_tables,
)


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
    for number in present_tables(profile):
        if number < 8 * basic_bytes:
            bits[number // 8] |= 1 << number % 8
        elif 0 <= number - EXTENDED < 8 * extended_bytes:
            bits[basic_bytes + (number - EXTENDED) // 8] |= 1 << number % 8
    return head + bytes(bits)


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


@basic(4)
def bt04(now: Moment) -> bytes:
    """Pending tables: never any."""
    four = now.profile.generation_4
    return bytes(10 + (20 if four else 13) + 5 + 1 + 8 * (4 if four else 3))


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
        *((62, "B", absent), (98, "H", 60), (111, "B", 50), (116, "B", now.profile.version & 0xFF)),
    )


@extended(29)
def et29(now: Moment) -> bytes:
    """Hardware configuration."""
    profile = now.profile
    shared = profile.mep_first_packet != "off"
    options = (1 << 5) | (1 << 9)  # disconnect, cover tamper
    options |= (1 << 8) if profile.since(2, 10) else 0  # M-Bus
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
    """Meter status: what the head-end is told to expect, and the size of the alternate event log."""
    profile = now.profile
    expects = 1 << 2 if profile.since(3, 50) else 0  # ET42 tells of several load profile sets
    expects |= 1 << 6 if profile.energy_unit != 1 else 0
    expects |= 1 << 8 if profile.generation_4 else 0  # several MEP clients
    return fields(82, (0, "H", expects), (80, "H", profile.alternate_entries))


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


@basic(50)
def bt50(now: Moment) -> bytes:  # noqa: ARG001 - every meter the same
    """Calendar dimensions: four seasons, 10 and 20 dates, 48 tier switches, 240 bytes of calendar."""
    return struct.pack("<BBBBBHH", 0, 0, 4, 10, 20, 48, 240)


def weekday(at: int) -> int:
    """0 = Sunday."""
    return (at // 86_400_000 + 4) % 7


@basic(52)
def bt52(now: Moment) -> bytes:
    """The clock in UTC."""
    summer = 0x08 if utc_offset(now.at) == 120 else 0
    return long_time(now.at) + bytes((weekday(now.at) | summer | 0x10,))


@basic(55)
def bt55(now: Moment) -> bytes:
    """Local time, renewed each minute; tier in force, season."""
    minute = now.at // 60_000 * 60_000
    offset = utc_offset(minute)
    summer = 0x48 if offset == 120 else 0
    day = weekday(minute + offset * 60_000)
    return long_local_time(minute) + bytes((day | 0x20 | summer, now.tier, season(minute) << 4))


@basic(53)
def bt53(now: Moment) -> bytes:  # noqa: ARG001 - every meter the same
    """Zone: summer time begins at two o'clock and moves the clock by 60 minutes; local time is 60 minutes ahead."""
    return struct.pack("<BBBBh", 2, 0, 0, 60, 60)
