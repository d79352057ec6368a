"""What the registers were: BT24 at the end of the season, BT25 at the last demand reset, BT26 each month."""

from __future__ import annotations

import datetime
import struct

from nesgw.simulator.household import utc_offset
from nesgw.simulator.registers import SEASONS, season, short_local_time
from nesgw.simulator.tables.registers import register_data
from nesgw.simulator.tables.registry import Moment, basic, queue_header, ring

INSTALLED = 2023 * 12  # the month, counted from year 0, whose first was the first self-read


def month_of(at: int) -> int:
    """The month by local time, counted from year 0."""
    year, month, *_ = short_local_time(at)
    return (2000 + year) * 12 + month - 1


def begin_of(month: int) -> int:
    """Local midnight of a month's first."""
    midnight = datetime.datetime(month // 12, month % 12 + 1, 1, tzinfo=datetime.UTC)
    local = int(midnight.timestamp()) * 1000
    return local - utc_offset(local - 3_600_000) * 60_000


def snapshot(now: Moment, at: int, number: int, *, resets: bool = True) -> bytes:
    """Local time, season, registers."""
    return bytes((*short_local_time(at), number)) + register_data(now.profile, now.then(at), resets=resets)


@basic(24)
def bt24(now: Moment) -> bytes:
    """Previous season: taken in the moment it ended; a season is a quarter of a year."""
    month = month_of(now.at)
    last = (season(now.at) - 1) % SEASONS
    return snapshot(now, begin_of(month - month % 3), last, resets=now.profile.season_reset_byte)


@basic(25)
def bt25(now: Moment) -> bytes:
    """Previous demand reset: on the first of the month; all zeros where there never was one."""
    at = begin_of(month_of(now.at))
    if not now.profile.reset_count:
        return bytes(len(snapshot(now, at, 0)))
    return snapshot(now, at, season(at - 1))


def self_reads_taken(now: Moment) -> int:
    """How many there have ever been."""
    return max(month_of(now.at) - INSTALLED + 1, 0)


@basic(26)
def bt26(now: Moment) -> bytes:
    """Self-reads, on the first of each month; each with its number where there are demands."""
    profile = now.profile
    capacity = profile.actual.self_reads
    written = self_reads_taken(now)
    entries = []
    for number in range(max(written - capacity, 0), written):
        at = begin_of(INSTALLED + number)
        identity = struct.pack("<H", number + 1) if profile.actual.demands else b""
        entries.append((number, identity + snapshot(now, at, season(at - 1))))
    size = len(entries[0][1]) if entries else 0
    newest = (written - 1) % capacity if written else 0
    return queue_header(capacity, written, newest) + ring(capacity, size, entries)
