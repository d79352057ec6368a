"""What a survey found, as lines for a terminal. Pure text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nesgw.publishers.console import number
from nesgw.tables.alarms import AlarmTable
from nesgw.tables.catalogue import FIELDS

_NAME_WIDTH: Final = 30
_TIERS: Final = {
    "calendar": "by the calendar",
    "manual_until_switch": "set by hand until the next switch",
    "manual": "set by hand",
    "override": "overridden",
}
_USERS: Final = {None: "", "network": "network", "mep": "MEP device"}
# Of a sub-meter: what is said on its own line, or not at all.
_NOT_VALUES: Final = frozenset(
    {"device", "state", "alarms", "manufacturer", "serial", "medium", "time", "conditions", "encrypted", "units"}
)


def survey(found: Mapping[str, Any], alarms: AlarmTable | None) -> Iterator[str]:
    """Yield the sections behind the values; one that the meter lacks says so where that is worth a line."""
    yield from _clock(found["clock"], found["tariff"])
    yield from ("", "Alarms")
    yield from _alarms(found["alarms"], alarms)
    if found["demands"]:
        yield from ("", "Maximum demands")
        yield from (_demand(demand) for demand in found["demands"])
    for meter in found["sub_meters"] or ():
        yield from _sub_meter(meter)
    entries = [*(found["outages"] or ()), *(found["events"] or ())]
    yield from ("", "Last outages and events")
    yield from (f"  {line}" for line in events(sorted(entries, key=lambda entry: _moment(entry["time"]))))


def events(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line an entry, under a heading."""
    if not entries:
        yield "none"
        return
    yield f"{'time':<20} {'log':<5} {'number':>10}  what"
    for entry in entries:
        sequence = "" if entry["sequence"] is None else entry["sequence"]
        yield f"{_moment(entry['time']):<20} {entry['log']:<5} {sequence:>10}  {_what(entry)}"


def _what(entry: Mapping[str, Any]) -> str:
    if entry["event_type"] == "outage":
        lasted = "of unknown length" if entry["duration_s"] is None else f"of {_duration(entry['duration_s'])}"
        cause = f" ({entry['cause'].replace('_', ' ')})" if entry["cause"] else ""
        return f"outage {lasted}{cause}, since {_moment(entry['start'])}"
    user = entry["user"]
    by = f", by {_USERS[user]}" if user in ("network", "mep") else "" if user is None else f", by user {user}"
    argument = f", argument {entry['argument']}" if entry["argument"].strip("0") else ""
    return f"{entry['event_type']} event {entry['number']}{by}{argument}"


def _clock(clock: Mapping[str, Any] | None, tariff: Mapping[str, Any] | None) -> Iterator[str]:
    yield from ("", "Clock and tariff")
    if clock is None:
        yield _line("The meter's clock", "not readable")
    elif clock["time"] is None:
        yield _line("The meter's clock", "was never set")
    else:
        drift = clock["drift_s"]
        yield _line("The meter's clock", f"{_moment(clock['time'])}, {abs(drift):.1f} s {_ahead(drift)}")
    if tariff is not None:
        yield _line("Tariff in force", f"{tariff['tier']}, {_TIERS[tariff['by']]}; season {tariff['season'] + 1}")


def _ahead(drift: float) -> str:
    return "ahead" if drift > 0 else "behind"


def _alarms(keys: Sequence[str] | None, table: AlarmTable | None) -> Iterator[str]:
    names = {alarm.key: alarm.name for alarm in table.alarms} if table else {}
    if keys is None:
        yield "  the meter keeps them to itself"
    elif not keys:
        yield "  none"
    else:
        yield from (f"  {names.get(key, f'unknown alarm, byte.bit {key}')}" for key in keys)


def _demand(demand: Mapping[str, Any]) -> str:
    field = FIELDS.get(demand["field"])
    name = field.name if field else demand["field"].replace("_", " ").capitalize()
    value = number(demand["value"], field.kind) if field else str(demand["value"])
    return _line(name, f"{value:>13} {demand['unit'] or ''}  {_moment(demand['time'])}")


def _sub_meter(meter: Mapping[str, Any]) -> Iterator[str]:
    who = [(meter.get("medium") or "sub-").replace("_", " ") + " meter" if "medium" in meter else "device"]
    who += [str(meter[key]) for key in ("manufacturer", "serial") if meter.get(key)]
    yield from ("", f"Sub-meter {meter['device']}: {' '.join(who)}, {meter['state']}")
    if "time" not in meter:
        yield "  no reading yet"
        return
    yield _line("Read at", _moment(meter["time"]))
    if meter["conditions"]:
        yield _line("It says", ", ".join(meter["conditions"]).replace("_", " "))
    if meter["encrypted"]:
        yield "  encrypted: the electricity meter has no key for it"
    for key, value in meter.items():
        if key not in _NOT_VALUES:
            unit = meter["units"].get(key, "")
            yield _line(key.replace("_", " ").capitalize(), "–" if value is None else f"{value} {unit}")


def _line(name: str, text: str) -> str:
    return f"  {name:<{_NAME_WIDTH}} {text}".rstrip()


def _moment(text: str | None) -> str:
    """Local time; a time without a zone is the meter's own local time."""
    if text is None:
        return "unknown time"
    moment = datetime.fromisoformat(text)
    return f"{moment.astimezone() if moment.tzinfo else moment:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
