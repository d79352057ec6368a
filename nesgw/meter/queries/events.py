"""The event logs: which the meter keeps, and their entries. What is new is decided in ``tables/event_log.py``."""

from __future__ import annotations

from nesgw.errors import TableNotPresent
from nesgw.meter.profile import Facts
from nesgw.tables.event_log import (
    BT70,
    BT71,
    ET54_ALTERNATE,
    Event,
    decode_alternate_entries,
    decode_log_dimensions,
    event_queues,
    look_for_events,
)
from nesgw.tables.firmware import ALTERNATE_LOG, knows
from nesgw.tables.query import Query, ask
from nesgw.tables.queues import Queue


def event_logs(facts: Facts) -> Query[tuple[Queue, ...]]:
    """Return the logs that the meter keeps; where it has no BT71, the maxima of BT70 serve."""
    byteorder = facts.general.byteorder
    part, data = BT71, (yield BT71)
    if data is None:
        part, data = BT70, (yield from ask(BT70))
    dimensions = decode_log_dimensions(data, byteorder, part)
    alternate = (yield ET54_ALTERNATE) if knows(facts.identity.firmware, ALTERNATE_LOG) else None
    return event_queues(dimensions, 0 if alternate is None else decode_alternate_entries(alternate, byteorder))


def last_events(facts: Facts, most: int) -> Query[tuple[Event, ...]]:
    """Read the newest entries of both logs, oldest first."""
    logs = yield from event_logs(facts)
    return (yield from look_for_events(logs, facts.general.byteorder, most=most)).events


def newest_event(facts: Facts) -> Query[int | None]:
    """Return the sequence number of the newest entry; None where no log can be read."""
    try:
        logs = yield from event_logs(facts)
    except TableNotPresent:
        return None
    numbers = []
    for log in logs:
        if (head := (yield log.head)) is not None:
            numbers.append(log.decode_head(head, facts.general.byteorder).sequence)
    return max(numbers, default=None)
