"""Power outages: ET81, the log of newer meters, in local time; ET09, the list that every meter keeps, in UTC.

Sources: OPG and MEPG, ET04, ET09, ET36, ET81.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Final, NamedTuple

from nesgw.tables.identity import ByteOrder
from nesgw.tables.queues import LogSize, NewEntries, Queue
from nesgw.tables.register import EXTENDED, Part
from nesgw.tables.times import decode_local, decode_utc

ET04_OUTAGES: Final = Part("ET04", EXTENDED + 4, 53, 1)  # how many records ET09 has
ET81: Final = EXTENDED + 81  # from 3.70 on, if ET36 gives it any entries

RECORD: Final = 18  # bytes of ET09
ENTRY: Final = 12  # bytes of ET81
CAUSES: Final[Mapping[int, str]] = MappingProxyType({3: "power_failure", 8: "brown_out"})


class Outage(NamedTuple):
    """One outage. Times are UTC, or local without a zone where the meter keeps local time and its zone is unknown."""

    start: datetime | None
    end: datetime | None
    duration_s: int | None
    cause: str | None
    log: str  # "ET81" or "ET09"
    sequence: int | None  # ET81 numbers its entries; those of ET09 are told apart by their start


def outage_queue(sizes: Mapping[int, LogSize]) -> Queue | None:
    """ET81 as ET36 describes it; None where that log is not set up. To be read with ``queues.look``."""
    size = sizes.get(ET81)
    return Queue("ET81", ET81, size.entries, size.entry) if size and size.entry >= ENTRY else None


def decode_outages(found: NewEntries, zone: tzinfo | None = None) -> tuple[Outage, ...]:
    """ET81: oldest first. Across a change of daylight saving the duration is right only with the zone."""
    outages = []
    for sequence, data in found.entries:
        start, end = decode_local(data[:6], zone), decode_local(data[6:12], zone)
        duration = round((end - start).total_seconds()) if start and end else None
        if duration is not None and duration < 0:
            duration = None
        outages.append(Outage(start, end, duration, None, "ET81", sequence))
    return tuple(outages)


def outage_list(count: int) -> Part:
    """ET09's records; ``count`` is ET04.53, usually 10."""
    return Part("ET09", EXTENDED + 9, 6, count * RECORD)


def decode_outage_list(data: bytes, byteorder: ByteOrder) -> tuple[Outage, ...]:
    """ET09, oldest first; records that were never used are left out."""
    records = [data[at : at + RECORD] for at in range(0, len(data) - RECORD + 1, RECORD)]
    return tuple(
        Outage(
            start=decode_utc(record[8:14]),
            end=decode_utc(record[0:6]),
            duration_s=int.from_bytes(record[14:18], byteorder),
            cause=CAUSES.get(record[6], f"cause_{record[6]}"),
            log="ET09",
            sequence=None,
        )
        for record in reversed(records)
        if decode_utc(record[0:6])
    )
