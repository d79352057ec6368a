"""Registers as they stood before: the last self-read, the end of the last season, the last demand reset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from nesgw.meter.profile import Facts
from nesgw.tables.query import Query
from nesgw.tables.queues import look
from nesgw.tables.register import Part
from nesgw.tables.self_reads import (
    Snapshot,
    decode_self_reads,
    decode_snapshot,
    previous_demand_reset,
    previous_season,
    self_read_queue,
)


@dataclass(frozen=True, slots=True)
class SelfReads:
    """Each is None where the meter has none, or keeps it from this key."""

    self_read: Snapshot | None
    season: Snapshot | None
    demand_reset: Snapshot | None


def last_self_reads(facts: Facts, zone: tzinfo | None) -> Query[SelfReads]:
    """Read the newest of each kind; ``zone`` is the meter's, None if it is not known."""
    dimensions = facts.dimensions
    if not dimensions.actual:
        return SelfReads(None, None, None)
    return SelfReads(
        self_read=(yield from _self_read(facts, zone)),
        season=(yield from _snapshot(previous_season(dimensions), facts, zone)),
        demand_reset=(yield from _snapshot(previous_demand_reset(dimensions), facts, zone)),
    )


def _self_read(facts: Facts, zone: tzinfo | None) -> Query[Snapshot | None]:
    queue = self_read_queue(facts.dimensions)
    if queue is None or (yield queue.head) is None:
        return None
    new = yield from look(queue, facts.general.byteorder, most=1)
    return next(iter(decode_self_reads(new, facts.dimensions, facts.layout, zone)), None)


def _snapshot(part: Part, facts: Facts, zone: tzinfo | None) -> Query[Snapshot | None]:
    data = yield part
    return None if data is None else decode_snapshot(part, data, facts.dimensions, facts.layout, zone)
