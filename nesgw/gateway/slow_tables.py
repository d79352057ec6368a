"""What a meter is asked at its own slower pace: alarms, clock, logs, sub-meters. One read at a time, between polls.

Says what to read next and what was found; reads nothing itself. Whatever the meter lacks, or keeps from this key, is
asked for once and then left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol, TypeAlias

from nesgw.errors import KeyRefused, MeterBusy, MeterMisbehaved, TableNotPresent
from nesgw.gateway.schedule import Gap
from nesgw.meter.profile import Facts
from nesgw.meter.queries.alarms import active_alarms
from nesgw.meter.queries.clock import read_clock
from nesgw.meter.queries.demand import DemandLook
from nesgw.meter.queries.events import event_logs
from nesgw.meter.queries.outages import outage_log
from nesgw.meter.queries.sub_meters import (
    SubMetersFound,
    SubMeterTables,
    look_for_sub_meters,
    sub_meter_tables,
)
from nesgw.meter.reader import Reader, step
from nesgw.tables.event_log import Event, look_for_events
from nesgw.tables.interval_demand import Demand
from nesgw.tables.mbus import MbusReading
from nesgw.tables.outages import Outage, decode_outages
from nesgw.tables.query import PendingQuery, Query
from nesgw.tables.queues import Queue, look
from nesgw.tables.register import Part

# Seconds between two looks. Alarms are published soon; a clock drifts by seconds a day; sub-meters are read once an
# hour by the meter itself at the most.
ALARMS_EVERY: Final = 60.0
LOGS_EVERY: Final = 60.0
CLOCK_EVERY: Final = 600.0
SUB_METERS_EVERY: Final = 300.0
DEMAND_EVERY: Final = 3600.0  # at the longest: an interval of the load profile is mostly a quarter of an hour
AFTER_INTERVAL: Final = 3.0  # seconds that the meter takes to write one
SOON: Final = 10.0
HALF: Final = 0.5
_LOGS: Final = ("events", "outages")
# After nonsense a task rests: the same bytes will come again.
AFTER_NONSENSE: Final = 3600.0


class TimedReader(Reader, Protocol):
    """A reader that knows how long a read takes."""

    def seconds(self, part: Part) -> float:
        """How long that takes at the most, on a sound line."""


@dataclass(frozen=True, slots=True)
class AlarmsFound:
    """The alarms that are set now (BT03)."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriftFound:
    """How far the meter's clock is ahead of ours, in seconds; None if it was never set."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class EntriesFound:
    """New entries of a log, oldest first, and where the next look goes on."""

    log: str  # "events" or "outages": the bookmark's name
    entries: tuple[Event | Outage, ...]
    bookmark: int | None


@dataclass(frozen=True, slots=True)
class SubMeterFound:
    """What a water, heat or gas meter behind this one said last."""

    reading: MbusReading


@dataclass(frozen=True, slots=True)
class DemandFound:
    """The demand as it is now; None if the meter keeps no load profile that tells it."""

    demand: Demand | None


Found: TypeAlias = AlarmsFound | DriftFound | EntriesFound | SubMeterFound | DemandFound


@dataclass(frozen=True, slots=True)
class Bookmarks:
    """The newest entries of the logs that were published; None: nothing yet, so what is there now counts as old."""

    events: int | None = None
    outages: int | None = None


@dataclass(slots=True)
class _Task:
    name: str
    every: float
    begin: Callable[[], Query[list[Found]]]
    due: float = 0.0
    query: PendingQuery[list[Found]] | None = field(default=None)
    pause: Callable[[], float] | None = None  # until the next, where it is not always as long
    share: float = 1.0  # of a gap: what takes minutes leaves time to commands


class SlowTables:
    """The slow tasks of one meter. ``zone`` is this machine's time zone: used if the meter's clock agrees with it."""

    def __init__(
        self,
        facts: Facts,
        bookmarks: Bookmarks,
        *,
        zone: tzinfo | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        demand: DemandLook | None = None,
    ) -> None:
        self.facts = facts
        self.demand = demand or DemandLook(facts, zone, now)
        self.demand.facts = facts
        self.bookmarks = bookmarks
        self._byteorder = facts.general.byteorder
        self._remarks: list[str] = []
        self._machine_zone = zone
        self._now = now
        self._zone: tzinfo | None = None
        # How the tables are laid out is asked once.
        self._event_logs: tuple[Queue, ...] | None = None
        self._outage_log: Queue | None = None
        self._sub_meter_tables: SubMeterTables | None = None
        self._sub_meters_found: SubMetersFound | None = None
        self._tasks = [_Task("clock", CLOCK_EVERY, self._clock)]
        if facts.alarms:
            self._tasks.append(_Task("alarms", ALARMS_EVERY, self._alarms))
        if facts.logs:
            self._tasks.append(_Task("events", LOGS_EVERY, self._events))
        self._tasks += [
            _Task("outages", LOGS_EVERY, self._outages),
            _Task("sub-meters", SUB_METERS_EVERY, self._sub_meters),
        ]
        self._demand_task = _Task("demand", DEMAND_EVERY, self._demand, pause=self._until_next_interval)
        self._months = _Task(
            "months", DEMAND_EVERY, self._fill_months, due=math.inf, pause=lambda: math.inf, share=HALF
        )
        self._tasks += [self._demand_task, self._months]

    def run(self, reader: TimedReader, clock: Callable[[], float], gap: Gap, *, logs: bool = True) -> Iterator[Found]:
        """Read what is due, as long as each read will be over before the gap is; yield what was found.

        ``logs`` is False while nobody could be told of new entries: the meter keeps them. What is too long for the
        time that is left holds nothing else up. A table that is garbled or not ready ends the round, and perhaps the
        session with it; the others have their turn in the next.
        """
        too_long: set[str] = set()
        began = clock()
        while task := self._next(clock(), too_long, logs=logs):
            if task.query is None:
                task.query = PendingQuery(task.begin())
            part = task.query.wanted
            if part is not None:
                if not gap.only(task.share, began).has_room(reader.seconds(part), clock()):
                    too_long.add(task.name)
                    continue
                try:
                    step(task.query, reader)
                except (TableNotPresent, KeyRefused) as lacking:
                    if task is self._demand_task:
                        yield DemandFound(None)
                    self._remarks.append(f"{task.name}: not on this meter ({lacking.happened})")
                    task.query, task.due = None, math.inf
                    continue
                except MeterMisbehaved as nonsense:
                    self._remarks.append(f"{task.name}: {nonsense.happened}")
                    task.query, task.due = None, clock() + AFTER_NONSENSE
                    return
                except MeterBusy:
                    task.due = clock() + task.every  # it goes on from here then
                    return
            if task.query.wanted is None:
                for found in task.query.result:
                    if isinstance(found, EntriesFound):
                        self.bookmarks = replace(self.bookmarks, **{found.log: found.bookmark})
                    yield found
                task.query = None
                task.due = clock() + (task.pause() if task.pause else task.every)

    def take_remarks(self) -> list[str]:
        """Say what was found missing or senseless since the last call."""
        taken, self._remarks = self._remarks, []
        return taken

    def _next(self, now: float, too_long: set[str], *, logs: bool) -> _Task | None:
        due = [
            task
            for task in self._tasks
            if task.due <= now and task.name not in too_long and (logs or task.name not in _LOGS)
        ]
        return min(due, key=lambda task: task.due, default=None)

    # The tasks

    def _alarms(self) -> Query[list[Found]]:
        return [AlarmsFound((yield from active_alarms(self.facts)))]

    def _clock(self) -> Query[list[Found]]:
        found = yield from read_clock(self.facts, self._machine_zone, self._now)
        self._zone = found.zone
        return [DriftFound(found.drift)]

    def _demand(self) -> Query[list[Found]]:
        found = yield from self.demand.look()
        if not self.demand.is_filled and self._months.query is None and found.start is not None:
            self._months.due = 0.0
        return [DemandFound(found)]

    def _fill_months(self) -> Query[list[Found]]:
        yield from self.demand.fill()
        self._demand_task.due = 0.0  # say what they are
        return []

    def _until_next_interval(self) -> float:
        """Seconds until there is something new: soon after the interval; it may take a while to be there."""
        left = self.demand.seconds_to_next()
        return min(left + AFTER_INTERVAL, DEMAND_EVERY) if left > 0 else min(max(SOON, -left), SOON * 6)

    def _events(self) -> Query[list[Found]]:
        if self._event_logs is None:
            self._event_logs = yield from event_logs(self.facts)
        after = self.bookmarks.events
        new = yield from look_for_events(self._event_logs, self._byteorder, after, 0 if after is None else None)
        return [EntriesFound("events", new.events, new.bookmark)]

    def _outages(self) -> Query[list[Found]]:
        if self._outage_log is None:
            self._outage_log = yield from outage_log(self.facts)
            if self._outage_log is None:
                raise TableNotPresent(table="ET81")
        after = self.bookmarks.outages
        new = yield from look(self._outage_log, self._byteorder, after, 0 if after is None else None)
        return [EntriesFound("outages", decode_outages(new, self._zone), new.bookmark)]

    def _sub_meters(self) -> Query[list[Found]]:
        if self._sub_meter_tables is None:
            self._sub_meter_tables = yield from sub_meter_tables(self.facts)
        found = yield from look_for_sub_meters(self.facts, self._sub_meter_tables, self._zone, self._sub_meters_found)
        self._sub_meters_found = found
        return [SubMeterFound(each.reading) for each in found.sub_meters if each.reading is not None]
