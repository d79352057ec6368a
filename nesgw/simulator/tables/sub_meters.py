"""Sub-meters: ET11 (dimensions), ET13 (configuration), ET14 (status), ET16 and ET45 (data), ET51, ET57."""

from __future__ import annotations

import struct
from typing import Final

from nesgw.simulator.profiles import Profile
from nesgw.simulator.sub_meters import FIRST_READ, SubMeter, last_night
from nesgw.simulator.tables.registry import (
    Moment,
    extended,
    fields,
    long_local_time,
    queue_header,
    ring,
    since,
)

CONFIGURATION_SIZE: Final = 66
STATUS_SIZE: Final = 36
DATA_SIZE: Final = 517
READING_SIZE: Final = 8 + DATA_SIZE
RECORDS: Final = 16
MEP: Final = 4  # the first MEP client's index
DAY: Final = 86_400_000
FIRST_NIGHT: Final = 20_000  # the day, since 1970, on which ET45 began
MEP_DATA: Final = bytes.fromhex("01 00 04 00 de ad be ef")  # read count, length, what the client left


def _devices(profile: Profile) -> int:
    return 6 if profile.generation_4 else 5


def _entries(now: Moment) -> list[SubMeter | None]:
    """A sub-meter or None for each of the indexes 0 to 3."""
    meters = now.profile.sub_meters
    return [*meters, *[None] * (MEP - len(meters))]


def _first_read(now: Moment, meter: SubMeter) -> int:
    """When ET16 was written."""
    if not meter.nightly:
        return meter.read_at(now.at)
    return (now.started - FIRST_READ) // 3_600_000 * 3_600_000


@extended(11, since(2, 10))
def et11(now: Moment) -> bytes:
    """M-Bus dimensions, as long as the firmware knows them."""
    profile = now.profile
    image = struct.pack(
        "<BBBBBHHHBBB14B",
        *(_devices(profile), CONFIGURATION_SIZE, STATUS_SIZE, 5, 6, DATA_SIZE, 769, 1785, 25, 16, 22),
        *(3, 4, 17, 17),
        *(10, 10, 65, 120, 6, 10, 10),
        *(RECORDS, 80, 10),
    )
    if profile.since(3, 50):
        image += struct.pack("<HH", 261, 769)
    if profile.generation_4:
        image += struct.pack("<BBBBHB", 6, 7, 2, 10, 1250, 3)
    return image


@extended(13, since(2, 10))
def et13(now: Moment) -> bytes:
    """Configuration: when a device is read, and whether it has a key; of the key itself nothing."""
    image = b""
    for meter in _entries(now):
        if meter is None:
            image += fields(CONFIGURATION_SIZE, (0, "B", 39), (3, "B", 4))  # off, never
            continue
        minute, schedule = (5, 1) if meter.nightly else (0, 0)  # daily or hourly
        image += fields(
            CONFIGURATION_SIZE,
            *((0, "B", 1), (1, "B", 0), (2, "B", minute), (3, "B", schedule), (4, "H", 60), (6, "B", 4)),
            *((7, "B", 0xFF), (8, "20s", b"CUSTOMER"), (29, "B", meter.key_length)),
        )
    return image.ljust(CONFIGURATION_SIZE * _devices(now.profile), b"\0")


@extended(14, since(2, 10))
def et14(now: Moment) -> bytes:
    """Status: who is there, how long its entry in ET16 is, when it was read."""
    occupied = 0
    entries = b""
    for index, meter in enumerate(_entries(now)):
        if meter is None:
            entries += bytes(STATUS_SIZE)
            continue
        occupied |= 1 << index
        last = long_local_time(meter.read_at(now.at))
        entries += fields(
            STATUS_SIZE,
            *((0, "H", index + 1), (2, "B", 1 if meter.up else 2), (3, "B", 4)),
            *((4, "H", 6 + len(meter.reading(now.at, now.started))), (6, "I", 1000), (10, "I", 998)),
            *((14, "H", meter.alarms), (16, "B", index + 1 if now.profile.since(4, 30) else 0)),
            *((23, "B", meter.device_alarms), (24, "6s", last), (30, "6s", last)),
        )
    if now.profile.mep_client:
        occupied |= 1 << MEP
        entries += fields(STATUS_SIZE, (0, "H", 1000), (2, "B", 3), (4, "H", 7 + len(MEP_DATA)))
    return bytes(5) + bytes((occupied,)) + entries.ljust(STATUS_SIZE * _devices(now.profile), b"\0")


@extended(16, since(2, 10))
def et16(now: Moment) -> bytes:
    """Data: local time of the last read, then what was read; of a device read nightly its first reading."""
    image = b""
    for meter in _entries(now):
        entry = b""
        if meter is not None:
            at = _first_read(now, meter)
            entry = long_local_time(at) + meter.reading(at, now.started)
        image += entry.ljust(DATA_SIZE, b"\0")
    if now.profile.mep_client:
        image += long_local_time(now.at // DAY * DAY) + b"\0" + MEP_DATA
    return image.ljust(DATA_SIZE * _devices(now.profile), b"\0")


@extended(45, since(2, 10))
def et45(now: Moment) -> bytes:
    """Scheduled readings, one a night for each device that has them kept here."""
    capacity = now.profile.reading_entries
    nightly = [(index, meter) for index, meter in enumerate(_entries(now)) if meter is not None and meter.nightly]
    if not capacity or not nightly:
        return queue_header(capacity, 0, 0) + bytes(capacity * READING_SIZE)
    night = last_night(now.at)
    last = (night // DAY - FIRST_NIGHT + 1) * len(nightly)
    entries = []
    for number in range(last - 1, max(last - capacity, 0) - 1, -1):
        index, meter = nightly[number % len(nightly)]
        data = meter.reading(night, now.started)
        body = struct.pack("<HBB", index + 1, 0, 4) + long_local_time(night) + data
        entries.append((number, struct.pack("<HH", len(body), 0) + body))
        if number % len(nightly) == 0:
            night = last_night(night - 1)
    return queue_header(capacity, last, (last - 1) % capacity) + ring(capacity, READING_SIZE, entries)


@extended(57, since(2, 10))
def et57(now: Moment) -> bytes:
    """Data records that extended sources name: kind M-Bus, its number, its header."""
    return data_records(now.profile).ljust(4 * RECORDS, b"\0")


def data_records(profile: Profile) -> bytes:
    """The entries that are in use."""
    return b"".join(bytes((1 | number << 2,)) + bytes.fromhex(header) for number, header in profile.data_records)


@extended(51, lambda profile: profile.mep_first_packet != "off" and not profile.generation_4)
def et51(now: Moment) -> bytes:
    """MEP configuration: the optical port's denial-of-service timer, where the MEP port shares its line."""
    profile = now.profile
    limit, hold_off = int(profile.session_limit) or 600, int(profile.hold_off)
    return struct.pack("<BHBHHBB", 1 if profile.session_limit else 0, 60, 30, limit, hold_off, 0, 0)
