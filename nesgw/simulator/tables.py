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
from nesgw.simulator.load_profile import LoadProfile
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
    load: LoadProfile | None = None


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


@basic(53)
def bt53(now: Moment) -> bytes:  # noqa: ARG001 - every meter the same
    """Zone: summer time begins at two o'clock and moves the clock by 60 minutes; local time is 60 minutes ahead."""
    return struct.pack("<BBBBh", 2, 0, 0, 60, 60)


# --- load profile --------------------------------------------------------------------------------------------------


def _sets(now: Moment) -> int:
    return 4 if now.profile.since(3, 50) else 1


@basic(60)
def bt60(now: Moment) -> bytes | None:
    """Load profile dimensions, maxima."""
    return bt61(now)


@basic(61)
def bt61(now: Moment) -> bytes | None:
    """Load profile dimensions, actual: only the first data set is in use."""
    if now.load is None:
        return None
    profile, load = now.profile, now.load
    memory = load.block_size * profile.load_blocks
    head = struct.pack("<IHB", memory, 1 << 10 | 1 << 11, 1 << 5)
    first = struct.pack(
        "<HHBB", profile.load_blocks, load.intervals, len(profile.load_channels), profile.load_minutes
    )
    return head + first + bytes(6 * (_sets(now) - 1))


@basic(62)
def bt62(now: Moment) -> bytes | None:
    """Load profile control: the channels' sources and the format."""
    if now.load is None:
        return None
    channels = b"".join(bytes((0, source, 0)) for source in now.profile.load_channels)
    return channels + bytes((32,)) + bytes((32,)) * (_sets(now) - 1)


@basic(63)
def bt63(now: Moment) -> bytes | None:
    """Load profile status: where the newest block is and how full."""
    if now.load is None:
        return None
    load = now.load
    flags = 1 << 1 | 1 << 2 | 1 << 5  # overflow, circular, active
    blocks = now.profile.load_blocks
    first = struct.pack(
        "<BHHIHH", flags, blocks, load.newest_block(now.at), load.sequence(now.at), blocks, load.valid(now.at)
    )
    return first + bytes(13 * (_sets(now) - 1))


@basic(64)
def bt64(now: Moment) -> bytes | None:
    """Load profile data of the first set."""
    return None if now.load is None else now.load.image(now.at)


@extended(21)
def et21(now: Moment) -> bytes | None:
    """Internal configuration of the load profile, first set."""
    if now.load is None:
        return None
    load, profile = now.load, now.profile
    channels = profile.load_channels
    return fields(
        131,
        *((8, "I", load.block_size), (12, "H", load.header_size)),
        *((14, "H", profile.load_blocks), (16, "H", load.valid(now.at)), (18, "H", load.newest_block(now.at))),
        *((20, "H", load.valid(now.at) - 1), (22, "B", 5), (23, "B", load.header_size - 5)),
        *((24, "B", load.header_size), (25, "B", load.interval_size), (26, "B", len(channels) // 2 + 1)),
        *((28, "B", len(channels)), (29, "B", profile.load_minutes), (30, "8s", bytes(channels[:8]))),
        *((70, "8s", bytes(channels[8:])), (94, "6s", long_time(load.end(now.at)))),
        (107, "I", load.block_size * profile.load_blocks),
    )


@extended(66)
def et66(now: Moment) -> bytes:  # noqa: ARG001 - no source is mapped
    """Extended source ids: none."""
    return bytes(4 * 16 * 2)


# --- sub-meters ----------------------------------------------------------------------------------------------------


def _devices(now: Moment) -> int:
    return 6 if now.profile.generation_4 else 5


@extended(11)
def et11(now: Moment) -> bytes:
    """M-Bus dimensions."""
    head = struct.pack("<BBBBBHHHBBB", _devices(now), 66, 36, 5, 6, 517, 769, 1785, 25, 16, 22)
    return head.ljust(34, b"\0") + bytes((2,)) if now.profile.generation_4 else head.ljust(28, b"\0")


@extended(14)
def et14(now: Moment) -> bytes:
    """M-Bus status."""
    meters = now.profile.sub_meters
    head = bytes(5) + bytes(((1 << len(meters)) - 1,))
    entries = b""
    for index, telegram in enumerate(meters):
        length = 6 + len(bytes.fromhex(telegram))
        local = long_time(_billing_time(now))
        entries += fields(
            36,
            *((0, "H", index + 1), (2, "B", 1), (3, "B", 4), (4, "H", length), (6, "I", 100), (10, "I", 100)),
            *((14, "H", 1), (24, "6s", local), (30, "6s", local)),
        )
    return head + entries.ljust(36 * _devices(now), b"\0")


@extended(16)
def et16(now: Moment) -> bytes:
    """M-Bus data: local time of the last read, then the telegram."""
    entries = b""
    for telegram in now.profile.sub_meters:
        entries += (long_time(_billing_time(now)) + bytes.fromhex(telegram)).ljust(517, b"\0")
    return entries.ljust(517 * _devices(now), b"\0")


def _billing_time(now: Moment) -> int:
    """The sub-meters were read at the last full hour, by local time."""
    return now.at // 3_600_000 * 3_600_000 + utc_offset(now.at) * 60_000


@extended(51)
def et51(now: Moment) -> bytes | None:
    """MEP configuration: the optical port's denial-of-service timer, where the MEP port shares its line."""
    profile = now.profile
    if profile.mep_first_packet == "off" or profile.generation_4:
        return None
    limit, hold_off = int(profile.session_limit) or 600, int(profile.hold_off)
    return struct.pack("<BHBHHBB", 1 if profile.session_limit else 0, 60, 30, limit, hold_off, 0, 0)


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
