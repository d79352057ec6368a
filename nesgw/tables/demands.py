"""Maximum demands: the records that follow the summations in BT23, on meters that keep any.

BT22 says which power each of them is the maximum of. Times are as the meter writes them, in a zone that the guides do
not name. Source: OPG and MEPG, BT21, BT22, BT23.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nesgw.tables.dimensions import Dimensions
from nesgw.tables.identity import ByteOrder
from nesgw.tables.load_profile import Channel
from nesgw.tables.register import Part
from nesgw.tables.times import decode_local
from nesgw.values import Number


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand of the totals; of several occurrences the first."""

    channel: Channel
    value: Number
    time: datetime | None
    cumulative: Number | None
    continuous: Number | None


def demand_sources(dimensions: Dimensions) -> Part:
    """The sources of the demands in BT22, which come after those of the summations."""
    return Part("BT22", 22, dimensions.summations, dimensions.demands)


def demand_records(dimensions: Dimensions) -> Part:
    """The records of the totals in BT23."""
    start = dimensions.totals + dimensions.demand_offset
    return Part("BT23", 23, start, dimensions.demands * dimensions.demand_record)


def decode_demands(
    data: bytes, dimensions: Dimensions, channels: Sequence[Channel], byteorder: ByteOrder
) -> tuple[Demand, ...]:
    """Decode the records: times, cumulative, continuous cumulative, values; what is not kept takes no space."""
    data = demand_records(dimensions).whole(data)
    demands = []
    for index, channel in enumerate(channels):
        record = data[index * dimensions.demand_record :][: dimensions.demand_record]
        numbers = [
            channel.value(int.from_bytes(record[at : at + 4], byteorder, signed=True))
            for at in range(_times(dimensions), dimensions.demand_record, 4)
        ]
        cumulative = numbers.pop(0) if dimensions.cumulative_demand else None
        continuous = numbers.pop(0) if dimensions.continuous_demand else None
        time = decode_local(record[:5]) if dimensions.demand_time else None
        demands.append(Demand(channel, numbers[0], time, cumulative, continuous))
    return tuple(demands)


def _times(dimensions: Dimensions) -> int:
    return 5 * dimensions.occurrences if dimensions.demand_time else 0
