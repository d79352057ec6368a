"""What every table function shares: the ``Moment`` it is given, the list it enters, and ways of writing bytes."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nesgw.simulator.household import utc_offset
from nesgw.simulator.load_profile import LoadProfile
from nesgw.simulator.logbook import Log, Outage
from nesgw.simulator.profiles import Profile
from nesgw.simulator.registers import Truth
from nesgw.simulator.services import EVERYTHING

EXTENDED: Final = 2048


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a table can show: the meter's kind, its registers now and then, and what has happened to it."""

    profile: Profile
    at: int  # UTC by the meter's clock, ms
    tier: int
    truth: Truth
    serial: str
    alarms: bytes  # 13 bytes, BT03's form
    then: Callable[[int], Truth]  # the registers at an earlier time
    started: int  # when the simulation began, UTC ms
    events: Log = Log()  # noqa: RUF009 - frozen
    alternate: Log = Log()  # noqa: RUF009 - frozen
    outages: tuple[Outage, ...] = ()  # oldest first
    loads: tuple[LoadProfile, ...] = ()  # the data sets in use
    wanted: range = EVERYTHING  # the bytes of the table that are asked for: a large one leaves the others zero


Build = Callable[[Moment], bytes]
Condition = Callable[[Profile], bool]


@dataclass(frozen=True, slots=True)
class Table:
    """How to build a table, and which meters have it."""

    build: Build
    exists: Condition

    def __call__(self, now: Moment) -> bytes | None:
        """The whole table, or None where this meter has none."""
        return self.build(now) if self.exists(now.profile) else None


TABLES: Final[dict[int, Table]] = {}


def basic(number: int, exists: Condition = lambda _: True) -> Callable[[Build], Build]:
    """Register how BT ``number`` is built."""

    def register(build: Build) -> Build:
        TABLES[number] = Table(build, exists)
        return build

    return register


def extended(number: int, exists: Condition = lambda _: True) -> Callable[[Build], Build]:
    """Register how ET ``number`` is built."""
    return basic(EXTENDED + number, exists)


def since(major: int, minor: int) -> Condition:
    """For tables that came with a firmware."""
    return lambda profile: profile.since(major, minor)


def present_tables(profile: Profile) -> list[int]:
    """The numbers of the tables that such a meter has."""
    return sorted(number for number, table in TABLES.items() if table.exists(profile))


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


def long_local_time(at: int) -> bytes:
    """The same by local time."""
    return long_time(at + utc_offset(at) * 60_000)


def queue_header(capacity: int, written: int, newest: int) -> bytes:
    """The six bytes before self-reads, M-Bus readings and outages: all valid ones are unread."""
    valid = min(capacity, written)
    flags = 0x04 | (0x02 if written > capacity else 0)  # circular, overflow
    return struct.pack("<BBBHB", flags, valid, newest, written & 0xFFFF, valid)


def ring(capacity: int, size: int, entries: list[tuple[int, bytes]]) -> bytes:
    """Entries, numbered from 0 on for the first ever, at their places in a ring."""
    space = bytearray(capacity * size)
    for number, entry in entries:
        start = number % capacity * size
        space[start : start + len(entry)] = entry
    return bytes(space)
