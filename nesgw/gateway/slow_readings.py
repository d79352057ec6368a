"""All that a meter says beside its readings, while it is published: alarms, clock, logs, sub-meters, demand.

``slow_tables.py`` knows what to read when; here is what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final

from structlog.typing import FilteringBoundLogger

from nesgw.gateway.account import Account
from nesgw.gateway.schedule import Gap
from nesgw.gateway.slow_tables import (
    SUB_METERS_EVERY,
    AlarmsFound,
    Bookmarks,
    DemandFound,
    DriftFound,
    EntriesFound,
    Found,
    SlowTables,
    SubMeterFound,
    TimedReader,
)
from nesgw.gateway.trouble_log import TroubleLog
from nesgw.meter.profile import Facts
from nesgw.plausibility.sub_meters import SubMeterPlausibility
from nesgw.publishers.meter_publisher import MeterPublisher
from nesgw.tables.interval_demand import Demand, RecentReadings, RegisterReading, Running
from nesgw.tables.mbus import MbusReading
from nesgw.tables.times import iso
from nesgw.values import Reading

DEMAND_PAUSE: Final = 8.0  # seconds between two messages of the running interval, at the least
DEMAND_LASTS: Final = 45.0  # seconds in which the next interval is read: no "unknown" at each change


class SlowReadings:
    """What one meter said last of what changes slowly. The attributes may be read from any thread."""

    def __init__(
        self,
        publisher: MeterPublisher,
        account: Account,
        troubles: TroubleLog,
        log: FilteringBoundLogger,
        *,
        zone: tzinfo | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self.sub_meters: dict[str, MbusReading] = {}  # what each meter behind the meter said last
        self.demand: Demand | None = None
        self.running: Running | None = None  # its interval that is not over
        self._publisher = publisher
        self._account = account
        self._troubles = troubles
        self._log = log
        self._zone = zone
        self._clock = clock
        self._wall_clock = wall_clock
        self._tables: SlowTables | None = None
        self._judges: dict[str, SubMeterPlausibility] = {}
        self._last_sub_meters: Mapping[str, object] = {}  # what an earlier process accepted of each, by its id
        self._recent = RecentReadings()
        self._demand_due = self._running_lasts = 0.0

    def another_meter(self) -> None:
        """Forget the meter that was on the port before."""
        self._tables = None
        self._judges.clear()
        self._last_sub_meters = {}
        self._recent.clear()
        self.demand = self.running = None
        self.sub_meters.clear()

    def restore(self, sub_meters: object) -> None:
        """Go on from what an earlier process accepted of the sub-meters: its status's ``sub_meters``."""
        self._last_sub_meters = sub_meters if isinstance(sub_meters, dict) else {}
        self._account.note(sub_meters=self._last_sub_meters)

    def read(self, meter: TimedReader, facts: Facts, gap: Gap) -> None:
        """Read the slow tables that are due, as far as the time goes."""
        tables = self._tables_of(facts)
        listening = self._publisher.listening
        if listening:
            # Only what the broker has counts as published: after a restart the rest is found in the meter again.
            marks = tables.bookmarks
            self._account.note(last_event=marks.events, last_outage=marks.outages)
        for found in tables.run(meter, self._clock, gap, logs=listening):
            self._publish(found)
        for remark in tables.take_remarks():
            self._troubles.remark(remark.partition(":")[0], remark)

    def _tables_of(self, facts: Facts) -> SlowTables:
        tables = self._tables
        if tables is None or tables.facts is not facts:
            # Of the same meter: the status lags behind until the broker has them.
            status = self._account.status
            marks = tables.bookmarks if tables else Bookmarks(status.last_event, status.last_outage)
            demand = tables.demand if tables else None
            tables = self._tables = SlowTables(facts, marks, zone=self._zone, now=self._wall_clock, demand=demand)
        return tables

    def accepted(self, reading: Reading) -> None:
        """Say how the running interval stands, often enough for its entities and not with each of many polls."""
        imported, exported = (reading.values.get(key) for key in ("energy_import", "energy_export"))
        self._recent.add(RegisterReading(self._wall_clock().astimezone(UTC), imported, exported))
        if self.demand and self._clock() >= self._demand_due:
            running = self._recent.running(self.demand)
            if running or self._clock() >= self._running_lasts:
                self._publish_demand(running)

    def _publish(self, found: Found) -> None:
        match found:
            case AlarmsFound(keys):
                self._compare_alarms(keys)
            case DriftFound(seconds):
                self._account.note(clock_drift_s=seconds)
            case DemandFound(demand):
                self.demand = demand
                self._publish_demand(self._recent.running(demand) if demand else None)
            case EntriesFound():
                self._publisher.emit(found.entries)
            case SubMeterFound(reading):
                judged = self._judged(reading)
                self.sub_meters[_device(reading)] = judged
                self._publisher.accept_sub_meter(judged, SUB_METERS_EVERY)

    def _publish_demand(self, running: Running | None) -> None:
        now = self._clock()
        self._demand_due = now + DEMAND_PAUSE
        self.running = running
        if running:
            self._running_lasts = now + DEMAND_LASTS
        self._publisher.accept_demand(self.demand, running)

    def _judged(self, reading: MbusReading) -> MbusReading:
        """Return what a sub-meter says with null for what is doubted."""
        device, now = _device(reading), self._clock()
        if device not in self._judges:
            self._judges[device] = SubMeterPlausibility()
            if isinstance(last := self._last_sub_meters.get(device), dict):
                self._judges[device].restore(last, now)
        judge = self._judges[device]
        judged = judge.judge(reading, now)
        known = {"time": iso(reading.time), **judge.counters}
        self._account.note(sub_meters={**self._account.status.sub_meters, device: known})
        for message in judged.messages:
            self._log.warning(f"{message} (serial number {reading.serial})")
        return judged.reading

    def _compare_alarms(self, keys: tuple[str, ...]) -> None:
        before = self._account.status.alarms
        self._account.note(alarms=keys)
        if before is not None and (new := [key for key in keys if key not in before]):
            self._log.warning(f"the meter raised: {', '.join(new)}")


def _device(reading: MbusReading) -> str:
    """What tells a sub-meter from the others behind this meter, whatever its channel; without a number, the channel."""
    return reading.id if reading.serial.strip("0f") else f"{reading.id}-{reading.handle}"
