"""What a meter is asked at its own slower pace: alarms, clock, logs, sub-meters. One read at a time, between polls.

Says what to read next and what was found; reads nothing itself. Whatever the meter lacks, or keeps from this key, is
asked for once and then left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Final, TypeAlias

from nesgw.errors import KeyRefused, MeterBusy, MeterMisbehaved, TableNotPresent
from nesgw.meter.session import Facts
from nesgw.tables.alarms import AlarmTable
from nesgw.tables.clock import BT52, BT55, decode_clock, decode_local_clock
from nesgw.tables.event_log import (
    BT71,
    ET54_ALTERNATE,
    Event,
    decode_alternate_entries,
    decode_log_dimensions,
    event_queues,
    look_for_events,
)
from nesgw.tables.mbus import (
    ET11,
    MbusDimensions,
    MbusReading,
    decode_devices,
    decode_latest,
    decode_mbus_dimensions,
    decode_queued,
    mbus_queue,
)
from nesgw.tables.outages import Outage, decode_outages, outage_queue
from nesgw.tables.query import PendingQuery, Query, ask
from nesgw.tables.queues import ET36, Queue, decode_log_sizes, look
from nesgw.tables.register import Part
from nesgw.values import Firmware

# Seconds between two looks. Alarms are told soon; a clock drifts by seconds a day; sub-meters are read once an hour
# by the meter itself at the most.
ALARMS_EVERY: Final = 60.0
LOGS_EVERY: Final = 60.0
CLOCK_EVERY: Final = 600.0
SUB_METERS_EVERY: Final = 300.0
_LOGS: Final = ("events", "outages")
# After nonsense a task rests: the same bytes will come again.
AFTER_NONSENSE: Final = 3600.0

# A read takes its bytes' time, the overhead of packets and answers, and a few turn-arounds.
_OVERHEAD: Final = 1.3
_FRAME: Final = 60
_TURN_AROUNDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class AlarmsFound:
    """The alarms that are set now (BT03)."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriftFound:
    """How far the meter's clock is ahead of ours, in seconds; None if it was never set."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class EventsFound:
    """New entries of a log, oldest first, and where the next look goes on."""

    log: str  # "events" or "outages": the bookmark's name
    entries: tuple[Event | Outage, ...]
    bookmark: int | None


@dataclass(frozen=True, slots=True)
class SubMeterFound:
    """What a water, heat or gas meter behind this one told last."""

    reading: MbusReading


Finding: TypeAlias = AlarmsFound | DriftFound | EventsFound | SubMeterFound


@dataclass(frozen=True, slots=True)
class Bookmarks:
    """The newest entries of the logs that were published; None: nothing yet, so what is there now counts as old."""

    events: int | None = None
    outages: int | None = None


@dataclass(slots=True)
class _Task:
    name: str
    every: float
    begin: Callable[[], Query[list[Finding]]]
    due: float = 0.0
    query: PendingQuery[list[Finding]] | None = field(default=None)


class Background:
    """The slow tasks of one meter. ``zone`` is this machine's time zone: used if the meter's clock agrees with it."""

    def __init__(self, facts: Facts, bookmarks: Bookmarks, *, zone: tzinfo | None = None, baud: int = 9600) -> None:
        general, firmware = facts.general, facts.identity.firmware
        self._remarks: list[str] = []
        self.facts = facts
        self.bookmarks = bookmarks
        self._byteorder = general.byteorder
        self._firmware = firmware
        self._zone_candidate = zone
        self._zone: tzinfo | None = None
        self._byte_time = 10 / baud
        self._event_queues: tuple[Queue, ...] | None = None
        self._outage_queue: Queue | None = None
        self._mbus: MbusDimensions | None = None
        self._mbus_queue: Queue | None = None
        self._queued: dict[int, MbusReading] = {}  # the newest of ET45, by the device's handle
        self._mbus_bookmark: int | None = None
        self._tasks = [_Task("clock", CLOCK_EVERY, self._clock)]
        if facts.alarms:
            self._tasks.append(_Task("alarms", ALARMS_EVERY, partial(self._alarms, facts.alarms)))
        if facts.logs:
            self._tasks.append(_Task("events", LOGS_EVERY, self._events))
        self._tasks += [
            _Task("outages", LOGS_EVERY, self._outages),
            _Task("sub-meters", SUB_METERS_EVERY, self._sub_meters),
        ]

    def run(
        self,
        read: Callable[[Part], bytes],
        clock: Callable[[], float],
        until: float,
        *,
        logs: bool = True,
    ) -> Iterator[Finding]:
        """Read what is due, as long as each read will be over before ``until``; yield what was found.

        ``logs`` is False while nobody could be told of new entries: the meter keeps them. What is too long for the
        time that is left holds nothing else up. A table that is garbled or not ready ends the round, and perhaps the
        session with it; the others have their turn in the next.
        """
        too_long: set[str] = set()
        while task := self._next(clock(), too_long, logs=logs):
            if task.query is None:
                task.query = PendingQuery(task.begin())
            part = task.query.wanted
            if part is not None:
                if clock() + self._duration(part) > until:
                    too_long.add(task.name)
                    continue
                try:
                    self._step(task, part, read)
                except (TableNotPresent, KeyRefused) as lacking:
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
                for finding in task.query.result:
                    if isinstance(finding, EventsFound):
                        self.bookmarks = replace(self.bookmarks, **{finding.log: finding.bookmark})
                    yield finding
                task.query = None
                task.due = clock() + task.every

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

    def _duration(self, part: Part) -> float:
        return (part.size * _OVERHEAD + _FRAME) * self._byte_time + _TURN_AROUNDS

    def _step(self, task: _Task, part: Part, read: Callable[[Part], bytes]) -> None:
        """Read one part and let the task go on."""
        assert task.query is not None  # noqa: S101 (begun by the caller)
        try:
            data = read(part)
        except (TableNotPresent, KeyRefused):
            data = None
        task.query.answer(data)

    # The tasks

    def _alarms(self, table: AlarmTable) -> Query[list[Finding]]:
        data = yield from ask(table.part)
        return [AlarmsFound(table.decode(data).alarms)]

    def _clock(self) -> Query[list[Finding]]:
        clock = decode_clock((yield from ask(BT52)))
        drift = clock.drift(datetime.now(UTC))
        local = yield BT55
        if local is not None and clock.time is not None and self._zone_candidate is not None:
            offset = decode_local_clock(local, self._byteorder).offset(clock)
            ours = clock.time.astimezone(self._zone_candidate).utcoffset()
            self._zone = self._zone_candidate if offset == ours else None
        return [DriftFound(drift)]

    def _events(self) -> Query[list[Finding]]:
        if self._event_queues is None:
            dimensions = decode_log_dimensions((yield from ask(BT71)), self._byteorder)
            alternate = (yield ET54_ALTERNATE) if self._firmware >= Firmware(3, 70) else None
            entries = 0 if alternate is None else decode_alternate_entries(alternate, self._byteorder)
            self._event_queues = event_queues(dimensions, entries)
        after = self.bookmarks.events
        news = yield from look_for_events(self._event_queues, self._byteorder, after, 0 if after is None else None)
        return [EventsFound("events", news.events, news.bookmark)]

    def _outages(self) -> Query[list[Finding]]:
        if self._outage_queue is None:
            self._outage_queue = outage_queue(decode_log_sizes((yield from ask(ET36)), self._byteorder))
            if self._outage_queue is None:
                raise TableNotPresent(table="ET81")
        after = self.bookmarks.outages
        news = yield from look(self._outage_queue, self._byteorder, after, 0 if after is None else None)
        return [EventsFound("outages", decode_outages(news, self._zone), news.bookmark)]

    def _sub_meters(self) -> Query[list[Finding]]:
        """The later of what ET16 and ET45 hold for each device: which of the two is used the utility decides."""
        if self._mbus is None:
            self._mbus = decode_mbus_dimensions((yield from ask(ET11)), self._byteorder)
            sizes = yield ET36
            if sizes is not None:
                self._mbus_queue = mbus_queue(decode_log_sizes(sizes, self._byteorder))
        devices = decode_devices((yield from ask(self._mbus.statuses)), self._mbus, self._byteorder, self._zone)
        if self._mbus_queue and devices:
            most = None if self._mbus_bookmark is not None else len(devices)
            news = yield from look(self._mbus_queue, self._byteorder, self._mbus_bookmark, most)
            self._mbus_bookmark = news.bookmark
            self._queued |= {each.handle: each for each in decode_queued(news, self._byteorder, self._zone)}
        found: list[Finding] = []
        for device in devices:
            part = self._mbus.latest(device) if device.mbus else None
            data = (yield from _twice(part)) if part else None
            latest = decode_latest(device, data, self._zone) if data else None
            told = [reading for reading in (latest, self._queued.get(device.handle)) if reading is not None]
            newest = max(told, key=_moment, default=None)
            if newest is not None:
                found.append(SubMeterFound(newest))
        return found


def _moment(reading: MbusReading) -> float:
    """When it was read; for the order only, so a time without a zone may count as UTC (no machine's limits apply)."""
    return reading.time.replace(tzinfo=UTC).timestamp() if reading.time else 0.0


def _twice(part: Part) -> Query[bytes | None]:
    """Ask twice, for no rule knows what a sub-meter may say, and a wild byte would make another device of it."""
    first = yield from ask(part)
    return first if first == (yield from ask(part)) else None
