"""Logs: BT70, BT71, BT74, and ET09 (outages), ET36 (dimensions), ET79 (alternate events), ET81 (power outage log)."""

from __future__ import annotations

import struct
from typing import Final

from nesgw.simulator.logbook import Log
from nesgw.simulator.tables.registry import (
    EXTENDED,
    Moment,
    basic,
    extended,
    long_local_time,
    long_time,
    queue_header,
    ring,
    since,
)
from nesgw.simulator.tables.sub_meters import READING_SIZE

ARGUMENT: Final = 2
OLD_OUTAGES: Final = 10
OUTAGE_SIZE: Final = 12
OTHER_LOGS: Final = (31, 32, 38, 41)  # not kept, like ET75


def _log_dimensions(now: Moment) -> bytes:
    return struct.pack("<BBBBBHH", 0b0000_0110, 8, 19, 2, ARGUMENT, now.profile.event_entries, 0)


@basic(70)
def bt70(now: Moment) -> bytes:
    """Dimensions of the logs, maxima."""
    return _log_dimensions(now)


@basic(71, lambda profile: profile.has_actual)
def bt71(now: Moment) -> bytes:
    """Dimensions of the logs, actual."""
    return _log_dimensions(now)


@basic(74)
def bt74(now: Moment) -> bytes:
    """The event log."""
    return _event_log(now.events, now.profile.event_entries)


@extended(79, since(3, 70))
def et79(now: Moment) -> bytes:
    """The alternate event log; without entries where it is not configured."""
    return _event_log(now.alternate, now.profile.alternate_entries)


def _event_log(log: Log, capacity: int) -> bytes:
    """A header and a ring of records; the sequence number is of the newest entry."""
    overflow = 0x02 if log.written > capacity else 0
    newest, sequence = ((log.written - 1) % capacity, log.entries[-1].sequence) if log.entries else (0, 0)
    valid = len(log.entries)
    oldest = log.written - valid
    records = [
        (
            oldest + number,
            long_time(event.at)
            + struct.pack("<HHH", event.sequence & 0xFFFF, event.user, event.number)
            + event.argument,
        )
        for number, event in enumerate(log.entries)
    ]
    header = struct.pack("<BHHIH", 0x04 | overflow, valid, newest, sequence, valid)
    return header + ring(capacity, 12 + ARGUMENT, records)


@extended(9)
def et09(now: Moment) -> bytes:
    """Outages, the newest first, in UTC."""
    records = b""
    for outage in now.outages[: -OLD_OUTAGES - 1 : -1]:
        seconds = (outage.end - outage.begin) // 1000
        records += long_time(outage.end) + bytes((outage.cause, 0)) + long_time(outage.begin)
        records += struct.pack("<I", seconds)
    return bytes(6) + records.ljust(18 * OLD_OUTAGES, b"\0")


@extended(81, since(3, 70))
def et81(now: Moment) -> bytes:
    """The power outage log, in local time; a header alone where it is not configured."""
    capacity = now.profile.outage_entries
    written = len(now.outages) if capacity else 0
    entries = [
        (number, long_local_time(outage.begin) + long_local_time(outage.end))
        for number, outage in enumerate(now.outages)
        if written - capacity <= number < written
    ]
    newest = (written - 1) % capacity if written else 0
    return queue_header(capacity, written, newest) + ring(capacity, OUTAGE_SIZE, entries)


def log_list(now: Moment) -> list[tuple[int, int, int, int]]:
    """Of ET36's logs: number, size of an entry, entries kept, flags."""
    profile = now.profile
    return [
        *((number, 0, 0, 0) for number in OTHER_LOGS),
        (45, READING_SIZE, profile.reading_entries, 1),  # each entry begins with its length
        (75, 0, 0, 0),
        (81, OUTAGE_SIZE, profile.outage_entries if profile.since(3, 70) else 0, 0),
    ]


@extended(36)
def et36(now: Moment) -> bytes:
    """Dimensions of the logs in extended tables."""
    logs = log_list(now)
    image = bytes((len(logs),))
    for number, size, entries, flags in logs:
        image += struct.pack("<HHHHB", EXTENDED | number, size, entries, entries, flags) + bytes(8)
    return image
