"""Power outages: ET81 where the meter keeps it, else the list in ET09 that every meter has."""

from __future__ import annotations

from datetime import tzinfo

from nesgw.meter.profile import Facts
from nesgw.tables.outages import ET04_OUTAGES, Outage, decode_outage_list, decode_outages, outage_list, outage_queue
from nesgw.tables.query import Query, ask
from nesgw.tables.queues import ET36, Queue, decode_log_sizes, look


def outage_log(facts: Facts) -> Query[Queue | None]:
    """Return the log of outages (ET81); None where the meter does not keep it."""
    sizes = yield ET36
    return None if sizes is None else outage_queue(decode_log_sizes(sizes, facts.general.byteorder))


def last_outages(facts: Facts, most: int, zone: tzinfo | None) -> Query[tuple[Outage, ...]]:
    """Read the newest outages, oldest first; ``zone`` is the meter's, None if it is not known."""
    byteorder = facts.general.byteorder
    log = yield from outage_log(facts)
    if log is not None:
        return decode_outages((yield from look(log, byteorder, most=most)), zone)
    count = (yield from ask(ET04_OUTAGES))[0]
    return decode_outage_list((yield from ask(outage_list(min(count, most)))), byteorder)
