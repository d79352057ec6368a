"""Water, heat and gas meters behind the meter: the later of what ET16 and ET45 hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from nesgw.meter.profile import Facts
from nesgw.tables.mbus import (
    CHANNELS,
    ET11,
    MbusDevice,
    MbusDimensions,
    MbusReading,
    ReadPlan,
    decode_devices,
    decode_latest,
    decode_mbus_dimensions,
    decode_queued,
    decode_read_plan,
    mbus_queue,
)
from nesgw.tables.query import Query, ask
from nesgw.tables.queues import ET36, Queue, decode_log_sizes, look
from nesgw.tables.register import Part, nonsense


@dataclass(frozen=True, slots=True)
class SubMeterTables:
    """Where the meter keeps its devices; ``queue`` is ET45, None where that is not set up."""

    dimensions: MbusDimensions
    queue: Queue | None


@dataclass(frozen=True, slots=True)
class SubMeter:
    """One device and its latest reading, if it has any."""

    device: MbusDevice
    reading: MbusReading | None


@dataclass(frozen=True, slots=True)
class SubMetersFound:
    """All devices; what was read of ET45 stays for the next look, which reads only what is new there."""

    sub_meters: tuple[SubMeter, ...] = ()
    queued: Mapping[int, MbusReading] = field(default_factory=dict)  # the newest of ET45, by the device's handle
    bookmark: int | None = None


def sub_meter_tables(facts: Facts) -> Query[SubMeterTables]:
    """Ask once how the tables of the devices are laid out."""
    byteorder = facts.general.byteorder
    dimensions = decode_mbus_dimensions((yield from ask(ET11)), byteorder)
    sizes = (yield ET36) if dimensions.devices else None
    return SubMeterTables(dimensions, None if sizes is None else mbus_queue(decode_log_sizes(sizes, byteorder)))


def look_for_sub_meters(
    facts: Facts, tables: SubMeterTables, zone: tzinfo | None, before: SubMetersFound | None = None
) -> Query[SubMetersFound]:
    """Read each device's latest telegram; ``zone`` is the meter's, None if it is not known.

    Which of ET16 and ET45 is used the utility decides.
    """
    byteorder, dimensions, queue = facts.general.byteorder, tables.dimensions, tables.queue
    before = before or SubMetersFound()
    devices = decode_devices((yield from ask(dimensions.statuses)), dimensions, byteorder, zone)
    queued, bookmark = dict(before.queued), before.bookmark
    if queue and devices:
        new = yield from look(queue, byteorder, bookmark, len(devices) if bookmark is None else None)
        bookmark = new.bookmark
        queued |= {each.handle: each for each in decode_queued(new, byteorder, zone)}
    found = []
    for device in devices:
        part = dimensions.latest(device) if device.mbus else None
        data = (yield from _twice(part)) if part else None
        latest = decode_latest(device, data, zone) if data else None
        readings = [each for each in (latest, queued.get(device.handle)) if each is not None]
        found.append(SubMeter(device, max(readings, key=_moment, default=None)))
    return SubMetersFound(tuple(found), queued, bookmark)


def last_sub_meters(facts: Facts, zone: tzinfo | None) -> Query[tuple[SubMeter, ...]]:
    """Return every device with its latest reading."""
    tables = yield from sub_meter_tables(facts)
    return (yield from look_for_sub_meters(facts, tables, zone)).sub_meters


def sub_meter_schedule(facts: Facts) -> Query[tuple[ReadPlan, ...]]:
    """Return when the utility has each M-Bus channel read; empty for a meter without channels.

    Where an entry of ET13 ends its device's key begins, so its length is asked for twice.
    """
    byteorder = facts.general.byteorder
    data = yield from ask(ET11)
    if data != (yield from ask(ET11)):
        raise nonsense(ET11.name, "two different answers")
    dimensions = decode_mbus_dimensions(data, byteorder)
    plans = []
    for index in range(min(dimensions.devices, CHANNELS)):
        part = dimensions.read_plan(index)
        plans.append(decode_read_plan(part, (yield from ask(part)), byteorder))
    return tuple(plans)


def _moment(reading: MbusReading) -> float:
    """When it was read; for the order only, so a time without a zone may count as UTC."""
    return reading.time.replace(tzinfo=UTC).timestamp() if reading.time else 0.0


def _twice(part: Part) -> Query[bytes | None]:
    """Ask twice: no rule knows what a sub-meter may say, and a corrupted byte would make another device of it."""
    first = yield from ask(part)
    return first if first == (yield from ask(part)) else None
