"""What a meter's tables are put through: every decoder, fed with whatever answers it asks for.

``TARGETS`` take a function that answers reads. With a fuzzer behind it any bytes come out of it; with the simulated
meter behind it the answers are the seeds to begin with. Only the errors in ``DOCUMENTED`` may come out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from nesgw.errors import MeterMisbehaved, TableNotPresent, UnsupportedMeter
from nesgw.publishers import payloads
from nesgw.tables import (
    alarms,
    clock,
    configuration,
    demands,
    event_log,
    load_profile,
    mbus,
    outages,
    queues,
    self_reads,
)
from nesgw.tables.dimensions import BT20, BT21, Dimensions, decode_dimensions, decode_order
from nesgw.tables.identity import BT00, BT01, ET03, ET29, ByteOrder, decode_general_configuration, decode_identity
from nesgw.tables.installation import (
    BT15,
    ET04_PHASES,
    ET42_TIER_SIZE,
    Installation,
    decode_absent_phases,
    decode_energy_unit,
    decode_ratios,
    decode_tier_size,
)
from nesgw.tables.layout import Layout
from nesgw.tables.query import PendingQuery
from nesgw.tables.register import Part
from nesgw.values import MeterIdentity

DOCUMENTED = (MeterMisbehaved, UnsupportedMeter, TableNotPresent)
MOST_ANSWERS = 60
MOST_BYTES = 20_000

Answer = Callable[[Part], bytes]
Result = TypeVar("Result")


def follow(query: PendingQuery[Result], answer: Answer) -> Result | None:
    """Read on as the daemon does; a list that never ends is left."""
    for _ in range(MOST_ANSWERS):
        if query.wanted is None:
            return query.result
        if query.wanted.size > MOST_BYTES:
            return None
        query.answer(answer(query.wanted))
    return None


def published(value: object) -> None:
    """Nothing that goes out may be without a form in JSON."""
    json.dumps(value, allow_nan=False)


def learn(answer: Answer, byteorder: ByteOrder) -> tuple[MeterIdentity, Dimensions, Installation, Layout]:
    """What a meter is asked once, and a poll."""
    general = decode_general_configuration(answer(BT00))
    identity = decode_identity(answer(BT01), answer(ET03), answer(ET29))
    part = BT21 if identity.firmware >= (identity.firmware.__class__(2, 12)) else BT20
    dimensions = decode_dimensions(answer(part), part)
    if dimensions.registers.size > MOST_BYTES:
        raise MeterMisbehaved(service="fuzz", problem="too long to be fuzzed")
    unit_part = configuration.energy_unit(identity.firmware, dimensions.tiers)
    installation = Installation(
        ratios=decode_ratios(answer(BT15), byteorder),
        energy_unit=decode_energy_unit(answer(unit_part)) if unit_part else 1,
        absent=decode_absent_phases(answer(ET04_PHASES)),
        tier_size=decode_tier_size(answer(ET42_TIER_SIZE), byteorder),
    )
    layout = Layout.build(
        dimensions,
        identity.firmware,
        byteorder,
        registers=answer(dimensions.registers),
        values=answer(dimensions.values),
        summation_order=decode_order(answer(dimensions.summation_order), dimensions.summation_order),
        present_order=decode_order(answer(dimensions.present_order), dimensions.present_order),
        installation=installation,
    )
    values = layout.decode({part.name: answer(part) for part in layout.reads})
    assert tuple(values) == layout.fields
    published(values)
    table = alarms.AlarmTable.of(identity.firmware, general.alarm_bytes)
    published(table.decode(answer(table.part)).alarms)
    return identity, dimensions, installation, layout


def history(answer: Answer, byteorder: ByteOrder) -> None:
    """Demands and self-reads, behind the layout that they need."""
    identity, dimensions, installation, layout = learn(answer, byteorder)
    if dimensions.demands:
        sources = tuple(answer(demands.demand_sources(dimensions)))
        channels = load_profile.decode_channels(sources, identity.firmware, installation)
        found = demands.decode_demands(answer(demands.demand_records(dimensions)), dimensions, channels, byteorder)
        published([payloads.maximum_demand(demand) for demand in found])
    for part in (self_reads.previous_season(dimensions), self_reads.previous_demand_reset(dimensions)):
        if snapshot := self_reads.decode_snapshot(part, answer(part), dimensions, layout):
            published(payloads.snapshot(snapshot))
    if queue := self_reads.self_read_queue(dimensions):
        news = follow(PendingQuery(queues.look(queue, byteorder, most=3)), answer)
        if news:
            for snapshot in self_reads.decode_self_reads(news, dimensions, layout):
                published(payloads.snapshot(snapshot))


def events(answer: Answer, byteorder: ByteOrder) -> None:
    """Both event logs, twice: all, and what is new since."""
    dimensions = event_log.decode_log_dimensions(answer(event_log.BT71), byteorder)
    alternate = event_log.decode_alternate_entries(answer(event_log.ET54_ALTERNATE), byteorder)
    logs = event_log.event_queues(dimensions, alternate)
    bookmark = None
    for most in (50, None):
        news = follow(PendingQuery(event_log.look_for_events(logs, byteorder, bookmark, most)), answer)
        if news:
            bookmark = news.bookmark
            published([payloads.event(event) for event in news.events])


def power_outages(answer: Answer, byteorder: ByteOrder) -> None:
    """ET81 behind ET36, and the list in ET09."""
    sizes = queues.decode_log_sizes(answer(queues.ET36), byteorder)
    if queue := outages.outage_queue(sizes):
        news = follow(PendingQuery(queues.look(queue, byteorder, most=20)), answer)
        if news:
            published([payloads.outage(outage) for outage in outages.decode_outages(news)])
    published(
        [payloads.outage(outage) for outage in outages.decode_outage_list(answer(outages.outage_list(10)), byteorder)]
    )


def sub_meters(answer: Answer, byteorder: ByteOrder) -> None:
    """M-Bus: dimensions, devices, plans, telegrams."""
    dimensions = mbus.decode_mbus_dimensions(answer(mbus.ET11), byteorder)
    for device in mbus.decode_devices(answer(dimensions.statuses), dimensions, byteorder):
        plan = dimensions.read_plan(device.index)
        mbus.decode_read_plan(plan, answer(plan), byteorder)
        latest = dimensions.latest(device)
        if latest and (reading := mbus.decode_latest(device, answer(latest))):
            published(payloads.sub_meter(reading))
    sizes = queues.decode_log_sizes(answer(queues.ET36), byteorder)
    if queue := mbus.mbus_queue(sizes):
        news = follow(PendingQuery(queues.look(queue, byteorder, most=5)), answer)
        if news:
            published([payloads.sub_meter(reading) for reading in mbus.decode_queued(news, byteorder)])


def profile(answer: Answer, byteorder: ByteOrder) -> None:
    """The load profile's last day."""
    firmware = decode_identity(answer(BT01), b"1").firmware
    for each in load_profile.decode_sets(answer(load_profile.BT61), byteorder):
        sources = load_profile.decode_sources(answer(each.control), each)
        mapped = load_profile.decode_mapped_sources(answer(load_profile.ET66), byteorder)
        channels = load_profile.decode_channels(sources, firmware, Installation(), mapped)
        until = datetime(2026, 11, 20, tzinfo=UTC)
        reading = load_profile.ProfileReading(each, byteorder, until - timedelta(days=1), until, now=until)
        follow(reading, answer)
        for earlier, later in itertools.pairwise(reading.intervals):
            published([later.values(channels), later.statuses])
            load_profile.consumption(earlier, later, channels, each.duration)


def clocks(answer: Answer, byteorder: ByteOrder) -> None:
    """BT52, BT53, BT55."""
    now = clock.decode_clock(answer(clock.BT52))
    now.drift(datetime(2026, 11, 20, tzinfo=UTC))
    clock.decode_local_clock(answer(clock.BT55), byteorder).offset(now)
    clock.decode_zone_rules(answer(clock.BT53), byteorder)


TARGETS = (learn, history, events, power_outages, sub_meters, profile, clocks)
