"""Everything that a meter says beside its values, one query after the other: for ``read --all`` and ``dump``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, TypeVar

from nesgw.errors import MeterMisbehaved, TableNotPresent
from nesgw.meter.profile import Facts
from nesgw.meter.queries.alarms import active_alarms
from nesgw.meter.queries.clock import ClockFound, local_zone, read_clock, read_tariff
from nesgw.meter.queries.demands import maximum_demands
from nesgw.meter.queries.events import last_events
from nesgw.meter.queries.outages import last_outages
from nesgw.meter.queries.self_reads import SelfReads, last_self_reads
from nesgw.meter.queries.sub_meters import SubMeter, last_sub_meters, sub_meter_schedule
from nesgw.tables.clock import LocalClock
from nesgw.tables.demands import Demand
from nesgw.tables.event_log import Event
from nesgw.tables.mbus import ReadPlan
from nesgw.tables.outages import Outage
from nesgw.tables.query import Query

LAST_ENTRIES: Final = 5  # of each log

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Everything:
    """Each is None where the meter has no such table, keeps it from this key, or says nonsense there.

    ``remarks`` has a sentence for each nonsense.
    """

    clock: ClockFound | None
    tariff: LocalClock | None
    alarms: tuple[str, ...] | None
    demands: tuple[Demand, ...] | None
    sub_meters: tuple[SubMeter, ...] | None
    schedule: tuple[ReadPlan, ...] | None  # of the M-Bus channels
    outages: tuple[Outage, ...] | None
    events: tuple[Event, ...] | None
    self_reads: SelfReads | None
    remarks: tuple[str, ...]


def everything(
    facts: Facts, machine: tzinfo | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Query[Everything]:
    """Ask all there is to ask; what fails takes nothing else with it. ``machine`` is this machine's time zone."""
    remarks: list[str] = []
    clock = yield from _if_there(read_clock(facts, machine, now), remarks)
    zone = clock.zone if clock else None
    return Everything(
        clock=clock,
        tariff=(yield from _if_there(read_tariff(facts), remarks)),
        alarms=(yield from _if_there(active_alarms(facts), remarks)),
        demands=(yield from _if_there(maximum_demands(facts), remarks)),
        sub_meters=(yield from _if_there(last_sub_meters(facts, zone), remarks)),
        schedule=(yield from _if_there(sub_meter_schedule(facts), remarks)),
        outages=(yield from _if_there(last_outages(facts, LAST_ENTRIES, zone), remarks)),
        events=(yield from _if_there(last_events(facts, LAST_ENTRIES), remarks)),
        self_reads=(yield from _if_there(last_self_reads(facts, zone), remarks)),
        remarks=tuple(remarks),
    )


def last_log_entries(facts: Facts, most: int, machine: tzinfo | None) -> Query[tuple[Event | Outage, ...]]:
    """Read the newest entries of the event logs and of the outages together, oldest first.

    Raises MeterMisbehaved for nonsense in either.
    """
    zone = yield from local_zone(facts, machine)
    entries: list[Event | Outage] = []
    for query in (last_events(facts, most), last_outages(facts, most, zone)):
        try:
            entries += yield from query
        except TableNotPresent:
            continue
    return tuple(sorted(entries, key=_moment)[-most:])


def _if_there(query: Query[T], remarks: list[str]) -> Query[T | None]:
    try:
        return (yield from query)
    except TableNotPresent:
        return None
    except MeterMisbehaved as nonsense:
        remarks.append(nonsense.happened)
        return None


def _moment(entry: Event | Outage) -> float:
    """For the order only, so a time without a zone may count as this machine's."""
    time = entry.time if isinstance(entry, Event) else entry.end or entry.start
    return time.timestamp() if time else 0.0
