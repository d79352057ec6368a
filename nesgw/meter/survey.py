"""Everything a meter tells beside its values, as plain objects: clock, tariff, alarms, demands, sub-meters, logs.

Says what to read and what it means; reads nothing itself. A part that the meter lacks, or that makes no sense, is left
out and takes nothing else with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from nesgw.errors import MeterMisbehaved, TableNotPresent
from nesgw.meter.session import Facts
from nesgw.tables.clock import BT52, BT55, decode_clock, decode_local_clock
from nesgw.tables.demands import decode_demands, demand_records, demand_sources
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
from nesgw.tables.load_profile import (
    BT61,
    ET66,
    MAPPED,
    decode_channels,
    decode_mapped_sources,
    decode_sets,
    decode_sources,
)
from nesgw.tables.mbus import (
    ET11,
    MbusReading,
    decode_devices,
    decode_latest,
    decode_mbus_dimensions,
    decode_queued,
    mbus_queue,
)
from nesgw.tables.outages import (
    ET04_OUTAGES,
    Outage,
    decode_outage_list,
    decode_outages,
    outage_list,
    outage_queue,
)
from nesgw.tables.query import Query, ask
from nesgw.tables.queues import ET36, decode_log_sizes, look
from nesgw.tables.times import iso
from nesgw.values import Firmware

LOG_ENTRIES: Final = 5  # that a survey shows of each log

Entry = Event | Outage
Part = Callable[[], Query[object]]


class Survey:
    """The parts of one meter's survey. ``zone`` is this machine's, and used if the meter agrees with it."""

    def __init__(
        self, facts: Facts, zone: tzinfo | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._facts = facts
        self._byteorder = facts.general.byteorder
        self._candidate = zone
        self._zone: tzinfo | None = None
        self._now = now
        self.remarks: list[str] = []

    def everything(self) -> Query[dict[str, object]]:
        """Go through all parts, each under its key."""
        parts: Mapping[str, Part] = {
            "clock": self._clock,
            "tariff": self._tariff,
            "alarms": self._alarms,
            "demands": self._demands,
            "sub_meters": self._sub_meters,
            "outages": self._last_outages,
            "events": self._last_events,
        }
        found: dict[str, object] = {}
        for key, part in parts.items():
            try:
                found[key] = yield from part()
            except TableNotPresent:
                found[key] = None
            except MeterMisbehaved as nonsense:
                self.remarks.append(nonsense.happened)
                found[key] = None
        return found

    def log(self, most: int) -> Query[tuple[Entry, ...]]:
        """Read the newest entries of the event logs and of the outages, oldest first."""
        entries: list[Entry] = []
        for part in (self._events(most), self._outages(most)):
            try:
                yield from self._learn_zone()
                entries += yield from part
            except TableNotPresent:
                continue
        return tuple(sorted(entries, key=self._moment)[-most:])

    def load_profile(self) -> Query[object]:
        """Say which sets of channels the meter keeps."""
        sets = decode_sets((yield from ask(BT61)), self._byteorder)
        mapped = yield ET66
        ids = None if mapped is None else decode_mapped_sources(mapped, self._byteorder)
        found = []
        for profile in sets:
            sources = decode_sources((yield from ask(profile.control)), profile)
            own = ids if any(source in MAPPED for source in sources) else None
            channels = decode_channels(sources, self._facts.identity.firmware, self._facts.installation, own)
            found.append(
                {
                    "set": profile.number + 1,
                    "blocks": profile.blocks,
                    "intervals": profile.intervals,
                    "minutes": profile.duration // timedelta(minutes=1),
                    "channels": [channel.key for channel in channels],
                }
            )
        return found

    # The parts

    def _learn_zone(self) -> Query[None]:
        """Take the machine's zone for the meter's if their clocks agree on it now."""
        if self._zone is not None or self._candidate is None:
            return
        utc, local = (yield BT52), (yield BT55)
        if utc is None or local is None:
            return
        clock = decode_clock(utc)
        offset = decode_local_clock(local, self._byteorder).offset(clock)
        if clock.time is not None and offset == clock.time.astimezone(self._candidate).utcoffset():
            self._zone = self._candidate

    def _clock(self) -> Query[object]:
        clock = decode_clock((yield from ask(BT52)))
        drift = clock.drift(self._now())
        yield from self._learn_zone()
        return {
            "time": iso(clock.time),
            "drift_s": drift,
            "daylight_saving": clock.daylight_saving,
            "same_zone": self._zone is not None,
        }

    def _tariff(self) -> Query[object]:
        local = decode_local_clock((yield from ask(BT55)), self._byteorder)
        return {"tier": local.tier + 1, "by": local.tier_drive, "season": local.season}

    def _alarms(self) -> Query[object]:
        table = self._facts.alarms
        if table is None:
            raise TableNotPresent(table="BT03")
        return list(table.decode((yield from ask(table.part))).alarms)

    def _demands(self) -> Query[object]:
        dimensions, facts = self._facts.dimensions, self._facts
        if not (dimensions.actual and dimensions.demands):
            return []
        sources = tuple((yield from ask(demand_sources(dimensions))))
        data = yield from ask(demand_records(dimensions))
        channels = decode_channels(sources, facts.identity.firmware, facts.installation)
        return [demand.payload() for demand in decode_demands(data, dimensions, channels, self._byteorder)]

    def _sub_meters(self) -> Query[object]:
        """The later of what ET16 and ET45 hold for each device."""
        dimensions = decode_mbus_dimensions((yield from ask(ET11)), self._byteorder)
        devices = decode_devices((yield from ask(dimensions.statuses)), dimensions, self._byteorder, self._zone)
        told: dict[int, MbusReading] = {}
        sizes = (yield ET36) if devices else None
        if sizes is not None and (queue := mbus_queue(decode_log_sizes(sizes, self._byteorder))):
            news = yield from look(queue, self._byteorder, most=len(devices))
            told |= {each.handle: each for each in decode_queued(news, self._byteorder, self._zone)}
        found = []
        for device in devices:
            part = dimensions.latest(device) if device.mbus else None
            latest = decode_latest(device, (yield from ask(part)), self._zone) if part else None
            both = [each for each in (latest, told.get(device.handle)) if each is not None]
            newest = max(both, key=lambda each: _seconds(each.time), default=None)
            entry: dict[str, object] = {"device": device.handle, "state": device.state, "alarms": list(device.alarms)}
            if newest:
                who = {"manufacturer": newest.manufacturer, "serial": newest.serial, "medium": newest.medium}
                entry |= (
                    who | newest.payload() | {"units": {each.key: each.unit for each in newest.values if each.unit}}
                )
            found.append(entry)
        return found

    def _last_events(self) -> Query[object]:
        return [event.payload() for event in (yield from self._events(LOG_ENTRIES))]

    def _last_outages(self) -> Query[object]:
        return [outage.payload() for outage in (yield from self._outages(LOG_ENTRIES))]

    def _events(self, most: int) -> Query[list[Event]]:
        part, data = BT71, (yield BT71)
        if data is None:
            part, data = BT70, (yield from ask(BT70))
        dimensions = decode_log_dimensions(data, self._byteorder, part)
        alternate = (yield ET54_ALTERNATE) if self._facts.identity.firmware >= Firmware(3, 70) else None
        entries = 0 if alternate is None else decode_alternate_entries(alternate, self._byteorder)
        news = yield from look_for_events(event_queues(dimensions, entries), self._byteorder, most=most)
        return list(news.events)

    def _outages(self, most: int) -> Query[list[Outage]]:
        """ET81 where the meter keeps it, else the list that every meter has."""
        sizes = yield ET36
        queue = None if sizes is None else outage_queue(decode_log_sizes(sizes, self._byteorder))
        if queue is not None:
            return list(decode_outages((yield from look(queue, self._byteorder, most=most)), self._zone))
        count = (yield from ask(ET04_OUTAGES))[0]
        outages = decode_outage_list((yield from ask(outage_list(min(count, most)))), self._byteorder)
        return list(outages)

    def _moment(self, entry: Entry) -> float:
        return _seconds(entry.time if isinstance(entry, Event) else entry.end or entry.start)


def _seconds(moment: datetime | None) -> float:
    """For the order only, so a time without a zone may count as ours."""
    return moment.timestamp() if moment else 0.0
