"""What nesgw says in its own topics and in the files of the RAM disk: JSON texts made of plain values.

Pure. Every object always has all its keys, null where there is nothing to say: Home Assistant's templates warn of a
missing key on every message, and take null for "unknown" without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nesgw.publishers.message import Message, Part
from nesgw.publishers.topics import OFFLINE, ONLINE, Topics
from nesgw.tables.outages import Outage
from nesgw.tables.times import iso
from nesgw.values import MeterIdentity, Number, Reading, printable

if TYPE_CHECKING:
    from nesgw.tables.demands import Demand
    from nesgw.tables.event_log import Event
    from nesgw.tables.interval_demand import Demand as DemandNow
    from nesgw.tables.interval_demand import Month, Peak, Running
    from nesgw.tables.mbus import MbusReading
    from nesgw.tables.self_reads import Snapshot

# Home Assistant's longest state (2026.11: a longer one is dropped with two warnings).
LONGEST_TEXT = 255

# NaN is no JSON: one that got this far is a defect, and must not reach anybody's statistics.
to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

# What is read of other gateways' statuses: anybody may write to a broker.
_MOST_METERS: Final = 256
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """How reading one meter goes, since the start of the process."""

    id: str | None = None  # the meter's, once it has told
    manufacturer_serial: str | None = None  # likewise: an exchanged meter may have the former's id
    last_read: datetime | None = None  # of the last accepted reading
    polls: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)  # by the kind of the error
    consecutive_failures: int = 0
    last_error: str | None = None
    last_error_kind: str | None = None  # of it: NesgwError.kind, or "rejected"
    rejected: int = 0  # readings that were not plausible
    notice: str | None = None  # what was logged of the latest odd reading that was accepted after all
    poll_duration_ms: int | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    clock_drift_s: float | None = None  # the meter's clock minus ours; None until both are known
    alarms: tuple[str, ...] | None = None  # the keys of those that are set (BT03); None until they were read
    last_event: int | None = None  # the newest entry of the event log that was published, by its sequence number
    last_outage: int | None = None  # likewise of the outage log
    # Registers that are null because they fell, with what they fell from: remembered over a restart.
    fell_from: Mapping[str, Number] = field(default_factory=dict)
    # What each sub-meter's counters showed when they were accepted last, and when, by its id: remembered likewise.
    sub_meters: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    session: str | None = None  # per-poll or keep-open
    session_reason: str | None = None  # why that one


@dataclass(frozen=True, slots=True)
class GatewayMeter:
    """A configured meter, as its gateway sees it."""

    id: str | None = None  # None until it has told
    online: bool = False
    last_read: datetime | None = None
    last_error: str | None = None  # what is wrong now; None while all is well


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The process and its meters. ``started`` never changes while it runs: it tells two gateways apart."""

    version: str
    started: datetime
    uptime_s: int
    meters: Mapping[str, GatewayMeter]  # by the meter's name
    problem: str | None = None  # what is wrong with the broker although we are connected


@dataclass(frozen=True, slots=True)
class SeenGateway:
    """What the status topic of a gateway says, ours or another one's. Anybody may have written it."""

    version: str
    started: str  # "" if it does not say
    uptime_s: float
    meters: Mapping[str, str]  # the ids of its meters, by their names there
    online: frozenset[str]  # the ids of those whose readings it publishes
    problem: str = ""  # what is wrong with its broker


def timestamp(moment: datetime) -> str:
    """Write an aware moment as ISO 8601 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state(reading: Reading) -> str:
    """Write the state object: the time, then every field that the meter has."""
    return to_json({"time": timestamp(reading.time), **reading.values})


def info(identity: MeterIdentity, fields: Iterable[str]) -> str:
    """Say who the meter is and which fields it has."""
    return to_json(
        {
            "manufacturer": identity.manufacturer,
            "model": identity.model,
            "firmware": str(identity.firmware),
            "hardware": identity.hardware,
            "utility_serial": identity.utility_serial,
            "manufacturer_serial": identity.manufacturer_serial,
            "fields": list(fields),
        }
    )


def meter_status(status: MeterStatus) -> str:
    """Say how reading the meter goes."""
    return to_json(
        {
            "id": status.id,
            "manufacturer_serial": status.manufacturer_serial,
            "last_read": _moment(status.last_read),
            "polls": status.polls,
            "failures": dict(status.failures),
            "consecutive_failures": status.consecutive_failures,
            "last_error": _text(status.last_error),
            "last_error_kind": status.last_error_kind,
            "rejected": status.rejected,
            "notice": _text(status.notice),
            "poll_duration_ms": status.poll_duration_ms,
            "bytes_sent": status.bytes_sent,
            "bytes_received": status.bytes_received,
            "clock_drift_s": status.clock_drift_s,
            "alarms": None if status.alarms is None else list(status.alarms),
            "last_event": status.last_event,
            "last_outage": status.last_outage,
            "fell_from": dict(status.fell_from),
            **({"sub_meters": status.sub_meters} if status.sub_meters else {}),
            "session": status.session,
            "session_reason": _text(status.session_reason),
        }
    )


def gateway_status(status: GatewayStatus) -> str:
    """Say how the process and its meters are."""
    return to_json(
        {
            "version": status.version,
            "started": timestamp(status.started),
            "uptime_s": status.uptime_s,
            "meters": {
                name: {
                    "id": meter.id,
                    "online": meter.online,
                    "last_read": _moment(meter.last_read),
                    "last_error": _text(meter.last_error),
                }
                for name, meter in status.meters.items()
            },
            "problem": _text(status.problem),
        }
    )


def parse_gateway_status(text: str | None) -> SeenGateway | None:
    """Read what ``gateway_status`` wrote, of any version; None if it is none. What is odd in it is left out."""
    found = json_object(text)
    listed = found.get("meters")
    if not isinstance(listed, dict):
        return None
    meters = {name: meter for name, meter in list(listed.items())[:_MOST_METERS] if _is_meter(name, meter)}
    uptime = found.get("uptime_s")
    sound = isinstance(uptime, (int, float)) and not isinstance(uptime, bool) and abs(uptime) < _LONGEST_UPTIME
    return SeenGateway(
        version=str(found.get("version", ""))[:_LONGEST_NAME],
        started=str(found.get("started", ""))[:_LONGEST_NAME] if sound else "",
        uptime_s=float(uptime) if sound and uptime is not None else 0.0,
        meters={name: meter["id"] for name, meter in meters.items()},
        online=frozenset(meter["id"] for meter in meters.values() if meter.get("online") is True),
        problem=printable(found.get("problem") or "", LONGEST_TEXT),
    )


_LONGEST_UPTIME: Final = 1e10  # seconds


def _is_meter(name: str, meter: object) -> bool:
    number = meter.get("id") if isinstance(meter, dict) else None
    return len(name) <= _LONGEST_NAME and isinstance(number, str) and is_id(number)


def is_id(text: str) -> bool:
    """Whether this can be the id of a meter."""
    return re.fullmatch(f"[a-z0-9]{{1,{_LONGEST_NAME}}}", text) is not None


def json_object(text: str | None) -> dict[str, Any]:
    """Read a JSON object that anybody may have written; empty if the text is none."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def state_messages(
    topics: Topics,
    meter_id: str,
    reading: Reading,
    text: str,
    *,
    qos: int = 1,
    retain: bool = True,
    per_value: bool = False,
) -> Iterator[Message]:
    """Publish an accepted reading, as ``state`` has written it; with ``per_value`` also one plain number a topic.

    For a value that this reading lacks, the number that the broker keeps is taken away: it would pass for this one's.
    """
    yield Message(topics.state(meter_id), text, Part.STATE, retain, qos)
    if per_value:
        for key, value in reading.values.items():
            if value is not None:
                yield Message(topics.value(meter_id, key), to_json(value), Part.STATE, retain, qos)
            elif retain:
                yield Message(topics.value(meter_id, key), "", Part.STATE, retain, qos)


def demand_message(topics: Topics, meter_id: str, text: str, *, qos: int = 1) -> Message:
    """Publish the demand, as ``demand_state`` has written it."""
    return Message(topics.demand(meter_id), text, Part.STATE, qos=qos)


def event_message(topics: Topics, meter_id: str, payload: Mapping[str, object]) -> Message:
    """One entry of the meter's logs. Not retained: it happened once."""
    return Message(topics.event(meter_id), to_json(payload), Part.EVENT, retain=False)


def sub_meter_messages(topics: Topics, sub_meter: str, reading: Mapping[str, object]) -> Iterator[Message]:
    """What a meter behind the meter told last."""
    yield Message(topics.state(sub_meter), to_json(reading), Part.STATE)


def info_message(topics: Topics, identity: MeterIdentity, fields: Iterable[str]) -> Message:
    """Publish who the meter is."""
    return Message(topics.info(identity.id), info(identity, fields), Part.INFO)


def meter_status_message(topics: Topics, meter_id: str, text: str) -> Message:
    """Publish how reading the meter goes, as ``meter_status`` has written it."""
    return Message(topics.status(meter_id), text, Part.STATUS)


def gateway_status_message(topics: Topics, status: GatewayStatus) -> Message:
    """Publish how the process and its meters are."""
    return Message(topics.gateway_status, gateway_status(status), Part.STATUS)


def availability_message(topics: Topics, meter_id: str, online: bool) -> Message:
    """Publish whether the meter's readings are fresh."""
    return Message(topics.availability(meter_id), ONLINE if online else OFFLINE, Part.AVAILABILITY)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def _text(text: str | None) -> str | None:
    """One line that fits into a state of Home Assistant."""
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


# What the meter's own lists say, in plain values

# What a Home Assistant event entity asks for: the types that ``log_entry`` gives.
EVENT_TYPES: Final = ("standard", "manufacturer", "outage")


def log_entry(entry: Event | Outage) -> dict[str, object]:
    """One entry of the event log or of the outage log, for ``BASE/ID/event``."""
    return outage(entry) if isinstance(entry, Outage) else event(entry)


def event(entry: Event) -> dict[str, object]:
    """One entry of the event log."""
    return {
        "event_type": "manufacturer" if entry.manufacturer else "standard",
        "time": iso(entry.time),
        "sequence": entry.sequence,
        "number": entry.number,
        "meaning": entry.meaning,
        "user": entry.user,
        "argument": entry.argument,
        "log": entry.log,
    }


def outage(entry: Outage) -> dict[str, object]:
    """One outage; its time is when it ended."""
    return {
        "event_type": "outage",
        "time": iso(entry.end),
        "start": iso(entry.start),
        "end": iso(entry.end),
        "duration_s": entry.duration_s,
        "cause": entry.cause,
        "sequence": entry.sequence,
        "log": entry.log,
    }


def maximum_demand(maximum: Demand) -> dict[str, object]:
    """One maximum demand."""
    channel = maximum.channel
    return {
        "field": channel.key,
        "value": maximum.value,
        "unit": channel.kind.unit if channel.kind else None,
        "time": iso(maximum.time),
        "cumulative": maximum.cumulative,
        "continuous_cumulative": maximum.continuous,
    }


def snapshot(registers: Snapshot) -> dict[str, object]:
    """Registers as they stood at some moment, in the manner of the state object."""
    return {
        "time": iso(registers.time),
        "season": registers.season + 1,  # as tiers are counted, and as people do
        "sequence": registers.sequence,
        **registers.values,
    }


def sub_meter(reading: MbusReading) -> dict[str, object]:
    """What a sub-meter said: the time, the conditions, then every value by its key."""
    return {
        "time": iso(reading.time),
        "conditions": list(reading.conditions),
        "encrypted": reading.encrypted,
        **{value.key: value.value for value in reading.values},
    }


# Demand


def demand_state(demand: DemandNow, running: Running | None) -> str:
    """Write the demand object; a month is null while it is being read, and what is not known is null."""
    return to_json(
        {
            "start": iso(demand.start),
            "minutes": round(demand.duration.total_seconds() / 60),
            "import_w": demand.powers.imported,
            "export_w": demand.powers.exported,
            "running": _running(running),
            "month": _month(demand.month, demand),
            "last_month": _month(demand.last_month, demand),
            "maxima": [maximum_demand(each) for each in demand.maxima],
            "quality": list(demand.quality) or ["good"],
        }
    )


def _running(running: Running | None) -> dict[str, object]:
    return {
        "start": iso(running.start) if running else None,
        "elapsed_s": round(running.elapsed) if running else None,
        "import_so_far_w": running.so_far.imported if running else None,
        "export_so_far_w": running.so_far.exported if running else None,
        "import_w": running.expected.imported if running else None,
        "export_w": running.expected.exported if running else None,
    }


def _month(month: Month | None, demand: DemandNow) -> dict[str, object]:
    known = None if demand.is_filling else month
    return {
        "begin": iso(month.begin) if month else None,
        **_peak("import", known.imported if known else None),
        **_peak("export", known.exported if known else None),
        "missing": known.missing if known else None,
    }


def _peak(direction: str, peak: Peak | None) -> dict[str, object]:
    return {
        f"{direction}_w": peak.power if peak else None,
        f"{direction}_start": iso(peak.start) if peak else None,
    }
