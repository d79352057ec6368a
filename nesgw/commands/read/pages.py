"""What a meter says beside its values, as lines for a terminal and as plain values for JSON. Pure text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from nesgw.meter.queries.clock import ClockFound
from nesgw.meter.queries.everything import Everything
from nesgw.meter.queries.self_reads import SelfReads
from nesgw.meter.queries.sub_meters import SubMeter
from nesgw.publishers import payloads
from nesgw.publishers.console import number, schedule
from nesgw.tables.alarms import AlarmTable
from nesgw.tables.catalogue import FIELDS
from nesgw.tables.clock import LocalClock
from nesgw.tables.demands import Demand
from nesgw.tables.event_log import Event
from nesgw.tables.mbus import ReadPlan
from nesgw.tables.outages import Outage
from nesgw.tables.self_reads import Snapshot
from nesgw.tables.times import iso

_NAME_WIDTH: Final = 30
_TIERS: Final = {
    "calendar": "by the calendar",
    "manual_until_switch": "set by hand until the next switch",
    "manual": "set by hand",
    "override": "overridden",
}
_USERS: Final = {"network": "network", "mep": "MEP device"}
_SNAPSHOTS: Final = {
    "self_read": "Last self-read",
    "season": "End of the last season",
    "demand_reset": "Last demand reset",
}
_REGISTERS: Final = ("energy_import", "energy_export")  # of a snapshot; JSON has all of them


def everything(found: Everything, alarms: AlarmTable | None) -> Iterator[str]:
    """Yield the sections behind the values; one that the meter lacks says so where that is worth a line."""
    yield from _clock(found.clock, found.tariff)
    yield from ("", "Alarms")
    yield from _alarms(found.alarms, alarms)
    if found.demands:
        yield from ("", "Maximum demands")
        yield from map(_demand, found.demands)
    yield from _self_reads(found.self_reads)
    for meter in found.sub_meters or ():
        yield from _sub_meter(meter)
    if found.schedule:
        yield from ("", "Schedule of the sub-meters", f"  {schedule(found.schedule)}")
    entries: list[Event | Outage] = [*(found.outages or ()), *(found.events or ())]
    yield from ("", "Last outages and events")
    yield from (f"  {line}" for line in log(sorted(entries, key=lambda entry: _local(_ended(entry)))))


def log(entries: Sequence[Event | Outage]) -> Iterator[str]:
    """Yield a line an entry, under a heading."""
    if not entries:
        yield "none"
        return
    times = [_local(_ended(entry)) for entry in entries]
    width = 1 + max(19, *map(len, times))
    yield f"{'time':<{width}} {'log':<5} {'number':>10}  what"
    for time, entry in zip(times, entries, strict=True):
        sequence = "" if entry.sequence is None else entry.sequence
        what = _outage(entry) if isinstance(entry, Outage) else _event(entry)
        yield f"{time:<{width}} {entry.log:<5} {sequence:>10}  {what}"


def _ended(entry: Event | Outage) -> datetime | None:
    return entry.end if isinstance(entry, Outage) else entry.time


def _outage(outage: Outage) -> str:
    lasted = "of unknown length" if outage.duration_s is None else f"of {_duration(outage.duration_s)}"
    cause = f" ({outage.cause.replace('_', ' ')})" if outage.cause else ""
    return f"outage {lasted}{cause}, since {_local(outage.start)}"


def _event(event: Event) -> str:
    by = "" if event.user is None else f", by {_USERS.get(str(event.user), f'user {event.user}')}"
    argument = f", argument {event.argument}" if event.argument.strip("0") else ""
    name = f"{'manufacturer' if event.manufacturer else 'standard'} event {event.number}"
    return f"{f'{event.meaning} ({name})' if event.meaning else name}{by}{argument}"


def _clock(found: ClockFound | None, tariff: LocalClock | None) -> Iterator[str]:
    yield from ("", "Clock and tariff")
    if found is None:
        yield _line("The meter's clock", "not readable")
    elif found.clock.time is None or found.drift is None:
        yield _line("The meter's clock", "was never set")
    else:
        ahead = "ahead" if found.drift > 0 else "behind"
        yield _line("The meter's clock", f"{_local(found.clock.time)}, {abs(found.drift):.1f} s {ahead}")
    if tariff is not None:
        yield _line("Tariff in force", f"{tariff.tier + 1}, {_TIERS[tariff.tier_drive]}; season {tariff.season + 1}")


def _alarms(keys: Sequence[str] | None, table: AlarmTable | None) -> Iterator[str]:
    names = {alarm.key: alarm.name for alarm in table.alarms} if table else {}
    if keys is None:
        yield "  the meter keeps them to itself"
    elif not keys:
        yield "  none"
    else:
        yield from (f"  {names.get(key) or _unknown_alarm(key)}" for key in keys)


def _unknown_alarm(key: str) -> str:
    byte, _, bit = key.partition(".")
    return f"unknown alarm (BT03, byte {byte}, bit {bit})"


def _demand(demand: Demand) -> str:
    channel = demand.channel
    value = number(demand.value, channel.kind) if channel.kind else str(demand.value)
    unit = (channel.kind.unit if channel.kind else None) or ""
    return _line(channel.name, f"{value:>13} {unit}  {_local(demand.time)}")


def _self_reads(found: SelfReads | None) -> Iterator[str]:
    snapshots = {title: getattr(found, name) for name, title in _SNAPSHOTS.items() if found is not None}
    if any(snapshots.values()):
        yield from ("", "Registers as they stood")
    for title, snapshot in snapshots.items():
        if snapshot is not None:
            yield _line(title, _snapshot(snapshot))


def _snapshot(snapshot: Snapshot) -> str:
    known = [(FIELDS[key], snapshot.values[key]) for key in _REGISTERS if key in snapshot.values]
    values = ", ".join(f"{field.name.lower()} {number(value, field.kind)} {field.kind.unit}" for field, value in known)
    return f"{_local(snapshot.time)}, season {snapshot.season + 1}: {values}"


def _sub_meter(found: SubMeter) -> Iterator[str]:
    device, reading = found.device, found.reading
    if reading is None:
        yield from ("", f"Sub-meter {device.handle}: device, {device.state}", "  no reading yet")
        return
    who = [f"{reading.medium.replace('_', ' ')} meter", *filter(None, (reading.manufacturer, reading.serial))]
    yield from ("", f"Sub-meter {device.handle}: {' '.join(who)}, {device.state}")
    yield _line("Read at", _local(reading.time))
    if reading.conditions:
        yield _line("It says", ", ".join(reading.conditions).replace("_", " "))
    if reading.encrypted:
        yield "  encrypted: the electricity meter has no key for it"
    for value in reading.values:
        shown = "–" if value.value is None else f"{_grouped(value.value)} {value.unit or ''}"
        yield _line(value.key.replace("_", " ").capitalize(), shown)


def _grouped(value: object) -> str:
    """Write a number with its thousands apart, in as many digits as it has."""
    return f"{value:,}".replace(",", " ") if isinstance(value, int | float) else str(value)


def _line(name: str, text: str) -> str:
    return f"  {name:<{_NAME_WIDTH}} {text}".rstrip()


def _local(moment: datetime | None) -> str:
    """Local time; one without a zone is the meter's own, which is said: it may not be this machine's."""
    if moment is None:
        return "unknown time"
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M:%S} (meter's time)"
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days".replace(".0 ", " ")


# For JSON


def plain(found: Everything) -> dict[str, object]:
    """Return it as plain values, each theme under its key."""
    return {
        "clock": found.clock and _plain_clock(found.clock),
        "tariff": found.tariff and _plain_tariff(found.tariff),
        "alarms": None if found.alarms is None else list(found.alarms),
        "demands": None if found.demands is None else [payloads.maximum_demand(each) for each in found.demands],
        "sub_meters": None if found.sub_meters is None else [_plain_sub_meter(each) for each in found.sub_meters],
        "schedule": None if found.schedule is None else [_plain_plan(each) for each in found.schedule],
        "outages": None if found.outages is None else [payloads.outage(each) for each in found.outages],
        "events": None if found.events is None else [payloads.event(each) for each in found.events],
        "self_reads": found.self_reads and _plain_self_reads(found.self_reads),
    }


def _plain_clock(found: ClockFound) -> dict[str, object]:
    return {
        "time": iso(found.clock.time),
        "drift_s": found.drift,
        "daylight_saving": found.clock.daylight_saving,
        "same_zone": found.zone is not None,
    }


def _plain_tariff(tariff: LocalClock) -> dict[str, object]:
    return {"tier": tariff.tier + 1, "by": tariff.tier_drive, "season": tariff.season + 1}


def _plain_sub_meter(found: SubMeter) -> dict[str, object]:
    device, reading = found.device, found.reading
    entry: dict[str, object] = {"device": device.handle, "state": device.state, "alarms": list(device.alarms)}
    if reading is None:
        return entry
    who = {"manufacturer": reading.manufacturer, "serial": reading.serial, "medium": reading.medium}
    units = {value.key: value.unit for value in reading.values if value.unit}
    return entry | who | payloads.sub_meter(reading) | {"units": units}


def _plain_plan(plan: ReadPlan) -> dict[str, object]:
    """Leave out the customer's number, which is nobody else's business."""
    facts = asdict(plan)
    del facts["customer"]
    return {"scheduled": plan.scheduled, **facts}


def _plain_self_reads(found: SelfReads) -> dict[str, object]:
    return {name: (kept := getattr(found, name)) and payloads.snapshot(kept) for name in _SNAPSHOTS}
