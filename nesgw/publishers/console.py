"""A reading as a table for a terminal: what ``nesgw read`` prints. Pure text; prints nothing itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from nesgw.tables.catalogue import FIELDS
from nesgw.tables.mbus import ReadPlan
from nesgw.tables.register import Field, Kind
from nesgw.values import MeterIdentity, Number

# Titles by the unit of a value, in the order of the page; a value of one phase stands under "Phases" in any unit.
_SECTIONS: Final = {"Energy": ("kWh", "kvarh", "kVAh"), "Power": ("W", "var", "VA", "Hz"), "Phases": ()}
_SUMMARY: Final = ("power", "energy_import", "energy_export")
_NAME_WIDTH: Final = 30
_NUMBER_WIDTH: Final = 13
_PHASES: Final = (1, 2, 3)
_DAYS: Final = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")


def page(label: str, identity: MeterIdentity | None, time: datetime, readings: Mapping[str, Number | None]) -> str:
    """Return the whole page: who the meter is (where that is known), then the values, the phases side by side."""
    return "\n".join([*_heading(label, identity, time), *values(readings)]) + "\n"


def values(readings: Mapping[str, Number | None]) -> Iterator[str]:
    """Yield the lines of all values in groups."""
    fields = [FIELDS[key] for key in readings if key in FIELDS]
    for title, members in _grouped(fields):
        columns = "".join(f"{f'L{phase}':>{_NUMBER_WIDTH}}" for phase in _PHASES) if title == "Phases" else ""
        yield from ("", f"{title:<{_NAME_WIDTH + 2}}{columns}".rstrip())
        for name, row in _rows(members):
            yield _line(name, row, readings)


def summary(readings: Mapping[str, Number | None]) -> str:
    """Return the reading in a few words: what is drawn now, and the counters."""
    known = [(FIELDS[key], readings[key]) for key in _SUMMARY if readings.get(key) is not None]
    return ", ".join(f"{field.name.lower()} {number(value, field.kind)} {field.kind.unit}" for field, value in known)


def schedule(plans: Sequence[ReadPlan]) -> str:
    """Say in a sentence when the meter reads the devices on its M-Bus, by ET13."""
    if not plans:
        return "this meter has no M-Bus"
    times = {channel: _times(plan) for channel, plan in enumerate(plans, 1) if plan.scheduled}
    if not times:
        return "no M-Bus channel is scheduled: ask the utility"
    if len(set(times.values())) == 1:
        return f"the utility reads sub-meters {next(iter(times.values()))}"
    return "the utility reads sub-meters: " + ", ".join(f"channel {each} {when}" for each, when in times.items())


def _times(plan: ReadPlan) -> str:
    """Say how often a channel is read, by the meter's local time; what no guide knows goes by its number."""
    if plan.minute > 59 or (plan.hour > 23 and plan.period != "hourly"):
        return f"{plan.period}, at a time that makes no sense ({plan.hour}:{plan.minute})"
    at = f"at {plan.hour:02}:{plan.minute:02}"
    on = f"on {_DAYS[plan.weekday]}" if plan.weekday is not None else f"on day {plan.day} of the month"
    match plan.period:
        case "hourly":
            return f"hourly at minute {plan.minute}"
        case "daily":
            return f"daily {at}"
        case "weekly" | "monthly":
            return f"{plan.period} {on} {at}"
        case unknown:
            return f"{at} ({unknown.replace('_', ' ')})"


def number(value: Number | None, kind: Kind) -> str:
    """Write one value with the digits that the meter gives, thousands apart; a dash for an unknown one."""
    if value is None:
        return "–"
    digits = {1: 0, 100: 2, 1000: 3}[kind.divisor]
    return f"{value:,.{digits}f}".replace(",", " ")


def _heading(label: str, identity: MeterIdentity | None, time: datetime) -> Iterator[str]:
    if identity is None:
        yield label
    else:
        who = f"{identity.manufacturer} {identity.model}, serial number {identity.serial}"
        yield f"{label}: {who}, firmware {identity.firmware}"
    yield f"read at {time.astimezone():%Y-%m-%d %H:%M:%S}"


def _grouped(fields: Iterable[Field]) -> Iterator[tuple[str, list[Field]]]:
    groups: dict[str, list[Field]] = {title: [] for title in (*_SECTIONS, "Other")}
    for field in fields:
        groups[_section(field)].append(field)
    yield from ((title, members) for title, members in groups.items() if members)


def _section(field: Field) -> str:
    if len(field.phases) == 1:
        return "Phases"
    return next((title for title, units in _SECTIONS.items() if field.kind.unit in units), "Other")


def _rows(fields: list[Field]) -> Iterator[tuple[str, dict[int, Field]]]:
    """Join the three fields of a quantity to one row; any other field is a row of its own, under phase 0."""
    rows: dict[str, dict[int, Field]] = {}
    for field in fields:
        rows.setdefault(_row_name(field), {})[field.phases[0] if len(field.phases) == 1 else 0] = field
    yield from rows.items()


def _row_name(field: Field) -> str:
    return re.sub(r" L[123]$", "", field.name) if len(field.phases) == 1 else field.name


def _line(name: str, row: dict[int, Field], readings: Mapping[str, Number | None]) -> str:
    kind = next(iter(row.values())).kind
    columns = [row.get(phase) for phase in (_PHASES if 0 not in row else (0,))]
    cells = "".join(f"{number(readings[field.key], field.kind) if field else '':>{_NUMBER_WIDTH}}" for field in columns)
    return f"  {name:<{_NAME_WIDTH}}{cells} {kind.unit or ''}".rstrip()
